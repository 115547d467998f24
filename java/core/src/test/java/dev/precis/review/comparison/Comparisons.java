package dev.precis.review.comparison;

import dev.precis.text.PromptTemplate;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Small projects for tests. */
public final class Comparisons {
  public static final String TEMPLATE = PromptTemplate.DEFAULT.text();

  private Comparisons() {}

  public static ComparisonSettings settings(int overlap, double repeats, String... annotators) {
    return new ComparisonSettings(
        7, overlap, repeats, List.of(annotators), "Read both.", TEMPLATE, PairSelection.RANDOM);
  }

  /** Returns items d0, d1, ... with the texts of candidates base and tuned. */
  public static List<ComparisonItem> items(int count) {
    List<ComparisonItem> items = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      items.add(
          item(
              "d" + i,
              new CandidateText("base", "Ann greets Ben, number " + i + ".", null),
              new CandidateText("tuned", "Ben is greeted " + i + " times.", null)));
    }
    return items;
  }

  public static ComparisonItem item(String id, CandidateText... texts) {
    return new ComparisonItem(
        id, "Ann: Hello Ben, this is " + id + ".\nBen: Hi.", false, List.of(texts), false);
  }

  /** Returns items whose first text is known to be better. */
  public static List<ComparisonItem> gold(int count) {
    List<ComparisonItem> items = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      items.add(
          new ComparisonItem(
              "gold:" + i,
              "Ann: Gold " + i + ".",
              false,
              List.of(
                  new CandidateText("gold:chosen", "Good " + i, null),
                  new CandidateText("gold:rejected", "Bad " + i, null)),
              true));
    }
    return items;
  }

  public static ComparisonProject project(
      Path folder, ComparisonSettings settings, List<ComparisonItem> items) {
    ComparisonProject.create(folder, settings, items);
    return ComparisonProject.read(folder);
  }

  /** Answers all that an annotator is asked, always for the text that stands first. */
  public static int answerAll(ComparisonSession session, String annotator, Preference preference) {
    int count = 0;
    for (List<ComparisonTask> next = session.next(annotator, 2);
        !next.isEmpty();
        next = session.next(annotator, 2)) {
      session.choose(annotator, next.getFirst().id(), Judgment.of(preference));
      count++;
    }
    return count;
  }
}
