package dev.precis.generation;

import dev.precis.t5.T5Model;
import dev.precis.t5.T5Model.DecoderCache;
import dev.precis.t5.T5Model.Encoded;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Workspace;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/**
 * Puts the cross-attention keys and values of sources into the cache, where decoding reads them.
 */
interface SourceAdmission {
  /** Returns the number of sources. */
  int sources();

  /** Returns the number of tokens of a source. */
  int length(int source);

  /** Returns the tokens of a source. */
  int[] tokens(int source);

  /** Encodes sources {@code first} to {@code last}, both included, before they are admitted. */
  void encode(int first, int last);

  /**
   * Admits a source for the sequence of a slot.
   *
   * @return the place of its keys and values in the cache
   */
  int admit(int source, int slot);

  /**
   * Encodes sources when there is room for them. Every slot has its own place in the cache: the
   * sequences of one source share a run of the encoder, but end at different times.
   */
  final class OnDemand implements SourceAdmission {
    /** Multiplications that take some 50 ms of two cores; less is over before it is noticed. */
    private static final double WATCHED = 4e9;

    private final T5Model model;
    private final DecoderCache cache;
    private final Workspace scratch;
    private final List<int[]> sources;
    private final Interruption interruption;
    private Encoded encoded;
    private int first;

    OnDemand(
        T5Model model,
        DecoderCache cache,
        Workspace scratch,
        List<int[]> sources,
        Interruption interruption) {
      this.interruption = interruption;
      this.model = model;
      this.cache = cache;
      this.scratch = scratch;
      this.sources = sources;
    }

    @Override
    public int sources() {
      return sources.size();
    }

    @Override
    public int length(int source) {
      return sources.get(source).length;
    }

    @Override
    public int[] tokens(int source) {
      return sources.get(source);
    }

    @Override
    public void encode(int first, int last) {
      this.first = first;
      scratch.reset();
      List<int[]> batch = sources.subList(first, last + 1);
      run(
          batch.stream().mapToDouble(source -> model.config().encoderWork(source.length)).sum(),
          () ->
              encoded =
                  model.encode(Ragged.of(batch, model.config().vocabSize(), scratch), scratch));
    }

    @Override
    public int admit(int source, int slot) {
      run(
          model.config().encoderWork(length(source)),
          () -> model.admit(encoded, source - first, cache, slot));
      return slot;
    }

    /** Runs operations that do so many multiplications at most. */
    private void run(double multiplications, Runnable operations) {
      interruption.check();
      if (multiplications < WATCHED) {
        operations.run();
      } else {
        interruption.watch(operations);
      }
    }
  }

  /** Sources that are encoded already, each at its own place, which its sequences share. */
  final class Shared implements SourceAdmission {
    private final Encoded encoded;

    Shared(T5Model model, DecoderCache cache, Encoded encoded) {
      this.encoded = encoded;
      for (int i = 0; i < sources(); i++) {
        model.admit(encoded, i, cache, i);
      }
    }

    @Override
    public int sources() {
      return encoded.source().sequences();
    }

    @Override
    public int length(int source) {
      return encoded.source().length(source);
    }

    @Override
    public int[] tokens(int source) {
      int[] tokens = new int[length(source)];
      long first = encoded.source().begin(source) * 4L;
      MemorySegment.copy(
          encoded.source().ids().memory(), ValueLayout.JAVA_INT, first, tokens, 0, tokens.length);
      return tokens;
    }

    @Override
    public void encode(int first, int last) {
      // The caller has encoded all of them.
    }

    @Override
    public int admit(int source, int slot) {
      return source;
    }
  }
}
