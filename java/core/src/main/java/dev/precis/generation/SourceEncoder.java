package dev.precis.generation;

import dev.precis.generation.RowRanges.Range;
import dev.precis.io.FlightRecorder;
import dev.precis.t5.T5Model;
import dev.precis.t5.T5Model.DecoderCache;
import dev.precis.t5.T5Model.Encoded;
import dev.precis.t5.T5Weights.Adapters;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Workspace;
import java.util.List;

/**
 * Encodes sources and puts their cross-attention's keys and values into the cache. Sources of
 * several requests share a run of the encoder, without padding, where they have the same adapters.
 */
final class SourceEncoder {
  /** Multiplications that take some 50 ms of two cores; less is over before it is noticed. */
  private static final double WATCHED = 4e9;

  private final T5Model model;
  private final Workspace scratch;
  private final int tokensAtOnce;

  /**
   * Makes an encoder.
   *
   * @param scratch reset in every run
   * @param tokensAtOnce the most source tokens of a run that has more than one source
   */
  SourceEncoder(T5Model model, Workspace scratch, int tokensAtOnce) {
    this.model = model;
    this.scratch = scratch;
    this.tokensAtOnce = tokensAtOnce;
  }

  /**
   * A source and its place in the cache.
   *
   * @param source its index in the request
   */
  record Admission(RunningRequest request, int source, Range place) {
    int[] tokens() {
      return request.tokens(source);
    }
  }

  /** Returns the end of the run of the encoder that begins with the admission at an index. */
  int endOfRun(List<Admission> all, int begin) {
    RunningRequest first = all.get(begin).request();
    int end = begin + 1;
    for (int tokens = all.get(begin).tokens().length; end < all.size(); end++) {
      Admission next = all.get(end);
      tokens += next.tokens().length;
      if (tokens > tokensAtOnce
          || next.request().adapters() != first.adapters()
          || next.request().encoded() != first.encoded()) {
        break;
      }
    }
    return end;
  }

  /**
   * Encodes the sources of a run, unless that is done, and admits them. Ends early where every
   * request of the run has ended; the cache then holds nothing.
   */
  void run(List<Admission> run, DecoderCache cache) {
    RunningRequest first = run.getFirst().request();
    Adapters adapters = first.adapters();
    if (adapters != null) {
      adapters.use();
    }
    double work =
        run.stream().mapToDouble(each -> model.config().encoderWork(each.tokens().length)).sum();
    if (work < WATCHED) {
      operations(run, cache);
    } else {
      Interruption.watch(
          model.ops(),
          () -> run.stream().allMatch(each -> each.request().interruption().isOver()),
          () -> operations(run, cache));
    }
  }

  private void operations(List<Admission> run, DecoderCache cache) {
    EncodingEvent event = FlightRecorder.PRESENT ? EncodingEvent.start() : null;
    scratch.reset();
    Encoded given = run.getFirst().request().encoded();
    Encoded encoded = given;
    if (given == null) {
      List<int[]> tokens = run.stream().map(Admission::tokens).toList();
      encoded = model.encode(Ragged.of(tokens, model.config().vocabSize(), scratch), scratch);
    }
    int[] sequences = new int[run.size()];
    int[] places = new int[run.size()];
    for (int i = 0; i < run.size(); i++) {
      sequences[i] = given == null ? i : run.get(i).source();
      places[i] = run.get(i).place().begin();
    }
    model.admit(encoded, sequences, cache, places, scratch);
    if (event != null) {
      model.ops().synchronize();
      event.sources = run.size();
      event.tokens = run.stream().mapToInt(each -> each.tokens().length).sum();
      event.commit();
    }
  }
}
