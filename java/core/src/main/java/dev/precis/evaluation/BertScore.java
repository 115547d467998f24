package dev.precis.evaluation;

import dev.precis.io.BoundedFile;
import dev.precis.io.InvalidInputException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.IntToDoubleFunction;

/**
 * BERTScore (Zhang et al. 2020): tokens of a candidate and of a reference are matched greedily by
 * the cosine of their hidden states in an encoder's layer.
 *
 * <pre>
 *   precision = sum_i w_i max_j cos(c_i, r_j) / sum_i w_i       over the candidate's tokens
 *   recall    = sum_j w_j max_i cos(c_i, r_j) / sum_j w_j       over the reference's tokens
 *   F1        = 2 precision recall / (precision + recall)
 * </pre>
 *
 * <p>A token weighs 1, or its inverse document frequency. Special tokens weigh nothing, but can be
 * matched, as in the authors' program.
 */
public final class BertScore {
  private static final long MAX_BASELINE_BYTES = 1 << 20;

  private final IntToDoubleFunction weights;

  /**
   * The scores of a candidate.
   *
   * @param precision from -1 to 1; recall and f1 likewise
   */
  public record Score(double precision, double recall, double f1) {
    /** The score where either text has no tokens. */
    public static final Score ZERO = new Score(0, 0, 0);

    private static Score of(double precision, double recall) {
      double f1 = 2 * precision * recall / (precision + recall);
      return new Score(precision, recall, Double.isNaN(f1) ? 0 : f1);
    }
  }

  /**
   * Scores that unrelated texts get, from which scores are counted.
   *
   * @param precision of unrelated texts; recall and f1 likewise
   */
  public record Baseline(double precision, double recall, double f1) {
    /** Makes sure that a score can be above it. */
    public Baseline {
      if (!(precision < 1 && recall < 1 && f1 < 1)) {
        throw new InvalidInputException(
            "A baseline must be below 1, not %s, %s, %s".formatted(precision, recall, f1));
      }
    }

    /**
     * Reads a layer's line of a file as the authors publish them: {@code LAYER,P,R,F}, a header
     * first.
     *
     * @throws InvalidInputException if the file has no such line, or it holds no four numbers
     */
    public static Baseline read(Path file, int layer) {
      List<String> lines =
          BoundedFile.readText(file, MAX_BASELINE_BYTES, "a file of baselines").lines().toList();
      for (int i = 1; i < lines.size(); i++) {
        String[] cells = lines.get(i).strip().split("[,\t]");
        if (!cells[0].strip().equals(Integer.toString(layer))) {
          continue;
        }
        try {
          return new Baseline(
              Double.parseDouble(cells[1]),
              Double.parseDouble(cells[2]),
              Double.parseDouble(cells[3]));
        } catch (NumberFormatException | ArrayIndexOutOfBoundsException e) {
          throw new InvalidInputException(
              "%s, line %d: it must be LAYER,P,R,F with three numbers behind the layer"
                  .formatted(file, i + 1));
        }
      }
      throw new InvalidInputException(
          "%s has no line for layer %d: choose a layer that it has, or another file"
              .formatted(file, layer));
    }

    /** Computes {@code (score - baseline) / (1 - baseline)}. */
    public Score rescale(Score score) {
      return new Score(
          (score.precision() - precision) / (1 - precision),
          (score.recall() - recall) / (1 - recall),
          (score.f1() - f1) / (1 - f1));
    }
  }

  /**
   * A text's hidden states.
   *
   * @param ids of its tokens, special ones included
   * @param states (tokens, width), row by row
   */
  public record States(int[] ids, float[] states) {
    private int width() {
      return states.length / ids.length;
    }
  }

  private BertScore(IntToDoubleFunction weights) {
    this.weights = weights;
  }

  /**
   * Weighs all tokens alike.
   *
   * @param special the ids of special tokens, which weigh nothing
   */
  public static BertScore plain(Set<Integer> special) {
    Set<Integer> ids = Set.copyOf(special);
    return new BertScore(id -> ids.contains(id) ? 0 : 1);
  }

  /**
   * Weighs a token by {@code log((N + 1) / (n + 1))}: n of N references have it.
   *
   * @param references the ids of each reference, special tokens included, which therefore weigh 0
   */
  public static BertScore weightedBy(List<int[]> references) {
    Map<Integer, Integer> counts = new HashMap<>();
    for (int[] reference : references) {
      Set<Integer> distinct = new HashSet<>(Arrays.stream(reference).boxed().toList());
      distinct.forEach(id -> counts.merge(id, 1, Integer::sum));
    }
    double all = references.size() + 1;
    return new BertScore(id -> Math.log(all / (counts.getOrDefault(id, 0) + 1)));
  }

  /**
   * Scores a candidate against one reference.
   *
   * @return zeros where either text has no token but the special ones
   */
  public Score score(States candidate, States reference) {
    double[] ofCandidate = weights(candidate);
    double[] ofReference = weights(reference);
    if (sum(ofCandidate) == 0 || sum(ofReference) == 0) {
      return Score.ZERO;
    }
    double[] precision = new double[ofCandidate.length];
    double[] recall = new double[ofReference.length];
    Arrays.fill(precision, Double.NEGATIVE_INFINITY);
    Arrays.fill(recall, Double.NEGATIVE_INFINITY);
    double[] candidateNorms = norms(candidate);
    double[] referenceNorms = norms(reference);
    int width = candidate.width();
    for (int i = 0; i < precision.length; i++) {
      for (int j = 0; j < recall.length; j++) {
        double cosine =
            dot(candidate.states, i * width, reference.states, j * width, width)
                / (candidateNorms[i] * referenceNorms[j]);
        precision[i] = Math.max(precision[i], cosine);
        recall[j] = Math.max(recall[j], cosine);
      }
    }
    return Score.of(mean(precision, ofCandidate), mean(recall, ofReference));
  }

  /** Scores a candidate against several references: the best of each number. */
  public Score best(States candidate, List<States> references) {
    double precision = Double.NEGATIVE_INFINITY;
    double recall = Double.NEGATIVE_INFINITY;
    double f1 = Double.NEGATIVE_INFINITY;
    for (States reference : references) {
      Score score = score(candidate, reference);
      precision = Math.max(precision, score.precision);
      recall = Math.max(recall, score.recall);
      f1 = Math.max(f1, score.f1);
    }
    return new Score(precision, recall, f1);
  }

  private double[] weights(States text) {
    return Arrays.stream(text.ids).mapToDouble(weights::applyAsDouble).toArray();
  }

  private static double sum(double[] values) {
    return Arrays.stream(values).sum();
  }

  private static double mean(double[] values, double[] weights) {
    double sum = 0;
    for (int i = 0; i < values.length; i++) {
      sum += weights[i] * values[i];
    }
    return sum / sum(weights);
  }

  private static double[] norms(States text) {
    int width = text.width();
    double[] norms = new double[text.ids.length];
    Arrays.setAll(
        norms, i -> Math.sqrt(dot(text.states, i * width, text.states, i * width, width)));
    return norms;
  }

  private static double dot(float[] a, int aAt, float[] b, int bAt, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++) {
      sum += (double) a[aAt + i] * b[bAt + i];
    }
    return sum;
  }
}
