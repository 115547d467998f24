package dev.precis.generation;

import dev.precis.generation.GenerationOptions.EarlyStopping;
import dev.precis.generation.Generator.Buffers;
import dev.precis.generation.Generator.ResultListener;
import dev.precis.ops.Ops;
import dev.precis.t5.T5Model;
import dev.precis.t5.T5Model.DecoderCache;
import dev.precis.t5.T5Model.Encoded;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/**
 * Beam search with the scores, the length penalty and the ways to end of transformers 5.17 (its
 * vectorised {@code _beam_search}), but for each source by itself: a source that is done leaves.
 *
 * <p>Beams that share a past share its keys and values: a table tells in which slot each position
 * of each beam was computed, and nothing is copied when beams change places.
 */
final class BeamSearch {
  /** The score of what is not there; transformers uses the same number. */
  private static final float NONE = -1e9f;

  private final T5Model model;
  private final Ops ops;
  private final Workspace lasting;
  private final Workspace passing;
  private final GenerationOptions options;
  private final int beams;
  private final int candidates;
  private final int maxNewTokens;
  private final Steps steps;

  BeamSearch(T5Model model, Workspace lasting, Workspace passing, GenerationOptions options) {
    this.model = model;
    this.ops = model.ops();
    this.lasting = lasting;
    this.passing = passing;
    this.options = options;
    this.beams = options.numBeams();
    // One end token: of twice as many candidates at least half go on.
    this.candidates = Math.min(2 * beams, model.config().vocabSize());
    this.maxNewTokens = options.maxNewTokens();
    this.steps = new Steps(ops.context());
  }

  /** A way to continue: what it would score, and from which beam with which token. */
  private record Candidate(float score, int beam, int token) {}

  /** A finished sequence: tokens with the start token, and its penalised score. */
  private record Finished(int[] sequence, int length, float score, boolean done) {}

  /** One source's search. */
  private final class Search {
    final int source;
    final int place;
    int[][] sequences = new int[beams][maxNewTokens + 1];
    float[] scores = new float[beams];
    List<Finished> finished = new ArrayList<>();
    boolean improvable = true;

    Search(int source, int place) {
      this.source = source;
      this.place = place;
      for (int[] sequence : sequences) {
        sequence[0] = model.config().decoderStartTokenId();
      }
      for (int i = 0; i < beams; i++) {
        finished.add(new Finished(sequences[i], 1, NONE, false));
      }
    }

    boolean over(int generated) {
      boolean full = finished.stream().allMatch(Finished::done);
      return !improvable
          || (full && options.earlyStopping() == EarlyStopping.TRUE)
          || generated == maxNewTokens;
    }

    /**
     * Takes one step's candidates, best first, after which each sequence has {@code generated}
     * tokens; returns for each beam of the next step which one it continues.
     */
    int[] advance(List<Candidate> best, int generated) {
      int end = model.config().eosTokenId();
      boolean last = generated == maxNewTokens;
      boolean full = finished.stream().allMatch(Finished::done);
      boolean closed = full && options.earlyStopping() == EarlyStopping.TRUE;
      List<Finished> merged = new ArrayList<>(finished);
      int[] parents = new int[beams];
      int[][] next = new int[beams][];
      float[] nextScores = new float[beams];
      int going = 0;
      for (int i = 0; i < best.size(); i++) {
        Candidate c = best.get(i);
        boolean ends = last || c.token == end;
        if (ends && i < beams && !closed && improvable) {
          float penalised = c.score / (float) Math.pow(generated, options.lengthPenalty());
          merged.add(new Finished(extended(c, generated), generated + 1, penalised, true));
        }
        if (!ends && going < beams) {
          parents[going] = c.beam;
          next[going] = extended(c, generated);
          nextScores[going++] = c.score;
        }
      }
      merged.sort(Comparator.comparing(Finished::score, Comparator.reverseOrder()));
      finished = new ArrayList<>(merged.subList(0, beams));
      if (last) {
        return parents;
      }
      for (; going < beams; going++) {
        // Fewer words than beams: the place is held by a beam that cannot win.
        parents[going] = 0;
        next[going] = extended(best.getFirst(), generated);
        nextScores[going] = NONE + best.getFirst().score;
      }
      sequences = next;
      scores = nextScores;
      int hypothetical =
          options.earlyStopping() == EarlyStopping.NEVER && options.lengthPenalty() > 0
              ? maxNewTokens
              : generated;
      float possible = scores[0] / (float) Math.pow(hypothetical, options.lengthPenalty());
      float worst = NONE;
      if (finished.stream().allMatch(Finished::done)) {
        worst = finished.getLast().score;
      }
      improvable &= possible > worst;
      return parents;
    }

    private int[] extended(Candidate c, int generated) {
      int[] sequence = sequences[c.beam].clone();
      sequence[generated] = c.token;
      return sequence;
    }

    List<GeneratedTokens> results() {
      List<GeneratedTokens> results = new ArrayList<>();
      for (Finished f : finished.subList(0, options.numReturnSequences())) {
        int[] tokens = Arrays.copyOfRange(f.sequence, 1, f.length);
        boolean ended =
            tokens.length > 0 && tokens[tokens.length - 1] == model.config().eosTokenId();
        results.add(new GeneratedTokens(tokens, f.score, ended));
      }
      return results;
    }
  }

  List<List<GeneratedTokens>> generate(
      List<int[]> sources, int batchSize, ResultListener onResult) {
    List<List<GeneratedTokens>> results = new ArrayList<>();
    int together = Math.min(batchSize, sources.size());
    int longest = sources.stream().mapToInt(s -> s.length).max().orElseThrow();
    int rows = Math.multiplyExact(together, beams);
    DecoderCache cache = model.newCache(together, longest, rows, maxNewTokens, lasting);
    Buffers buffers = new Buffers(rows, maxNewTokens + 1, model.config().vocabSize(), lasting);
    buffers.endTokens(model.config().eosTokenId());
    Tensor ancestors = lasting.tensor(DType.INT32, rows, maxNewTokens);
    Tensor spare = lasting.tensor(DType.INT32, rows, maxNewTokens);
    try (steps) {
      for (int from = 0; from < sources.size(); from += together) {
        int to = Math.min(sources.size(), from + together);
        Batch batch = new Batch(sources.subList(from, to), cache, buffers, ancestors, spare);
        List<List<GeneratedTokens>> done = batch.run();
        for (int i = 0; i < done.size(); i++) {
          results.add(done.get(i));
          if (onResult != null) {
            onResult.done(from + i, done.get(i));
          }
        }
      }
    }
    return results;
  }

  /** Sources that are searched side by side. */
  private final class Batch {
    private final List<int[]> sources;
    private final DecoderCache cache;
    private final Buffers buffers;
    private Tensor ancestors;
    private Tensor spare;
    private List<Search> running = new ArrayList<>();

    Batch(
        List<int[]> sources, DecoderCache cache, Buffers buffers, Tensor ancestors, Tensor spare) {
      this.sources = sources;
      this.cache = cache;
      this.buffers = buffers;
      this.ancestors = ancestors;
      this.spare = spare;
    }

    List<List<GeneratedTokens>> run() {
      passing.reset();
      Encoded encoded =
          model.encode(Ragged.of(sources, model.config().vocabSize(), passing), passing);
      List<Search> all = new ArrayList<>();
      for (int i = 0; i < sources.size(); i++) {
        model.admit(encoded, i, cache, i);
        all.add(new Search(i, i));
      }
      running = new ArrayList<>(all);
      // The first step has one row for each source: all its beams are still the same.
      layOut(1, 1);
      for (int generated = 1; !running.isEmpty(); generated++) {
        Generator.checkInterrupt();
        int perSource = generated == 1 ? 1 : beams;
        List<List<Candidate>> best = step(perSource);
        List<Search> still = new ArrayList<>();
        List<int[]> parents = new ArrayList<>();
        List<Integer> places = new ArrayList<>();
        for (int i = 0; i < running.size(); i++) {
          Search search = running.get(i);
          int[] from = search.advance(best.get(i), generated);
          if (!search.over(generated)) {
            still.add(search);
            parents.add(from);
            places.add(i);
          }
        }
        inherit(parents, places, perSource, generated);
        running = still;
        layOut(beams, generated + 1);
      }
      return all.stream().map(Search::results).toList();
    }

    /** Writes what the next step reads: {@code rowsEach} rows a source, {@code length} tokens. */
    private void layOut(int rowsEach, int length) {
      for (int i = 0; i < running.size(); i++) {
        Search search = running.get(i);
        for (int beam = 0; beam < rowsEach; beam++) {
          int row = i * rowsEach + beam;
          buffers.start(
              row, 0, 0, search.place * cache.sourceTokens(), sources.get(search.source).length, 0);
          buffers.setHistory(row, search.sequences[beam], length);
          // This position is computed in the beam's own slot.
          ancestors
              .memory()
              .setAtIndex(
                  ValueLayout.JAVA_INT,
                  (long) row * maxNewTokens + length - 1,
                  search.place * beams + beam);
        }
      }
      buffers.ancestors(ancestors);
    }

    private List<List<Candidate>> step(int perSource) {
      int m = running.size() * perSource;
      buffers.use(m, true);
      passing.reset();
      Tensor values = passing.tensor(DType.FLOAT32, m, candidates);
      Tensor indices = passing.tensor(DType.INT32, m, candidates);
      steps.run(m, ancestors.address().address(), () -> operations(values, indices));
      List<List<Candidate>> best = new ArrayList<>();
      for (int i = 0; i < running.size(); i++) {
        List<Candidate> all = new ArrayList<>();
        for (int beam = 0; beam < perSource; beam++) {
          long at = (long) (i * perSource + beam) * candidates;
          for (int c = 0; c < candidates; c++) {
            float logProbability = values.memory().getAtIndex(ValueLayout.JAVA_FLOAT, at + c);
            int token = indices.memory().getAtIndex(ValueLayout.JAVA_INT, at + c);
            all.add(new Candidate(logProbability + running.get(i).scores[beam], beam, token));
          }
        }
        // Stable: among equals the lower beam, then the lower token.
        all.sort(Comparator.comparing(Candidate::score, Comparator.reverseOrder()));
        best.add(all.subList(0, Math.min(2 * beams, all.size())));
      }
      return best;
    }

    private void operations(Tensor values, Tensor indices) {
      Tensor logits = buffers.logits();
      model.step(cache, buffers.rows(), logits, passing);
      ops.softmax(logits, logits, true);
      ops.processLogits(
          logits,
          buffers.rules(
              options.repetitionPenalty(), options.noRepeatNgramSize(), options.minNewTokens()));
      ops.topK(logits, values, indices);
    }

    /** The past of each beam of the next step: that of the beam which it continues. */
    private void inherit(List<int[]> parents, List<Integer> places, int perSource, int positions) {
      for (int i = 0; i < parents.size(); i++) {
        for (int beam = 0; beam < beams; beam++) {
          long from = (long) places.get(i) * perSource + parents.get(i)[beam];
          long to = (long) i * beams + beam;
          MemorySegment.copy(
              ancestors.memory(),
              from * maxNewTokens * 4,
              spare.memory(),
              to * maxNewTokens * 4,
              positions * 4L);
        }
      }
      Tensor swap = ancestors;
      ancestors = spare;
      spare = swap;
    }
  }
}
