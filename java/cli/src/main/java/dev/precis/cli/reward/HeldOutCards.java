package dev.precis.cli.reward;

import dev.precis.alignment.reward.LabelledExample;
import dev.precis.alignment.reward.PairExample;
import dev.precis.alignment.reward.RewardTrainer;
import dev.precis.cli.page.Cards;
import dev.precis.cli.page.WordDifference;
import dev.precis.text.Tokenizer;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.function.IntFunction;
import java.util.stream.IntStream;

/** Held-out examples of a reward model or a classifier as cards, the worst mistakes first. */
final class HeldOutCards {
  private static final int MOST = 200;
  private static final int TOGETHER = 3;
  private static final String RIGHT = "right";
  private static final String WRONG = "wrong";

  private HeldOutCards() {}

  /** Shows pairs with their rewards; the words that only one of the two texts has are marked. */
  static Cards ofPairs(
      Tokenizer tokenizer, List<PairExample> pairs, List<RewardTrainer.PairReward> rewards) {
    return cards(
        "pairs",
        " Marked words are in one of the two texts alone.",
        rewards.stream().map(each -> each.chosen() - each.rejected()).toList(),
        i -> pair(tokenizer, i, pairs.get(i), rewards.get(i)));
  }

  private static Cards.Card pair(
      Tokenizer tokenizer, int index, PairExample pair, RewardTrainer.PairReward reward) {
    WordDifference words =
        WordDifference.of(
            tokenizer.decode(pair.chosen(), true), tokenizer.decode(pair.rejected(), true));
    double margin = reward.chosen() - reward.rejected();
    return new Cards.Card(
        "Pair " + (index + 1),
        format("the chosen text is ahead by %.3f", margin),
        List.of(margin > 0 ? RIGHT : WRONG),
        "",
        List.of(
            new Cards.Entry("chosen", format("reward %.3f", reward.chosen()), words.beforeHtml()),
            new Cards.Entry(
                "rejected", format("reward %.3f", reward.rejected()), words.afterHtml())));
  }

  /**
   * Shows texts with what was predicted.
   *
   * @param labels of the model
   * @param probabilities of each text, by label
   */
  static Cards ofTexts(
      Tokenizer tokenizer,
      List<LabelledExample> texts,
      List<String> labels,
      List<double[]> probabilities) {
    return cards(
        "texts",
        "",
        IntStream.range(0, texts.size())
            .mapToObj(i -> probabilities.get(i)[texts.get(i).label()])
            .toList(),
        i -> text(tokenizer, i, texts.get(i), labels, probabilities.get(i)));
  }

  private static Cards.Card text(
      Tokenizer tokenizer,
      int index,
      LabelledExample text,
      List<String> labels,
      double[] probabilities) {
    int predicted =
        IntStream.range(0, probabilities.length)
            .boxed()
            .max(Comparator.comparingDouble(i -> probabilities[i]))
            .orElseThrow();
    return new Cards.Card(
        "Text " + (index + 1),
        format(
            "predicted %s (%.3f), labelled %s (%.3f)",
            labels.get(predicted),
            probabilities[predicted],
            labels.get(text.label()),
            probabilities[text.label()]),
        List.of(predicted == text.label() ? RIGHT : WRONG),
        "",
        List.of(Cards.Entry.plain("text", "", tokenizer.decode(text.tokens(), true))));
  }

  /** Sorts by a number that is low for mistakes, and takes evenly spread ones if there are many. */
  private static Cards cards(
      String what, String marks, List<Double> order, IntFunction<Cards.Card> card) {
    List<Integer> sorted =
        IntStream.range(0, order.size())
            .boxed()
            .sorted(Comparator.comparingDouble(order::get))
            .toList();
    int shown = Math.min(MOST, sorted.size());
    List<Cards.Card> cards = new ArrayList<>();
    for (int i = 0; i < shown; i++) {
      cards.add(
          card.apply(sorted.get((int) ((long) i * (sorted.size() - 1) / Math.max(1, shown - 1)))));
    }
    String which =
        shown < sorted.size()
            ? "%,d of %,d held-out %s, evenly spread from the worst mistake"
            : "All %,d held-out %3$s, from the worst mistake";
    return new Cards(
        which.formatted(shown, sorted.size(), what)
            + " to the surest right answer, as the model reads them."
            + marks,
        "the held-out data has all of them.",
        TOGETHER,
        cards);
  }

  private static String format(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }
}
