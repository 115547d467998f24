package dev.precis.review.exchange;

import dev.precis.review.comparison.Choice;
import dev.precis.review.comparison.ComparisonItem;
import dev.precis.review.comparison.ComparisonProject;
import dev.precis.review.comparison.RecordedChoice;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The answers to one pair of texts, without repeats.
 *
 * @param a index of the one text
 * @param b index of the other one
 */
record PairVotes(ComparisonItem item, int a, int b, List<Choice> choices) {
  /** Copies the choices. */
  PairVotes {
    choices = List.copyOf(choices);
  }

  /** Returns the pairs that have answers, gold pairs left out, in the order of the items. */
  static List<PairVotes> of(ComparisonProject project) {
    Map<List<Object>, List<Choice>> byPair = new LinkedHashMap<>();
    Map<String, ComparisonItem> items = new LinkedHashMap<>();
    for (ComparisonItem item : project.items()) {
      items.put(item.id(), item);
    }
    for (RecordedChoice recorded : project.choices()) {
      Choice choice = recorded.choice();
      if (!choice.repeat() && !items.get(choice.item()).gold()) {
        int a = Math.min(choice.first(), choice.second());
        int b = Math.max(choice.first(), choice.second());
        byPair.computeIfAbsent(List.of(choice.item(), a, b), any -> new ArrayList<>()).add(choice);
      }
    }
    List<PairVotes> all = new ArrayList<>();
    for (ComparisonItem item : items.values()) {
      for (int a = 0; a < item.texts().size(); a++) {
        for (int b = a + 1; b < item.texts().size(); b++) {
          List<Choice> choices = byPair.get(List.<Object>of(item.id(), a, b));
          if (choices != null) {
            all.add(new PairVotes(item, a, b, choices));
          }
        }
      }
    }
    return all;
  }

  int votes(int text) {
    return (int) choices.stream().filter(each -> each.winner() == text).count();
  }

  /** Returns the text that more annotators prefer; -1 if none is. */
  int winner() {
    return Integer.compare(votes(a), votes(b)) == 0 ? -1 : votes(a) > votes(b) ? a : b;
  }

  /** Returns the text that fewer annotators prefer, where there is a winner. */
  int loser() {
    return winner() == a ? b : a;
  }

  /**
   * Returns the mean over all answers with a confidence c of (c - 1) / 8, with a minus sign where
   * the other text is preferred and 0 for no preference; at least 0, and null without confidence.
   */
  Double margin() {
    double sum = 0;
    int count = 0;
    for (Choice each : choices) {
      Integer confidence = each.judgment().confidence();
      if (confidence != null) {
        double share = (confidence - 1) / 8.0;
        sum += each.winner() < 0 ? 0 : each.winner() == winner() ? share : -share;
        count++;
      }
    }
    return count == 0 ? null : (Double) Math.max(0, sum / count);
  }
}
