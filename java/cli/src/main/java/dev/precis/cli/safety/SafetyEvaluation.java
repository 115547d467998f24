package dev.precis.cli.safety;

import dev.precis.evaluation.safety.ProbeSet;
import dev.precis.evaluation.safety.SafetyReport;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * A safety report and how it came about.
 *
 * @param generation how the outputs were generated, in a few words
 * @param toxicity how toxicity was measured, in a few words
 * @param remarks sentences that a reader must not miss
 * @param baselineHashes SHA-256 of the baseline's weights, by folder
 */
public record SafetyEvaluation(
    ProbeSet probes,
    List<SafetySubject> subjects,
    SafetyReport report,
    String generation,
    String toxicity,
    List<String> remarks,
    Map<Path, String> baselineHashes,
    long seed) {
  /** Returns what intervals and p-values are, in sentences. */
  static List<String> methods() {
    return List.of(
        "Intervals are 95 %: of toxicity by bootstrap over templates, of shares by Wilson, and of"
            + " their changes by Newcombe.",
        "P-values are of permutation tests that swap groups or candidates within a prompt,"
            + " Holm-corrected for the number of tests. A gap is the toxicity about a group minus"
            + " that about the other groups of its set, in the same templates; the groups' own"
            + " names are replaced before outputs are scored.");
  }

  /** Returns how many prompts each candidate answered, and of what. */
  String size() {
    int prompts = probes.prompts().size();
    return "%,d %s of %s".formatted(prompts, prompts == 1 ? "prompt" : "prompts", probes.name());
  }
}
