package dev.precis.alignment.reward;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;

/**
 * Samples for one prompt and their rewards. The sample with the highest reward is the result of
 * best-of-n sampling, on which RAFT (Dong et al. 2023) fine-tunes; with the one that has the lowest
 * reward it is a preference pair, on which iterative DPO (Xu et al. 2023) trains the policy that
 * the next samples come from.
 *
 * @param texts samples in the order in which they were sampled; a text may occur several times
 * @param scores a score for each sample
 * @param chosen index of the sample with the highest reward, the first of several
 * @param rejected index of the sample with the lowest reward, the first of several, among those
 *     that make a preference pair with the chosen one: neither is blank, and their texts and
 *     rewards differ; {@link #NONE} if there is none
 */
public record BestOfN(List<String> texts, List<Score> scores, int chosen, int rejected) {
  /** The index of no sample. */
  public static final int NONE = -1;

  /** Copies the lists. */
  public BestOfN {
    texts = List.copyOf(texts);
    scores = List.copyOf(scores);
  }

  /**
   * Scores samples. Equal texts are scored once and have the same score; no other prompt's texts
   * are in the call, so that scores do not depend on how prompts are batched.
   *
   * @param id id of the prompt, for error messages
   * @param prompt text that the policy read
   * @param references summaries that people wrote; may be empty
   * @param texts at least one sample
   * @throws dev.precis.io.InvalidInputException where a score is not finite
   */
  public static BestOfN of(
      Reward reward, String id, String prompt, List<String> references, List<String> texts) {
    List<String> distinct = List.copyOf(new LinkedHashSet<>(texts));
    List<Score> scored =
        reward.checked(
            distinct.stream().map(text -> new Completion(id, prompt, text, references)).toList());
    Map<String, Score> byText = new LinkedHashMap<>();
    for (int i = 0; i < distinct.size(); i++) {
      byText.put(distinct.get(i), scored.get(i));
    }
    List<Score> scores = new ArrayList<>();
    int chosen = 0;
    for (int i = 0; i < texts.size(); i++) {
      scores.add(byText.get(texts.get(i)));
      chosen = scores.get(i).value() > scores.get(chosen).value() ? i : chosen;
    }
    return new BestOfN(texts, scores, chosen, rejected(texts, scores, chosen));
  }

  private static int rejected(List<String> texts, List<Score> scores, int chosen) {
    String best = texts.get(chosen).strip();
    int worst = NONE;
    for (int i = 0; i < texts.size(); i++) {
      String text = texts.get(i).strip();
      double value = scores.get(i).value();
      if (!best.isEmpty()
          && !text.isEmpty()
          && !text.equals(best)
          && value < scores.get(worst == NONE ? chosen : worst).value()) {
        worst = i;
      }
    }
    return worst;
  }

  /** Returns true if there is a rejected sample. */
  public boolean isPair() {
    return rejected != NONE;
  }

  /** Returns the reward of the chosen sample minus that of the rejected one; 0 without a pair. */
  public double margin() {
    return isPair() ? scores.get(chosen).value() - scores.get(rejected).value() : 0;
  }
}
