package dev.precis.review.exchange;

import dev.precis.review.comparison.CandidateText;
import dev.precis.review.comparison.Choice;
import dev.precis.review.comparison.ComparisonItem;
import dev.precis.review.comparison.Judgment;
import dev.precis.review.comparison.PairSelection;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Collects items and answers from rows of which several can be about the same dialogue. */
final class ImportedComparisons {
  private final Map<String, String> dialogues = new LinkedHashMap<>();
  private final Map<String, List<CandidateText>> texts = new LinkedHashMap<>();
  private final List<Choice> choices = new ArrayList<>();
  private final Set<String> annotators = new LinkedHashSet<>();
  private final Set<List<Object>> answered = new LinkedHashSet<>();
  private int same;

  /** Returns the index of a text among those of an item, which is made if it is new. */
  int text(String item, String dialogue, String candidate, String text) {
    dialogues.putIfAbsent(item, dialogue);
    List<CandidateText> all = texts.computeIfAbsent(item, any -> new ArrayList<>());
    CandidateText found = new CandidateText(candidate, text, null);
    if (!all.contains(found)) {
      all.add(found);
    }
    return all.indexOf(found);
  }

  /** Adds an answer; one to a text and itself is left out, and a second one counts as a repeat. */
  void answer(String annotator, String item, int first, int second, Judgment judgment) {
    if (first == second) {
      same++;
      return;
    }
    annotators.add(annotator);
    boolean isNew =
        answered.add(List.of(annotator, item, Math.min(first, second), Math.max(first, second)));
    choices.add(
        new Choice(annotator, item, first, second, !isNew, PairSelection.IMPORTED, null, judgment));
  }

  List<ComparisonItem> items() {
    List<ComparisonItem> items = new ArrayList<>();
    texts.forEach(
        (id, all) -> {
          if (all.size() > 1) {
            items.add(new ComparisonItem(id, dialogues.get(id), false, all, false));
          }
        });
    return items;
  }

  List<Choice> choices() {
    return List.copyOf(choices);
  }

  List<String> annotators() {
    return List.copyOf(annotators);
  }

  /** Returns how many answers were about a text and itself. */
  int same() {
    return same;
  }
}
