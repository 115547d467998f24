package dev.precis.evaluation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.precis.data.Summaries;
import dev.precis.evaluation.Rouge.MultiReference;
import dev.precis.evaluation.Rouge.Preset;
import dev.precis.evaluation.Rouge.Scores;
import dev.precis.io.InvalidInputException;
import java.util.List;
import org.junit.jupiter.api.Test;

final class EvaluationExampleTest {
  private static Summaries row(String id, String dialogue, String... texts) {
    return new Summaries(id, dialogue, List.of(texts));
  }

  private static List<EvaluationExample> match(
      List<Summaries> predictions, List<Summaries> references) {
    return EvaluationExample.match(predictions, "P", references, "R");
  }

  @Test
  void matchesByIdInTheReferencesOrder() {
    assertEquals(
        List.of(
            new EvaluationExample("a", List.of("pa"), List.of("ra")),
            new EvaluationExample("b", List.of("pb"), List.of("rb", "sb"))),
        match(
            List.of(row("b", null, "pb"), row("a", null, "pa")),
            List.of(row("a", "x", "ra"), row("b", "y", "rb", "sb"))));
  }

  @Test
  void matchesByOrderWhereAnIdIsMissing() {
    assertEquals(
        List.of(
            new EvaluationExample("b", List.of("one"), List.of("rb")),
            new EvaluationExample("a", List.of("two"), List.of("ra"))),
        match(
            List.of(row("a", null, "one"), row(null, null, "two")),
            List.of(row("b", null, "rb"), row("a", null, "ra"))));
  }

  /** DialogSum's test set on the hub has a row for each reference. */
  @Test
  void rowsOfADialogueAreOne() {
    List<EvaluationExample> judged =
        match(
            List.of(row(null, null, "a b"), row(null, null, "c"), row(null, null, "a b c d")),
            List.of(row("1_1", "x", "a b"), row("2_1", "y", "c"), row("1_2", "x", "c d")));
    assertEquals(
        List.of(
            new EvaluationExample("1_1", List.of("a b", "a b c d"), List.of("a b", "c d")),
            new EvaluationExample("2_1", List.of("c"), List.of("c"))),
        judged);
    List<Scores> scores =
        EvaluationExample.score(judged, Rouge.of(Preset.STEMMER), MultiReference.MAX);
    assertEquals(2, scores.size());
    // Of "a b": 1; of "a b c d": precision 1/2, recall 1.
    assertEquals((1 + 2.0 / 3) / 2, scores.getFirst().rouge1().f1(), 1e-15);
    assertEquals((1 + 0.5) / 2, scores.getFirst().rouge1().precision(), 1e-15);
    assertEquals(1, scores.getLast().rougeL().f1());
  }

  @Test
  void whatDoesNotFitIsNamed() {
    List<Summaries> a = List.of(row("a", null, "x"));
    List<Summaries> ab = List.of(row("a", null, "x"), row("b", null, "y"));
    List<Summaries> abc = List.of(row("a", null, "x"), row("b", null, "y"), row("c", null, "z"));
    assertSentence("P has a summary of 'b', which R does not have", ab, a);
    assertSentence("P has no summary of 'b', which R has", a, ab);
    assertSentence("P has no summary of 'b' and 1 more, which R has", a, abc);
    assertSentence("P has the id 'a' twice", List.of(a.getFirst(), a.getFirst()), ab);
    assertSentence("R has the id 'a' twice", ab, List.of(a.getFirst(), a.getFirst()));
    assertSentence(
        "P has 1 summaries and R has 2; without an id in every row of both they are compared by"
            + " order and must be as many",
        List.of(row(null, null, "x")),
        ab);
  }

  private static void assertSentence(
      String sentence, List<Summaries> predictions, List<Summaries> references) {
    InvalidInputException e =
        assertThrows(InvalidInputException.class, () -> match(predictions, references));
    assertEquals(sentence, e.getMessage());
  }
}
