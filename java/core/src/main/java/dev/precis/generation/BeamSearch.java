package dev.precis.generation;

import dev.precis.generation.SourceBeams.Candidate;
import dev.precis.ops.Ops;
import dev.precis.t5.T5Model;
import dev.precis.t5.T5Model.DecoderCache;
import dev.precis.tensor.DType;
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
 * the batch.
 *
 * <p>Beams that share a past share its keys and values: a table of ancestors names the slot in
 * which each position of each beam was computed, and nothing is copied when beams change places.
 */
final class BeamSearch implements DecodingStrategy {
  /** A source of the batch that is being searched. */
  private record Search(int place, SourceBeams beams) {}

  private final Ops ops;
  private final int startToken;
  private final DecoderCache cache;
  private final DecodeBuffers buffers;
  private final SourceAdmission admission;
  private final GenerationOptions options;
  private final StopRules stop;
  private final ResultListener listener;
  private final TokenRuleScores tokenRules; // null without such rules
  private final int beams;
  private final int kept; // candidates of a source, as many as transformers has
  private final int candidates; // of a beam
  private final int positions;
  private final Tensor allValues;
  private final Tensor allIndices;
  private Tensor ancestors;
  private Tensor spareAncestors;

  /** The batch: sources {@code [first, end)}, of which some are still running. */
  private int first;

  private int end;
  private List<SourceBeams> batch = List.of();
  private List<Search> running = new ArrayList<>();
  private int rowsPerSource;
  private int generated;

  /**
   * Prepares a search; the cache has a place for each source of a batch and a slot for each beam.
   *
   * @param workspace owns the tables of ancestors and the candidates
   * @param listener receives the results of each batch when all of it is done
   */
  BeamSearch(
      T5Model model,
      DecoderCache cache,
      DecodeBuffers buffers,
      SourceAdmission admission,
      GenerationOptions options,
      StopRules stop,
      Workspace workspace,
      ResultListener listener) {
    this.ops = model.ops();
    this.startToken = model.config().decoderStartTokenId();
    this.cache = cache;
    this.buffers = buffers;
    this.admission = admission;
    this.options = options;
    this.stop = stop;
    this.listener = listener;
    tokenRules = TokenRuleScores.of(options, stop, admission::tokens);
    beams = options.numBeams();
    // Of a beam's candidates at most as many end as there are end tokens, so enough continue.
    kept = (1 + stop.endTokens().size()) * beams;
    candidates = Math.min(kept, model.config().vocabSize());
    positions = cache.slotTokens();
    ancestors = workspace.tensor(DType.INT32, cache.slots(), positions);
    spareAncestors = workspace.tensor(DType.INT32, cache.slots(), positions);
    allValues = workspace.shared(DType.FLOAT32, cache.slots(), candidates);
    allIndices = workspace.tensor(DType.INT32, cache.slots(), candidates);
  }

  @Override
  public void start() {
    if (end < admission.sources()) {
      startBatch();
    }
  }

  private void startBatch() {
    first = end;
    end = Math.min(admission.sources(), first + cache.sources());
    admission.encode(first, end - 1);
    batch = new ArrayList<>();
    running = new ArrayList<>();
    for (int source = first; source < end; source++) {
      int place = admission.admit(source, source - first);
      SourceBeams own = new SourceBeams(source, startToken, options, stop);
      batch.add(own);
      running.add(new Search(place, own));
    }
    generated = 0;
    // One row for each source in the first step: all its beams are still the same.
    rowsPerSource = 1;
    layOut();
  }

  @Override
  public int rows() {
    return running.size() * rowsPerSource;
  }

  @Override
  public boolean choosesOnHost() {
    return tokenRules != null;
  }

  @Override
  public void choose() {
    Tensor logits = buffers.logits();
    ops.softmax(logits, logits, true);
    if (tokenRules != null) {
      tokenRules.before(buffers, rows(), this::source);
    }
    ops.processLogits(logits, buffers.rules(options));
    if (tokenRules != null) {
      tokenRules.after(buffers, rows(), this::source);
    }
    if (options.renormalizeLogits()) {
      ops.softmax(logits, logits, true);
    }
    ops.topK(logits, allValues.rows(0, rows()), allIndices.rows(0, rows()));
  }

  private int source(int row) {
    return running.get(row / rowsPerSource).beams.source();
  }

  @Override
  public void accept() {
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
        listener.done(first + i, batch.get(i).results());
      }
      start();
    } else {
      layOut();
    }
  }

  /** Returns the best candidates of the i-th running source, the best first. */
  private List<Candidate> best(int i) {
    MemorySegment values = allValues.memory();
    MemorySegment indices = allIndices.memory();
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
            ancestors.memory(),
            parentRows.get(i)[beam] * stride,
            spareAncestors.memory(),
            ((long) i * beams + beam) * stride,
            generated * 4L);
      }
    }
    Tensor swap = ancestors;
    ancestors = spareAncestors;
    spareAncestors = swap;
  }

  /** Writes the rows of the next step. */
  private void layOut() {
    MemorySegment table = ancestors.memory();
    for (int i = 0; i < running.size(); i++) {
      Search search = running.get(i);
      int length = admission.length(search.beams.source());
      for (int beam = 0; beam < rowsPerSource; beam++) {
        int row = i * rowsPerSource + beam;
        buffers.start(row, startToken, 0, search.place * cache.sourceTokens(), length, 0);
        buffers.setHistory(row, search.beams.sequence(beam), generated + 1);
        // The step computes this position in the beam's own slot.
        table.setAtIndex(
            ValueLayout.JAVA_INT, (long) row * positions + generated, search.place * beams + beam);
      }
    }
    buffers.ancestors(ancestors);
  }
}
