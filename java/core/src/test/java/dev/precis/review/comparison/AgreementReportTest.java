package dev.precis.review.comparison;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.evaluation.Agreement;
import dev.precis.review.comparison.AgreementReport.AnnotatorReport;
import dev.precis.review.comparison.AgreementReport.Standing;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AgreementReportTest {
  @TempDir private Path folder;

  private static Choice choice(
      String annotator, String item, int first, Preference preference, boolean repeat) {
    return new Choice(
        annotator,
        item,
        first,
        1 - first,
        repeat,
        PairSelection.RANDOM,
        null,
        preference == Preference.SKIP
            ? new Judgment(preference, null, Ratings.NONE, Ratings.NONE, "odd", null, 4.0)
            : new Judgment(preference, null, Ratings.NONE, Ratings.NONE, null, null, 4.0));
  }

  private AgreementReport report(List<ComparisonItem> items, List<Choice> choices) {
    Path votes = folder.resolve("votes");
    ComparisonProject.create(
        votes, Comparisons.settings(1, 0, "Ann", "Ben", "Cem"), items, choices);
    return AgreementReport.of(ComparisonProject.read(votes), 200, 1);
  }

  /** The two annotators of Cohen's example in the tests of {@link Agreement}, as choices. */
  @Test
  void kappasAndAlphaAreThoseOfTheSameRatings() {
    int[] ann = {0, 1, 0, 2, 1, 0, 3, 0, 1, 1};
    int[] ben = {0, 1, 1, 2, 1, 0, 3, 1, 1, 2};
    List<Choice> choices = new ArrayList<>();
    for (int i = 0; i < ann.length; i++) {
      choices.add(of("Ann", i, ann[i], i % 2));
      choices.add(of("Ben", i, ben[i], (i + 1) % 2));
    }
    AgreementReport report = report(Comparisons.items(10), choices);
    assertEquals(20, report.answers());
    assertEquals(1, report.kappas().size());
    assertEquals(10, report.kappas().getFirst().pairs());
    assertEquals(Agreement.cohenKappa(ann, ben), report.kappas().getFirst().kappa(), 1e-12);
    int[][] counts = new int[10][4];
    double[][] ratings = new double[2][10];
    for (int i = 0; i < 10; i++) {
      counts[i][ann[i]]++;
      counts[i][ben[i]]++;
      ratings[0][i] = ann[i];
      ratings[1][i] = ben[i];
    }
    assertEquals(Agreement.fleissKappa(counts), report.fleissKappa(), 1e-12);
    assertEquals(
        Agreement.krippendorffAlpha(ratings, Agreement.Level.NOMINAL),
        report.alpha().value(),
        1e-12);
    assertTrue(report.alpha().low() <= report.alpha().value());
    assertTrue(report.alpha().high() >= report.alpha().value());
  }

  /** Returns the choice of a category, whichever text stands first. */
  private static Choice of(String annotator, int item, int category, int first) {
    Preference preference =
        switch (category) {
          case 2 -> Preference.TIE;
          case 3 -> Preference.BOTH_BAD;
          default -> category == first ? Preference.FIRST : Preference.SECOND;
        };
    return choice(annotator, "d" + item, first, preference, false);
  }

  @Test
  void placesRepeatsGoldAndRanking() {
    List<ComparisonItem> items = new ArrayList<>(Comparisons.items(8));
    items.addAll(Comparisons.gold(2));
    List<Choice> choices = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      choices.add(
          choice("Ann", "d" + i, i % 2, i % 2 == 0 ? Preference.SECOND : Preference.FIRST, false));
    }
    choices.add(choice("Ann", "d6", 0, Preference.TIE, false));
    choices.add(choice("Ann", "d7", 0, Preference.SKIP, false));
    choices.add(choice("Ann", "d0", 1, Preference.FIRST, true)); // the same text, on the other side
    choices.add(choice("Ann", "d1", 0, Preference.FIRST, true)); // the other text
    choices.add(choice("Ann", "gold:0", 0, Preference.FIRST, false));
    choices.add(choice("Ann", "gold:1", 0, Preference.SECOND, false));
    AgreementReport report = report(items, choices);
    assertEquals(7, report.answers());
    assertEquals(1, report.skipped());
    assertNull(report.alpha());
    assertEquals(6, report.position().first());
    assertEquals(10, report.position().decided());
    assertEquals(new AnnotatorReport("Ann", 7, 1, 4.0, 2, 1, 2, 1), report.annotators().getFirst());
    Standing best = report.ranking().getFirst();
    assertEquals("tuned", best.candidate());
    assertEquals(List.of(6, 0, 1), List.of(best.wins(), best.losses(), best.ties()));
    assertTrue(best.strength().value() > 0.5 && best.strength().low() > 0, "" + best);
    assertEquals(-best.strength().value(), report.ranking().get(1).strength().value(), 1e-9);
  }
}
