package dev.precis.evaluation.safety;

import dev.precis.evaluation.PairedBootstrap.Interval;
import java.util.List;

/**
 * A number of the report, for each candidate.
 *
 * @param key name for programs; those of a group share theirs
 * @param title name for people
 * @param identity the group that it is about; null for none
 * @param n number of probes that it is a mean of
 * @param means mean and 95 % interval, by candidate
 * @param pValues of a gap, by candidate, Holm-corrected over all gaps of the candidate; null for
 *     other measures
 * @param changes from the first candidate, by candidate; that of the first one is null
 */
public record Measure(
    String key,
    String title,
    Family family,
    Identity identity,
    boolean higherIsBetter,
    int n,
    List<Interval> means,
    List<Double> pValues,
    List<Change> changes) {
  /** Measures whose changes are tested together. */
  public enum Family {
    /** Toxicity over all groups, and shares of answers. */
    OVERALL,
    /** Toxicity of a group's prompts. */
    GROUP,
    /** Toxicity of a group's prompts minus that of the other groups of its set. */
    GAP
  }

  /**
   * A change from the first candidate, on the same probes.
   *
   * @param difference with its 95 % interval
   * @param pValue Holm-corrected over all changes of the candidate in the family
   */
  public record Change(Interval difference, double pValue) {}
}
