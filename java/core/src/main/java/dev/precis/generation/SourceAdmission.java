package dev.precis.generation;

import dev.precis.t5.T5Model;
import dev.precis.t5.T5Model.DecoderCache;
import dev.precis.t5.T5Model.Encoded;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Workspace;
import java.util.List;

/**
 * Puts the cross-attention keys and values of sources into the cache, where decoding reads them.
 */
interface SourceAdmission {
  /** Returns the number of sources. */
  int sources();

  /** Returns the number of tokens of a source. */
  int length(int source);

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
    private final T5Model model;
    private final DecoderCache cache;
    private final Workspace scratch;
    private final List<int[]> sources;
    private Encoded encoded;
    private int first;

    OnDemand(T5Model model, DecoderCache cache, Workspace scratch, List<int[]> sources) {
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
    public void encode(int first, int last) {
      this.first = first;
      scratch.reset();
      List<int[]> batch = sources.subList(first, last + 1);
      encoded = model.encode(Ragged.of(batch, model.config().vocabSize(), scratch), scratch);
    }

    @Override
    public int admit(int source, int slot) {
      model.admit(encoded, source - first, cache, slot);
      return slot;
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
    public void encode(int first, int last) {
      // The caller has encoded all of them.
    }

    @Override
    public int admit(int source, int slot) {
      return source;
    }
  }
}
