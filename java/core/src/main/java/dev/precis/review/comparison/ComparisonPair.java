package dev.precis.review.comparison;

import java.util.ArrayList;
import java.util.List;

/**
 * Two summaries of one dialogue.
 *
 * @param a index of a text of the item
 * @param b index of another one, larger than {@code a}
 */
public record ComparisonPair(ComparisonItem item, int a, int b) {
  /** Names a pair without its texts. */
  record Key(String item, int a, int b) {}

  /** Returns all pairs of an item's texts that differ in more than the spaces around them. */
  public static List<ComparisonPair> of(ComparisonItem item) {
    List<CandidateText> texts = item.texts();
    List<ComparisonPair> pairs = new ArrayList<>();
    for (int a = 0; a < texts.size(); a++) {
      for (int b = a + 1; b < texts.size(); b++) {
        boolean known = !item.gold() || a == 0;
        if (known && !texts.get(a).text().strip().equals(texts.get(b).text().strip())) {
          pairs.add(new ComparisonPair(item, a, b));
        }
      }
    }
    return pairs;
  }

  Key key() {
    return new Key(item.id(), a, b);
  }

  /** Returns the names of the two candidates, in the order of the item. */
  String group() {
    return item.texts().get(a).candidate() + "\n" + item.texts().get(b).candidate();
  }

  /**
   * Returns the probability that text a is better, by the Bradley-Terry model on the reward model's
   * scores; null where they are missing.
   */
  public Double probability() {
    Double first = item.texts().get(a).score();
    Double second = item.texts().get(b).score();
    return first == null || second == null ? null : 1 / (1 + Math.exp(second - first));
  }
}
