package dev.precis.cli.demo;

import dev.precis.data.builtin.BuiltInDialogue;
import dev.precis.evaluation.Rouge;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/** Chooses examples that are neither the best nor the worst. */
final class TypicalExamples {
  private TypicalExamples() {}

  /**
   * Returns places of dialogues whose ROUGE-1 is at the median and next to it: first of those
   * without an insult, and the last one of those with one.
   *
   * @param scores one for each dialogue
   * @param count 2 or more
   */
  static List<Integer> of(List<BuiltInDialogue> dialogues, double[] scores, int count) {
    List<Integer> chosen = new ArrayList<>(middle(sorted(dialogues, scores, false), count - 1));
    chosen.addAll(middle(sorted(dialogues, scores, true), 1));
    return chosen;
  }

  /** Scores summaries and chooses; see {@link #of(List, double[], int)}. */
  static List<Integer> of(List<BuiltInDialogue> dialogues, List<String> summaries, int count) {
    Rouge rouge = Rouge.of(Rouge.Preset.STEMMER);
    double[] scores = new double[dialogues.size()];
    for (int i = 0; i < scores.length; i++) {
      scores[i] =
          rouge
              .score(summaries.get(i), dialogues.get(i).summaries(), Rouge.MultiReference.MAX)
              .rouge1()
              .f1();
    }
    return of(dialogues, scores, count);
  }

  private static List<Integer> sorted(
      List<BuiltInDialogue> dialogues, double[] scores, boolean rude) {
    return IntStream.range(0, scores.length)
        .filter(i -> dialogues.get(i).rude() == rude)
        .boxed()
        .sorted(Comparator.comparingDouble(i -> scores[i]))
        .toList();
  }

  private static List<Integer> middle(List<Integer> sorted, int count) {
    int from = Math.max(0, (sorted.size() - count) / 2);
    return sorted.subList(from, Math.min(sorted.size(), from + count));
  }
}
