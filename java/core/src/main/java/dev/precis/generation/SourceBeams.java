package dev.precis.generation;

import dev.precis.generation.GenerationOptions.EarlyStopping;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/** The beams of one source: those that are running and those that have finished. */
final class SourceBeams {
  /** The score of a beam that does not exist; transformers uses the same number. */
  private static final float NO_BEAM = -1e9f;

  /** A continuation: its score, the beam that it continues, and the token that it adds. */
  record Candidate(float score, int beam, int token) {}

  /** A finished sequence: tokens with the start token, and its score after the length penalty. */
  private record Finished(int[] sequence, int length, float score, boolean done) {}

  private final int source;
  private final GenerationOptions options;
  private final StopRules stop;
  private final int beams;
  private int[][] sequences;
  private float[] scores;
  private List<Finished> finished = new ArrayList<>();
  private boolean improvable = true;

  /** Begins a source's search: every beam holds the start token. */
  SourceBeams(int source, int startToken, GenerationOptions options, StopRules stop) {
    this.source = source;
    this.options = options;
    this.stop = stop;
    beams = options.numBeams();
    scores = new float[beams];
    sequences = new int[beams][maxNewTokens() + 1];
    for (int[] sequence : sequences) {
      sequence[0] = startToken;
      finished.add(new Finished(sequence, 1, NO_BEAM, false));
    }
  }

  /** Returns the index of the source. */
  int source() {
    return source;
  }

  /** Returns a running beam's tokens, the start token first. */
  int[] sequence(int beam) {
    return sequences[beam];
  }

  /** Returns a running beam's sum of log-probabilities. */
  float score(int beam) {
    return scores[beam];
  }

  private int maxNewTokens() {
    return stop.limits()[source];
  }

  private boolean allFinished() {
    return finished.stream().allMatch(Finished::done);
  }

  /** Returns true if the search is over after so many new tokens. */
  boolean over(int generated) {
    return !improvable
        || (allFinished() && options.earlyStopping() == EarlyStopping.TRUE)
        || generated == maxNewTokens();
  }

  /**
   * Takes one step's candidates.
   *
   * @param best the best first
   * @param generated new tokens of each sequence after this step
   * @return for each beam of the next step the beam that it continues
   */
  int[] advance(List<Candidate> best, int generated) {
    boolean last = generated == maxNewTokens();
    boolean closed = allFinished() && options.earlyStopping() == EarlyStopping.TRUE;
    List<Finished> merged = new ArrayList<>(finished);
    int[] parents = new int[beams];
    int[][] next = new int[beams][];
    float[] nextScores = new float[beams];
    int running = 0;
    for (int i = 0; i < best.size(); i++) {
      Candidate c = best.get(i);
      boolean ends = last || stop.ends(c.token);
      if (ends && i < beams && !closed && improvable) {
        float penalized = penalized(c.score, generated);
        merged.add(new Finished(extended(c, generated), generated + 1, penalized, true));
      }
      if (!ends && running < beams) {
        parents[running] = c.beam;
        next[running] = extended(c, generated);
        nextScores[running++] = c.score;
      }
    }
    merged.sort(Comparator.comparing(Finished::score, Comparator.reverseOrder()));
    finished = new ArrayList<>(merged.subList(0, beams));
    if (last) {
      return parents;
    }
    for (; running < beams; running++) {
      // The vocabulary is smaller than the number of beams: a beam that cannot win takes the place.
      parents[running] = 0;
      next[running] = extended(best.getFirst(), generated);
      nextScores[running] = NO_BEAM + best.getFirst().score;
    }
    sequences = next;
    scores = nextScores;
    improvable &= attainable(generated) > worstFinished();
    return parents;
  }

  /** Returns the score that the best running beam can still reach, as early stopping sees it. */
  private float attainable(int generated) {
    boolean anyLength =
        options.earlyStopping() == EarlyStopping.NEVER && options.lengthPenalty() > 0;
    return penalized(scores[0], anyLength ? maxNewTokens() : generated);
  }

  private float worstFinished() {
    return allFinished() ? finished.getLast().score : NO_BEAM;
  }

  /** Returns {@code score / length^lengthPenalty}. */
  private float penalized(float score, int length) {
    return score / (float) Math.pow(length, options.lengthPenalty());
  }

  private int[] extended(Candidate c, int generated) {
    int[] sequence = sequences[c.beam].clone();
    sequence[generated] = c.token;
    return sequence;
  }

  /** Returns the best numReturnSequences finished sequences. */
  List<GeneratedTokens> results() {
    List<GeneratedTokens> results = new ArrayList<>();
    for (Finished f : finished.subList(0, options.numReturnSequences())) {
      int[] tokens = Arrays.copyOfRange(f.sequence, 1, f.length);
      boolean ended = tokens.length > 0 && stop.ends(tokens[tokens.length - 1]);
      results.add(new GeneratedTokens(tokens, f.score, ended, new float[0]));
    }
    return results;
  }
}
