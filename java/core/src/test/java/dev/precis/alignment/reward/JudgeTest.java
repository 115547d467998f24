package dev.precis.alignment.reward;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Classifier;
import dev.precis.Fixtures;
import dev.precis.T5;
import dev.precis.checkpoint.Checkpoint;
import dev.precis.checkpoint.SafeTensors;
import dev.precis.checkpoint.TensorView;
import dev.precis.evaluation.PairJudge;
import dev.precis.evaluation.TextPair;
import dev.precis.io.InvalidInputException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Judges of pairs against what transformers makes of the same prompts. */
class JudgeTest {
  private static final Path T5_TINY = Fixtures.folder("t5-tiny");
  private static final Path ENCODERS = Fixtures.resource("encoders");
  private static final JsonNode GOLDEN =
      JsonMapper.shared().readTree(ENCODERS.resolve("judges.json").toFile());

  @TempDir Path folder;

  private static List<TextPair> pairs() {
    List<TextPair> pairs = new ArrayList<>();
    GOLDEN
        .get("pairs")
        .forEach(
            pair -> pairs.add(new TextPair(pair.get(0).stringValue(), pair.get(1).stringValue())));
    return pairs;
  }

  private static List<String> answers(String prompt) {
    List<String> answers = new ArrayList<>();
    GOLDEN
        .get("prompts")
        .get(prompt)
        .get("answers")
        .forEach(each -> answers.add(each.stringValue()));
    return answers;
  }

  private static void assertGolden(String prompt, PairJudge judge) {
    JsonNode want = GOLDEN.get("prompts").get(prompt).get("scores");
    double[] scores = judge.judge(pairs());
    assertEquals(want.size(), scores.length);
    for (int i = 0; i < scores.length; i++) {
      assertEquals(want.get(i).doubleValue(), scores[i], 1e-4, prompt + ", pair " + i);
      // Alone or among others, the number is the same.
      assertEquals(scores[i], judge.judge(pairs().subList(i, i + 1))[0], 1e-6);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"minicheck", "unieval", "steamshp"})
  void theFirstTokensProbabilityIsThatOfTransformers(String prompt) {
    RewardTemplate template = JudgePrompt.template(prompt);
    try (AnswerJudge judge = new AnswerJudge(T5.load(T5_TINY), template, answers(prompt))) {
      assertGolden(prompt, judge);
    }
  }

  /** Copies the encoder with a head, and gives it the tokenizer of its vocabulary. */
  private Path encoder() throws IOException {
    for (String name : List.of("config.json", "model.safetensors")) {
      Files.copy(ENCODERS.resolve("t5-encoder-tiny").resolve(name), folder.resolve(name));
    }
    Files.copy(T5_TINY.resolve("tokenizer.json"), folder.resolve("tokenizer.json"));
    return folder;
  }

  @Test
  void anEncodersHeadIsReadAtTheFirstToken() throws IOException {
    try (ClassifierJudge judge = new ClassifierJudge(Classifier.load(encoder()), null, null)) {
      assertGolden("hhem", judge);
    }
  }

  /** Writes the weights again with other tensors, and a configuration without sizes. */
  private void asVectaras(UnaryOperator<TensorView> change) throws IOException {
    encoder();
    Path file = folder.resolve("model.safetensors");
    Path other = folder.resolve("renamed.safetensors");
    try (Checkpoint checkpoint = Checkpoint.openFile(file)) {
      List<TensorView> changed =
          checkpoint.names().stream().map(checkpoint::get).map(change).toList();
      SafeTensors.write(other, changed, Map.of("format", "pt"));
    }
    Files.move(other, file, StandardCopyOption.REPLACE_EXISTING);
    Files.writeString(
        folder.resolve("config.json"),
        "{\"model_type\": \"HHEMv2Config\", \"foundation\": \"google/flan-t5-base\"}");
  }

  private static TensorView named(String name, TensorView view, long... shape) {
    return new TensorView(name, view.dtype(), shape, view.data());
  }

  @Test
  void theModelOfVectaraIsReadByItsTensors() throws IOException {
    asVectaras(view -> named("t5." + view.name(), view, view.shape()));
    assertTrue(Classifier.isClassifier(folder));
    try (ClassifierJudge judge = new ClassifierJudge(Classifier.load(folder), null, null)) {
      assertGolden("hhem", judge);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "classifier.weight",
        "shared.weight",
        "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
      })
  void aTensorOfAnotherShapeIsNamed(String name) throws IOException {
    asVectaras(
        view ->
            named(
                view.name(),
                view,
                view.name().endsWith(name)
                    ? new long[] {view.data().byteSize() / view.dtype().bytes()}
                    : view.shape()));
    String said =
        assertThrows(InvalidInputException.class, () -> Classifier.load(folder).close())
            .getMessage();
    assertTrue(said.contains(name) && said.contains("no matrix"), said);
  }

  @Test
  void aNamedLabelComesBeforeTheSecondOne() throws IOException {
    encoder();
    Path config = folder.resolve("config.json");
    String names = "{\"id2label\": {\"0\": \"entailment\", \"1\": \"other\"},";
    Files.writeString(config, Files.readString(config).replaceFirst("\\{", names));
    try (ClassifierJudge judge = new ClassifierJudge(Classifier.load(folder), null, null)) {
      assertEquals("entailment", judge.label());
    }
  }

  @Test
  void aPairWithoutAPromptIsRefusedByAT5() throws IOException {
    try (Classifier classifier = Classifier.load(encoder())) {
      String said =
          assertThrows(
                  InvalidInputException.class,
                  () -> classifier.scorePairs(List.of(new TextPair("a", "b"))))
              .getMessage();
      assertTrue(said.contains("in a prompt"), said);
    }
  }

  @Test
  void anAnswerNeedsATokenOfItsOwn() {
    RewardTemplate template = JudgePrompt.UNIEVAL.template();
    try (T5 model = T5.load(T5_TINY)) {
      for (List<String> answers : List.of(List.of("Yes", "No"), List.of(""), List.<String>of())) {
        String said =
            assertThrows(
                    InvalidInputException.class, () -> new AnswerJudge(model, template, answers))
                .getMessage();
        assertTrue(said.contains("answer"), said);
      }
    }
  }

  @Test
  void aLabelIsNamedUnlessItIsEntailment() {
    Path bert = ENCODERS.resolve("bert-tiny");
    try (Classifier classifier = Classifier.load(bert)) {
      String said =
          assertThrows(
                  InvalidInputException.class, () -> new ClassifierJudge(classifier, null, null))
              .getMessage();
      assertTrue(said.contains("entailment") && said.contains("no, unsure, yes"), said);
      assertThrows(
          InvalidInputException.class, () -> new ClassifierJudge(classifier, "maybe", null));
      ClassifierJudge judge = new ClassifierJudge(classifier, "yes", null);
      List<TextPair> pairs = pairs();
      double[] scores = judge.judge(pairs);
      for (int i = 0; i < scores.length; i++) {
        double want = classifier.scorePairs(pairs).get(i).probabilities().get("yes");
        assertEquals(want, scores[i], 1e-9);
      }
    }
  }
}
