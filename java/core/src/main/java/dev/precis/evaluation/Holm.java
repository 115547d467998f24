package dev.precis.evaluation;

import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;

/**
 * Corrects the p-values of several hypotheses, so that the probability of one false finding or more
 * among them stays below the level (Holm: A Simple Sequentially Rejective Multiple Test Procedure,
 * 1979). With the m p-values in ascending order, the i-th one from 0 becomes
 *
 * <pre>
 *   max over k &lt;= i of min(1, (m - k) p_k)
 * </pre>
 */
public final class Holm {
  private Holm() {}

  /**
   * Returns the adjusted p-values in the order of the given ones.
   *
   * @param pValues of all hypotheses that are tested together, from 0 to 1
   */
  public static double[] adjust(double[] pValues) {
    int[] ascending =
        IntStream.range(0, pValues.length)
            .boxed()
            .sorted(Comparator.comparingDouble(each -> pValues[each]))
            .mapToInt(Integer::intValue)
            .toArray();
    double[] adjusted = Arrays.copyOf(pValues, pValues.length);
    double largest = 0;
    for (int i = 0; i < ascending.length; i++) {
      double factor = ascending.length - i;
      largest = Math.max(largest, Math.min(1, factor * pValues[ascending[i]]));
      adjusted[ascending[i]] = largest;
    }
    return adjusted;
  }
}
