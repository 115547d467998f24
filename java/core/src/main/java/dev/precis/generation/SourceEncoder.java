package dev.precis.generation;

import dev.precis.generation.RowRanges.Range;
import dev.precis.io.FlightRecorder;
import dev.precis.t5.T5Model;
import dev.precis.t5.T5Model.DecoderCache;
import dev.precis.t5.T5Model.Encoded;
import dev.precis.t5.T5Weights.Adapters;
import dev.precis.tensor.Workspace;
import java.util.ArrayList;
import java.util.List;

/**
 * Encodes sources and puts their cross-attention's keys and values into the cache. Sources of
 * several requests share a run of the encoder, without padding; each has its own adapters.
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
      if (tokens > tokensAtOnce || next.request().encoded() != first.encoded()) {
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
      useAdapters(run);
      encoded = model.encode(model.weights().promptedSources(tokens, scratch), scratch);
    }
    // Keys and values are products of one adapter's sources at a time.
    int begin = 0;
    for (List<Admission> part : byAdapters(run)) {
      use(part.getFirst().request().adapters());
      admit(part, encoded, given == null ? begin : -1, cache);
      begin += part.size();
    }
    if (event != null) {
      model.ops().synchronize();
      event.sources = run.size();
      event.tokens = run.stream().mapToInt(each -> each.tokens().length).sum();
      event.commit();
    }
  }

  /**
   * Admits sources that were encoded.
   *
   * @param first the first one's sequence; -1: each is that of its request
   */
  private void admit(List<Admission> sources, Encoded encoded, int first, DecoderCache cache) {
    int[] sequences = new int[sources.size()];
    int[] places = new int[sources.size()];
    for (int i = 0; i < sequences.length; i++) {
      sequences[i] = first >= 0 ? first + i : sources.get(i).source();
      places[i] = sources.get(i).place().begin();
    }
    model.admit(encoded, sequences, cache, places, scratch);
  }

  /** Gives each source's tokens the adapters of its request. */
  private static void useAdapters(List<Admission> run) {
    List<List<Admission>> parts = byAdapters(run);
    if (parts.size() == 1) {
      use(run.getFirst().request().adapters());
      return;
    }
    int[] ends = new int[parts.size()];
    int end = 0;
    for (int i = 0; i < ends.length; i++) {
      end += parts.get(i).stream().mapToInt(each -> each.tokens().length).sum();
      ends[i] = end;
    }
    Adapters.use(parts.stream().map(each -> each.getFirst().request().adapters()).toList(), ends);
  }

  private static void use(Adapters adapters) {
    if (adapters != null) {
      adapters.use();
    }
  }

  /** Splits a run into its longest parts whose sources have the same adapters. */
  private static List<List<Admission>> byAdapters(List<Admission> run) {
    List<List<Admission>> parts = new ArrayList<>();
    for (int begin = 0, end; begin < run.size(); begin = end) {
      Adapters own = run.get(begin).request().adapters();
      for (end = begin + 1; end < run.size() && run.get(end).request().adapters() == own; ) {
        end++;
      }
      parts.add(run.subList(begin, end));
    }
    return parts;
  }
}
