package dev.precis.alignment.policy;

import dev.precis.alignment.reward.Reward;
import dev.precis.generation.SampledTokens;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Checks before the first update, each with a number. Most runs that fail were wrong from the
 * start.
 *
 * @param checks in the order of their execution
 */
public record Preflight(List<Check> checks) {
  /** Number of responses that are scored again in batches of one. */
  private static final int SINGLES = 3;

  /** Name under which all checks of the reward's order are switched off. */
  public static final String REWARD_LABEL = "reward_label";

  private static final String KL_AT_START = "kl_at_start";
  private static final String SAMPLER_AND_SCORER = "sampler_and_scorer";
  private static final String BATCH_AND_SINGLES = "batch_and_singles";
  private static final String SPECIAL_TOKENS = "special_tokens_in_text";
  private static final String EMPTY_RESPONSES = "empty_responses";

  /** Names of the checks that can be switched off, in the order of their execution. */
  public static final List<String> NAMES =
      List.of(
          KL_AT_START,
          SAMPLER_AND_SCORER,
          BATCH_AND_SINGLES,
          REWARD_LABEL,
          SPECIAL_TOKENS,
          EMPTY_RESPONSES);

  /**
   * One check.
   *
   * @param name short name
   * @param value measured value
   * @param limit largest valid value; NaN if the value is only reported
   * @param sentence meaning of the value, and what to do if the check fails
   */
  public record Check(String name, double value, double limit, String sentence) {
    /** Returns true if the value is within the limit. */
    public boolean passed() {
      return Double.isNaN(limit) || value <= limit;
    }
  }

  /**
   * Runs the checks.
   *
   * @param first the first step's rollout, before any update
   * @param sameAsReference whether the policy must start as its reference
   * @param off names of checks that are switched off, of {@link #NAMES}
   */
  static Preflight of(
      Ppo ppo, Rollout first, Reward reward, boolean sameAsReference, Set<String> off) {
    List<Check> checks = new ArrayList<>();
    if (!off.contains(KL_AT_START)) {
      checks.add(klAtStart(first, sameAsReference));
    }
    if (!off.contains(SAMPLER_AND_SCORER)
        && first.samples().getFirst().logProbabilities() != null) {
      checks.add(samplerAndScorer(ppo, first));
    }
    if (!off.contains(BATCH_AND_SINGLES)) {
      checks.add(
          new Check(
              BATCH_AND_SINGLES,
              singlesDifference(ppo, first),
              0,
              "responses scored in one batch and one by one have bitwise identical"
                  + " log-probabilities; where they differ, padding or order leaks into the"
                  + " numbers"));
    }
    if (!off.contains(REWARD_LABEL)) {
      reward.probes().forEach(probe -> checks.add(rewardOrder(probe)));
    }
    if (!off.contains(SPECIAL_TOKENS)) {
      checks.add(
          new Check(
              SPECIAL_TOKENS,
              first.texts().stream().filter(text -> text.matches("(?s).*(<pad>|</s>).*")).count(),
              0,
              "the reward reads text: no response may hold the special tokens <pad> or </s>"));
    }
    if (!off.contains(EMPTY_RESPONSES)) {
      checks.add(
          new Check(
              EMPTY_RESPONSES,
              first.texts().stream().filter(String::isBlank).count(),
              first.texts().size() - 1,
              "at least one prompt must be answered with text; where none is, the prompts or the"
                  + " length limits are wrong"));
    }
    return new Preflight(checks);
  }

  private static Check klAtStart(Rollout first, boolean sameAsReference) {
    return new Check(
        KL_AT_START,
        largest(first.logProbabilities(), first.referenceLogProbabilities()),
        sameAsReference ? 0 : Double.NaN,
        sameAsReference
            ? "the policy starts as its reference, so that no token's log-probability may"
                + " differ; where one does, the reference is not what its name says"
            : "the policy does not start as its reference: the largest difference of a token's"
                + " log-probability");
  }

  private static Check samplerAndScorer(Ppo ppo, Rollout first) {
    return new Check(
        SAMPLER_AND_SCORER,
        samplerDifference(first),
        ppo.policy().dtype() == DType.FLOAT32 ? 1e-3 : 5e-2,
        "the mean difference between a token's log-probability when it is sampled and when"
            + " the whole response is scored; where it is large, the two read different"
            + " inputs");
  }

  private static Check rewardOrder(Reward.Probe probe) {
    return new Check(
        "reward_order_" + probe.term(),
        probe.worseValue() - probe.value(),
        Math.nextDown(0.0),
        "\"%s\" must get more than \"%s\"; where it does not, the label is the wrong one, it names the bad and needs a negative weight (--reward-label=-NAME), or the classifier cannot tell (--probe-good and --probe-bad compare other texts, --no-preflight=%s compares none)"
            .formatted(probe.better(), probe.worse(), REWARD_LABEL));
  }

  private static double largest(double[] a, double[] b) {
    double largest = 0;
    for (int i = 0; i < a.length; i++) {
      largest = Math.max(largest, Math.abs(a[i] - b[i]));
    }
    return largest;
  }

  private static double samplerDifference(Rollout rollout) {
    double sum = 0;
    int at = 0;
    for (SampledTokens sample : rollout.samples()) {
      for (float sampled : sample.logProbabilities()) {
        sum += Math.abs(sampled - rollout.logProbabilities()[at++]);
      }
    }
    return sum / at;
  }

  private static double singlesDifference(Ppo ppo, Rollout rollout) {
    double largest = 0;
    int prompts = Math.min(SINGLES, rollout.prompts().size());
    int each = rollout.perPrompt();
    double[][] before = new double[prompts][];
    for (int i = 0; i < prompts; i++) {
      before[i] =
          java.util.Arrays.copyOfRange(
              rollout.logProbabilities(),
              rollout.offsets()[i * each],
              rollout.offsets()[(i + 1) * each]);
    }
    for (int i = 0; i < prompts; i++) {
      List<int[]> responses =
          rollout.samples().subList(i * each, (i + 1) * each).stream()
              .map(SampledTokens::tokens)
              .toList();
      Rollout single = ppo.rollout(List.of(rollout.prompts().get(i)), responses, rollout.step());
      largest = Math.max(largest, largest(before[i], single.logProbabilities()));
    }
    return largest;
  }

  /**
   * Throws if a check failed.
   *
   * @throws InvalidInputException with all checks that failed
   */
  public void require() {
    List<String> failed = new ArrayList<>();
    for (Check check : checks) {
      if (!check.passed()) {
        failed.add(
            "%s is %s, but may be %s at most: %s"
                .formatted(check.name, number(check.value), number(check.limit), check.sentence));
      }
    }
    if (!failed.isEmpty()) {
      throw new InvalidInputException(
          "The run does not start, because " + String.join("; and ", failed));
    }
  }

  private static String number(double value) {
    return value == Math.rint(value) || value == Math.nextDown(0.0)
        ? String.valueOf(Math.round(value))
        : "%.3g".formatted(value);
  }

  /** Returns the checks as JSON for the run folder. */
  public ArrayNode toJson() {
    ArrayNode all = Json.mapper().createArrayNode();
    for (Check check : checks) {
      ObjectNode node = all.addObject();
      node.put("name", check.name);
      node.put("value", check.value);
      if (!Double.isNaN(check.limit)) {
        node.put("limit", check.limit);
      }
      node.put("passed", check.passed());
      node.put("meaning", check.sentence);
    }
    return all;
  }
}
