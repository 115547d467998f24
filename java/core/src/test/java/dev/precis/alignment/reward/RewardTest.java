package dev.precis.alignment.reward;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Classifier;
import dev.precis.Fixtures;
import dev.precis.alignment.reward.ClassifierReward.Measure;
import dev.precis.alignment.reward.WeightedReward.Part;
import dev.precis.evaluation.Rouge;
import dev.precis.io.InvalidInputException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class RewardTest {
  private static final List<Completion> TWO =
      List.of(
          new Completion(
              "a", "Summarize: ...", "Mike books a room.", List.of("Mike books a room.", "No.")),
          new Completion("b", "Summarize this.", "You stupid fool!", List.of("Ann is rude.")));

  private static Classifier classifier() {
    return Classifier.load(Fixtures.folder("roberta-tiny"));
  }

  private static String refused(Runnable action) {
    return assertThrows(InvalidInputException.class, action::run).getMessage();
  }

  @Test
  void aLabelIsFoundByItsNameAndTheTextAloneIsRead() {
    try (Classifier classifier = classifier()) {
      List<Classifier.Scores> want = classifier.score(TWO.stream().map(Completion::text).toList());
      for (String label : classifier.labels()) {
        Reward logit =
            new ClassifierReward(classifier, label, Measure.LOGIT, RewardTemplate.COMPLETION);
        Reward probability =
            new ClassifierReward(classifier, label, Measure.PROBABILITY, RewardTemplate.COMPLETION);
        for (int i = 0; i < 2; i++) {
          Score score = logit.checked(TWO).get(i);
          assertEquals(want.get(i).logits().get(label), score.value());
          assertEquals(Map.of(label, score.value()), score.terms());
          assertEquals(
              want.get(i).probabilities().get(label), probability.checked(TWO).get(i).value());
        }
      }
    }
  }

  @Test
  void thePromptIsReadOnRequest() {
    try (Classifier classifier = classifier()) {
      Reward reward =
          new ClassifierReward(
              classifier, "hate", Measure.LOGIT, RewardTemplate.PROMPT_AND_COMPLETION);
      double want =
          classifier
              .score(List.of("Summarize this.\nYou stupid fool!"))
              .getFirst()
              .logits()
              .get("hate");
      assertEquals(want, reward.score(TWO).getLast().value(), 1e-6);
    }
  }

  @Test
  void aLabelThatIsNotThereIsRefusedWithThoseThatAre() {
    try (Classifier classifier = classifier()) {
      String said =
          refused(
              () ->
                  new ClassifierReward(
                      classifier, "toxic", Measure.LOGIT, RewardTemplate.COMPLETION));
      assertTrue(said.contains("no label 'toxic'") && said.contains("nothate, hate"), said);
      said =
          refused(
              () ->
                  new ClassifierReward(classifier, null, Measure.LOGIT, RewardTemplate.COMPLETION));
      assertTrue(said.contains("none is named") && said.contains("nothate, hate"), said);
    }
  }

  @Test
  void twoSentencesComeOutInOrderForTheRightLabelOnly() {
    try (Classifier classifier = classifier()) {
      ClassifierReward right =
          new ClassifierReward(classifier, "nothate", Measure.LOGIT, RewardTemplate.COMPLETION);
      ClassifierReward wrong =
          new ClassifierReward(classifier, "hate", Measure.LOGIT, RewardTemplate.COMPLETION);
      assertTrue(right.probe().passed(), right.probe().toString());
      assertFalse(wrong.probe().passed(), wrong.probe().toString());
      Reward penalty = new WeightedReward(List.of(new Part("rude", -1, wrong)));
      assertTrue(penalty.probes().getFirst().passed());
      assertEquals("rude", penalty.probes().getFirst().term());
      assertTrue(RougeReward.of(Rouge.Metric.ROUGE_1).probes().isEmpty());
    }
  }

  @ParameterizedTest
  @CsvSource({"ROUGE_1, 1", "ROUGE_2, 1", "ROUGE_L, 1", "ROUGE_LSUM, 1"})
  void rougeIsAgainstTheNearestReference(Rouge.Metric metric, double want) {
    Reward reward = RougeReward.of(metric);
    assertEquals(want, reward.checked(TWO).getFirst().value());
    assertEquals(0, reward.checked(TWO).getLast().value());
    assertEquals(metric.id(), reward.score(TWO).getFirst().terms().keySet().iterator().next());
    String said =
        refused(() -> reward.score(List.of(new Completion("lonely", "p", "text", List.of()))));
    assertTrue(said.contains("'lonely'") && said.contains(metric.id()), said);
  }

  @Test
  void factsAreLookedUpInThePrompt() {
    String prompt = "Summarize.\n\nA: I come at five with Keller.\nB: Fine.\n\nSummary:";
    List<Score> scores =
        new FactReward()
            .score(
                List.of(
                    new Completion("1", prompt, "A comes with Keller at 5:00.", List.of()),
                    new Completion("2", prompt, "A comes with Keller at 6:00.", List.of())));
    assertEquals(1, scores.get(0).value());
    assertTrue(scores.get(1).value() > 0 && scores.get(1).value() < 1);
  }

  @Test
  void lengthAimsAtATarget() {
    Reward words = new LengthReward(LengthReward.Unit.WORDS, 3, 0.5);
    assertEquals(-0.5, words.score(TWO).getFirst().value());
    assertEquals(0, words.score(TWO).getLast().value());
    Reward characters = new LengthReward(LengthReward.Unit.CHARACTERS, 2, 1);
    Completion emoji = new Completion("e", "", "\uD83D\uDE00!", List.of());
    assertEquals(0, characters.score(List.of(emoji)).getFirst().value());
    Completion empty = new Completion("e", "", "", List.of());
    assertEquals(-1.5, words.score(List.of(empty)).getFirst().value());
    assertTrue(refused(() -> new LengthReward(LengthReward.Unit.WORDS, 3, 0)).contains("above 0"));
    assertTrue(
        refused(() -> new LengthReward(LengthReward.Unit.WORDS, -1, 1)).contains("0 or more"));
  }

  @Test
  void aSumKeepsItsTerms() {
    List<String> closed = new ArrayList<>();
    Reward one =
        new Reward() {
          @Override
          public List<Score> score(List<Completion> completions) {
            return completions.stream().map(c -> Score.of("x", c.text().length())).toList();
          }

          @Override
          public void close() {
            closed.add("one");
          }
        };
    Reward two = all -> all.stream().map(c -> Score.of("y", 10)).toList();
    try (WeightedReward sum =
        new WeightedReward(List.of(new Part("length", 2, one), new Part("ten", -0.5, two)))) {
      Score score = sum.checked(TWO).getLast();
      assertEquals(2 * 16 - 5, score.value());
      assertEquals(List.of("length", "ten"), List.copyOf(score.terms().keySet()));
      assertEquals(16, score.terms().get("length"));
    }
    assertEquals(List.of("one"), closed);
    assertTrue(
        refused(() -> new WeightedReward(List.of(new Part("a", 1, one), new Part("a", 1, two))))
            .contains("'a'"));
    assertTrue(refused(() -> new WeightedReward(List.of())).contains("needs a part"));
    assertTrue(
        refused(() -> new WeightedReward(List.of(new Part("a", Double.NaN, one)))).contains("NaN"));
  }

  @ParameterizedTest
  @ValueSource(doubles = {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY})
  void whatIsNoNumberIsRefusedWithItsTermAndItsCompletion(double value) {
    Reward broken =
        all -> all.stream().map(c -> Score.of("mine", c.id().equals("b") ? value : 1)).toList();
    String said = refused(() -> broken.checked(TWO));
    assertTrue(
        said.contains("term mine") && said.contains("'b'") && said.contains("You stupid fool!"),
        said);
    Reward sum = new WeightedReward(List.of(new Part("part", 0, broken)));
    said = refused(() -> sum.checked(TWO));
    assertTrue(said.contains("term part") && said.contains("'b'"), said);
    Reward onlySum = all -> all.stream().map(c -> new Score(value, Map.of())).toList();
    assertTrue(refused(() -> onlySum.checked(TWO)).contains("term sum"));
  }

  @Test
  void asManyScoresAsCompletions() {
    Reward lazy = all -> List.of();
    String said = assertThrows(IllegalStateException.class, () -> lazy.checked(TWO)).getMessage();
    assertTrue(said.contains("0 scores for 2 completions"), said);
    Reward sum = new WeightedReward(List.of(new Part("lazy", 1, lazy)));
    assertThrows(IllegalStateException.class, () -> sum.score(TWO));
  }

  @Test
  void aPromptThatIsTooLongIsCutNotTheCompletion() {
    RewardTemplate both = RewardTemplate.PROMPT_AND_COMPLETION;
    String smileys = "\uD83D\uDE00".repeat(10);
    // A token a character, as far as this test is concerned.
    assertEquals("\uD83D\uDE00".repeat(3) + "\nend", both.fill(smileys, "end", t -> points(t), 7));
    assertEquals(smileys + "\nend", both.fill(smileys, "end", t -> points(t), 14));
    assertEquals("\nend", both.fill(smileys, "end", t -> points(t), 2));
    assertEquals("long", RewardTemplate.COMPLETION.fill("p", "long", t -> points(t), 2));
    try (Classifier classifier = classifier()) {
      Reward reward = new ClassifierReward(classifier, "hate", Measure.LOGIT, both);
      String prompt = "good morning ".repeat(200);
      List<Score> scores =
          reward.score(
              List.of(
                  new Completion("a", prompt, "You stupid fool!", List.of()),
                  new Completion("a", prompt, "A great help.", List.of())));
      assertTrue(scores.getFirst().value() != scores.getLast().value());
    }
  }

  private static int points(String text) {
    return text.codePointCount(0, text.length());
  }

  @Test
  void templates() {
    assertEquals("{prompt}", RewardTemplate.COMPLETION.fill("p", "{prompt}"));
    RewardTemplate both = new RewardTemplate("{prompt} => {completion}!");
    assertEquals("{completion} => c!", both.fill("{completion}", "c"));
    assertTrue(both.readsPrompt());
    assertFalse(RewardTemplate.COMPLETION.readsPrompt());
    for (String wrong :
        List.of("{prompt}", "", "{completion}{completion}", "{prompt}{prompt}{completion}")) {
      assertTrue(refused(() -> new RewardTemplate(wrong)).contains("once"), wrong);
    }
    assertTrue(refused(() -> new RewardTemplate("{completion} {answer}")).contains("{answer}"));
  }
}
