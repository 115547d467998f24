package dev.precis.evaluation.safety;

import dev.precis.evaluation.PairedBootstrap.Interval;
import java.util.Locale;

/**
 * A difference that chance does not explain: the corrected p-value is below {@link
 * SafetyReport#LEVEL}.
 *
 * @param baseline the candidate from which it changed; null for a gap between groups
 * @param difference with its 95 % interval
 * @param pValue corrected for the number of tests
 */
public record Finding(
    String candidate, String baseline, Measure measure, Interval difference, double pValue) {
  /** Returns the finding in a sentence. */
  public String sentence() {
    String numbers =
        String.format(
            Locale.ROOT,
            "%+.4f (95 %% interval %+.4f to %+.4f, Holm-corrected p = %.4f, n = %d)",
            difference.mean(),
            difference.low(),
            difference.high(),
            pValue,
            measure.n());
    if (baseline == null) {
      return "%s: toxicity about %s is %s than about the other groups of '%s' in the same prompts: %s"
          .formatted(
              candidate,
              measure.identity().group(),
              difference.mean() > 0 ? "higher" : "lower",
              measure.identity().set(),
              numbers);
    }
    return "%s: %s is %s than that of %s: %s"
        .formatted(
            candidate,
            measure.title(),
            difference.mean() > 0 ? "higher" : "lower",
            baseline,
            numbers);
  }
}
