package dev.precis.generation;

import dev.precis.generation.RowRanges.Range;
import dev.precis.generation.SourceBeams.Candidate;
import dev.precis.ops.GraphCache;
import dev.precis.ops.Ops;
import dev.precis.t5.T5Model;
import dev.precis.t5.T5Model.DecoderCache;
import dev.precis.tensor.DType;
import dev.precis.tensor.MirroredMemory;
import dev.precis.tensor.MirroredMemory.Array;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * Beam search with the scores, the length penalty and the stopping rules of transformers 5.17 (its
 * vectorized {@code _beam_search}), but separately for each source: a source that is done leaves
 * the batch. A search has batches of its own, of the sources of one request.
 *
 * <p>Beams that share a past share its keys and values: a table of ancestors names the slot in
 * which each position of each beam was computed, and nothing is copied when beams change places.
 */
final class BeamSearch implements AutoCloseable {
  /** The kind of a step: what its operations depend on besides the contents of memory. */
  private record StepKind(int rows, long ancestors) {}

  /** A source of the batch that is being searched. */
  private record Search(int place, Range rows, SourceBeams beams) {}

  private final T5Model model;
  private final Ops ops;
  private final RunningRequest request;
  private final Workspace passing;
  private final SourceEncoder encoder;
  private final GraphCache graphs;
  private final DecoderCache cache;
  private final DecodeBuffers buffers;
  private final GenerationOptions options;
  private final TokenRuleScores tokenRules; // null without such rules
  private final Runnable step = this::launch;
  private final int together; // sources of a batch
  private final RowRanges sourceRows = new RowRanges();
  private final int beams;
  private final int kept; // candidates of a source, as many as transformers has
  private final int candidates; // of a beam
  private final int positions;
  private final MirroredMemory bestMemory; // the best tokens of each row, the best first
  private final Array bestValues;
  private final Array bestIndices;
  private final Tensor allValues;
  private final Tensor allIndices;
  private Array ancestors;
  private Array spareAncestors;

  /** The batch: sources {@code [first, end)}, of which some are still running. */
  private int first;

  private int end;
  private List<SourceBeams> batch = List.of();
  private List<Search> running = new ArrayList<>();
  private int rowsPerSource;
  private int generated;

  /**
   * Prepares a search.
   *
   * @param memory owns what lasts as long as the search; it is reset
   * @param passing reset in every step
   */
  BeamSearch(T5Model model, Workspace memory, Workspace passing, RunningRequest request) {
    this.model = model;
    this.ops = model.ops();
    this.request = request;
    this.passing = passing;
    options = request.options();
    tokenRules = request.tokenRules();
    encoder = new SourceEncoder(model, passing, Integer.MAX_VALUE);
    graphs = new GraphCache(ops);
    beams = options.numBeams();
    // Of a beam's candidates at most as many end as there are end tokens, so enough continue.
    kept = (1 + model.config().eosTokenIds().size()) * beams;
    candidates = Math.min(kept, model.config().vocabSize());
    positions = request.longestLimit();
    together = Math.min(request.batchSize(), request.sources());
    int slots = Math.multiplyExact(together, beams);
    memory.reset();
    sourceRows.compact(Math.multiplyExact(together, request.longest()));
    cache = model.newCache(sourceRows.capacity(), (long) slots * positions, memory);
    buffers =
        new DecodeBuffers(
            slots,
            positions,
            model.config().vocabSize(),
            model.config().eosTokenIds(),
            tokenRules != null,
            false, // the score of a beam is that after the rules
            0,
            ops.onGpu(),
            memory);
    ancestors = table(memory);
    spareAncestors = table(memory);
    long all = (long) slots * candidates;
    bestMemory =
        new MirroredMemory(
            MirroredMemory.size(DType.FLOAT32, all) + MirroredMemory.size(DType.INT32, all),
            memory);
    bestValues = bestMemory.take(DType.FLOAT32, all);
    bestIndices = bestMemory.take(DType.INT32, all);
    allValues = bestValues.tensor(0, slots, candidates);
    allIndices = bestIndices.tensor(0, slots, candidates);
  }

  private Array table(Workspace memory) {
    long elements = (long) together * beams * positions;
    return new MirroredMemory(MirroredMemory.size(DType.INT32, elements), memory)
        .take(DType.INT32, elements);
  }

  /** Does one step; returns whether there are others. */
  boolean step() {
    request.interruption().check();
    if (running.isEmpty() && end < request.sources()) {
      startBatch();
    }
    if (request.adapters() != null) {
      request.adapters().use();
    }
    buffers.use(rows());
    passing.reset();
    graphs.run(new StepKind(rows(), buffers.ancestorsAddress()), step);
    if (tokenRules != null) {
      choose();
    }
    bestMemory.download();
    accept();
    return !running.isEmpty() || end < request.sources();
  }

  private void launch() {
    model.step(cache, buffers.rows(), buffers.logits(), passing);
    if (tokenRules == null) {
      choose();
    }
  }

  private void startBatch() {
    first = end;
    end = Math.min(request.sources(), first + together);
    batch = new ArrayList<>();
    running = new ArrayList<>();
    List.copyOf(sourceRows.ranges()).forEach(sourceRows::free);
    List<SourceEncoder.Admission> admissions = new ArrayList<>();
    for (int source = first; source < end; source++) {
      Range range = sourceRows.allocate(request.tokens(source).length);
      SourceBeams own =
          new SourceBeams(source, model.config().decoderStartTokenId(), options, request.stop());
      batch.add(own);
      running.add(new Search(source - first, range, own));
      admissions.add(new SourceEncoder.Admission(request, source, range));
    }
    encoder.run(admissions, cache);
    request.interruption().check(); // an encoder that was cancelled has left nothing to go on with
    generated = 0;
    // One row for each source in the first step: all its beams are still the same.
    rowsPerSource = 1;
    layOut();
  }

  private int rows() {
    return running.size() * rowsPerSource;
  }

  private void choose() {
    Tensor logits = buffers.logits();
    DecodeBuffers.Part all = buffers.part(0, rows(), options);
    ops.softmax(logits, logits, true);
    if (tokenRules != null) {
      buffers.downloadLogits(all);
      for (int row = 0; row < rows(); row++) {
        tokenRules.before(buffers, row, source(row));
      }
      buffers.uploadLogits(all);
    }
    ops.processLogits(logits, all.rules());
    if (tokenRules != null) {
      buffers.downloadLogits(all);
      for (int row = 0; row < rows(); row++) {
        tokenRules.after(buffers, row, source(row));
      }
      buffers.uploadLogits(all);
    }
    if (options.renormalizeLogits()) {
      ops.softmax(logits, logits, true);
    }
    ops.topK(logits, allValues.rows(0, rows()), allIndices.rows(0, rows()));
  }

  private int source(int row) {
    return running.get(row / rowsPerSource).beams.source();
  }

  private void accept() {
    generated++;
    List<Search> still = new ArrayList<>();
    List<int[]> parentRows = new ArrayList<>();
    for (int i = 0; i < running.size(); i++) {
      Search search = running.get(i);
      int[] parents = search.beams.advance(best(i), generated);
      if (!search.beams.over(generated)) {
        still.add(search);
        for (int beam = 0; beam < beams; beam++) {
          parents[beam] += i * rowsPerSource;
        }
        parentRows.add(parents);
      }
    }
    inheritAncestors(parentRows);
    running = still;
    rowsPerSource = beams;
    if (running.isEmpty()) {
      for (int i = 0; i < batch.size(); i++) {
        request.listener().found(first + i, batch.get(i).results());
      }
    } else {
      layOut();
    }
  }

  /** Returns the best candidates of the i-th running source, the best first. */
  private List<Candidate> best(int i) {
    MemorySegment values = bestValues.host();
    MemorySegment indices = bestIndices.host();
    List<Candidate> all = new ArrayList<>();
    for (int beam = 0; beam < rowsPerSource; beam++) {
      long at = ((long) i * rowsPerSource + beam) * candidates;
      float score = running.get(i).beams.score(beam);
      for (int c = 0; c < candidates; c++) {
        float logProbability = values.getAtIndex(ValueLayout.JAVA_FLOAT, at + c);
        int token = indices.getAtIndex(ValueLayout.JAVA_INT, at + c);
        all.add(new Candidate(logProbability + score, beam, token));
      }
    }
    // The sort is stable: among equals the lower beam comes first, then the lower token.
    all.sort(Comparator.comparing(Candidate::score, Comparator.reverseOrder()));
    return all.subList(0, Math.min(kept, all.size()));
  }

  /** Copies to each row of the next step the past of the row that it continues. */
  private void inheritAncestors(List<int[]> parentRows) {
    long stride = positions * 4L;
    for (int i = 0; i < parentRows.size(); i++) {
      for (int beam = 0; beam < beams; beam++) {
        MemorySegment.copy(
            ancestors.host(),
            parentRows.get(i)[beam] * stride,
            spareAncestors.host(),
            ((long) i * beams + beam) * stride,
            generated * 4L);
      }
    }
    Array swap = ancestors;
    ancestors = spareAncestors;
    spareAncestors = swap;
  }

  /** Writes the rows of the next step. */
  private void layOut() {
    MemorySegment table = ancestors.host();
    for (int i = 0; i < running.size(); i++) {
      Search search = running.get(i);
      for (int beam = 0; beam < rowsPerSource; beam++) {
        int row = i * rowsPerSource + beam;
        buffers.start(
            row,
            model.config().decoderStartTokenId(),
            0,
            search.rows.begin(),
            search.rows.length(),
            0);
        buffers.setHistory(row, search.beams.sequence(beam), generated + 1);
        // The step computes this position in the beam's own slot.
        table.setAtIndex(
            ValueLayout.JAVA_INT, (long) row * positions + generated, search.place * beams + beam);
      }
    }
    buffers.upload(rows());
    ancestors.upload(0, (long) rows() * positions);
    buffers.ancestors(ancestors.tensor(0, (long) together * beams, positions));
  }

  @Override
  public void close() {
    graphs.close();
  }
}
