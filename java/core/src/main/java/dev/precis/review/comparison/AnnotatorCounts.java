package dev.precis.review.comparison;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Counts what one annotator has answered. */
final class AnnotatorCounts {
  int answers;
  int skipped;
  int repeats;
  int consistent;
  int gold;
  int goldRight;
  private final List<Double> seconds = new ArrayList<>();
  private final Map<ComparisonPair.Key, Integer> earlier = new HashMap<>();

  void add(Choice choice, boolean isGold) {
    Judgment judgment = choice.judgment();
    if (judgment.seconds() != null) {
      seconds.add(judgment.seconds());
    }
    if (judgment.preference() == Preference.SKIP) {
      skipped++;
      return;
    }
    int category = choice.category();
    if (choice.repeat()) {
      Integer before = earlier.get(choice.key());
      repeats += before == null ? 0 : 1;
      consistent += before != null && before == category ? 1 : 0;
      return;
    }
    earlier.put(choice.key(), category);
    if (isGold) {
      gold++;
      goldRight += choice.winner() == 0 ? 1 : 0;
    } else {
      answers++;
    }
  }

  double medianSeconds() {
    if (seconds.isEmpty()) {
      return Double.NaN;
    }
    return seconds.stream().sorted().toList().get(seconds.size() / 2);
  }
}
