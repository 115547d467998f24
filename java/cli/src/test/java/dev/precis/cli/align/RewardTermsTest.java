package dev.precis.cli.align;

import static dev.precis.cli.CommandLineRun.DIALOGUES;
import static dev.precis.cli.CommandLineRun.FIXTURES;
import static dev.precis.cli.CommandLineRun.MODEL;
import static dev.precis.cli.CommandLineRun.lines;
import static dev.precis.cli.CommandLineRun.run;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Classifier;
import dev.precis.cli.CommandLineRun;
import dev.precis.io.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;

/** The terms of a reward: their signs, weights and names, and the checks of their order. */
final class RewardTermsTest {
  private static final Path REWARD = FIXTURES.resolve("roberta-tiny");
  private static final String KIND = "Thank you, that is very kind of you and a great help.";
  private static final String RUDE = "Shut up, you stupid fool, that is disgusting nonsense.";

  @TempDir private Path folder;

  private CommandLineRun align(String output, Object... more) {
    List<Object> arguments =
        new ArrayList<>(
            List.of("align", "--model", MODEL, "--data", DIALOGUES, "--max-steps", 1, "--output"));
    arguments.add(folder.resolve(output));
    arguments.addAll(List.of("--batch-size", 4, "--max-new-tokens", 8, "--ppo-epochs", 1));
    arguments.addAll(List.of(more));
    return run(arguments.toArray());
  }

  private JsonNode firstStep(String output) {
    return lines(folder.resolve(output).resolve("metrics.jsonl")).getFirst();
  }

  private JsonNode config(String output) {
    return Json.mapper().readTree(folder.resolve(output).resolve("config.json").toFile());
  }

  private byte[] adapter(String output) throws IOException {
    return Files.readAllBytes(folder.resolve(output).resolve("adapter/adapter_model.safetensors"));
  }

  /** Copies the classifier, with one text in its config.json replaced. */
  private Path classifier(String before, String after) throws IOException {
    Path copy = Files.createDirectories(folder.resolve("classifier"));
    try (Stream<Path> files = Files.list(REWARD)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        Files.copy(file, copy.resolve(file.getFileName()));
      }
    }
    Path config = copy.resolve("config.json");
    String text = Files.readString(config);
    assertTrue(text.contains(before), text);
    Files.writeString(config, text.replace(before, after));
    return copy;
  }

  @Test
  void judgesAreTerms() throws IOException {
    align(
            "judged",
            "--reward",
            "consistency:" + REWARD + ",label=nothate,weight=2,chunk=20",
            "--reward",
            "judge:" + MODEL + ",prompt=minicheck,name=mini",
            "--no-preflight",
            "reward_label")
        .succeeded();
    JsonNode step = firstStep("judged");
    double consistency = step.get("reward/consistency").doubleValue();
    double mini = step.get("reward/mini").doubleValue();
    assertTrue(consistency >= 0 && consistency <= 1 && mini > 0 && mini < 1, step.toString());
    assertEquals(2 * consistency + mini, step.get("ppo/mean_scores").doubleValue(), 1e-6);
    assertEquals(
        64, config("judged").get("reward_judge_1").get("model_sha256").stringValue().length());

    Path record = folder.resolve("judged").resolve("config.json");
    run("align", "--config", record, "--output", folder.resolve("again")).succeeded();
    assertEquals(config("judged"), config("again"));
    assertArrayEquals(adapter("judged"), adapter("again"));
  }

  @Test
  void aLabelThatNamesTheBadCountsAgainst() throws IOException {
    align("short", "--reward-model", REWARD, "--reward-label=-hate").succeeded();
    align("apart", "--reward-model", REWARD, "--reward-label", "-hate").succeeded();
    align("term", "--reward", "classifier:" + REWARD + ",label=hate,weight=-1").succeeded();
    align("sign", "--reward", "classifier:" + REWARD + ",label=-hate,name=rude").succeeded();
    JsonNode step = firstStep("short");
    double hate = step.get("reward/hate").doubleValue();
    assertEquals(-hate, step.get("ppo/mean_scores").doubleValue(), 1e-9);
    assertEquals(hate, firstStep("term").get("reward/hate").doubleValue());
    assertEquals(hate, firstStep("sign").get("reward/rude").doubleValue());
    assertArrayEquals(adapter("short"), adapter("apart"));
    assertArrayEquals(adapter("short"), adapter("term"));
    assertArrayEquals(adapter("short"), adapter("sign"));
    assertEquals("-hate", config("short").get("reward_label").stringValue());
    assertEquals(
        64, config("term").get("reward_classifier_1").get("model_sha256").stringValue().length());
    String measures = Files.readString(folder.resolve("short/comparison.json"));
    assertTrue(measures.contains("probability of hate"), measures);
    assertFalse(measures.contains("probability of nothate"), measures);
  }

  @Test
  void termsAreSummedWithTheirWeights() {
    align(
            "run",
            "--reward",
            "classifier:%s,label=hate,weight=-0.5,measure=probability".formatted(REWARD),
            "--reward",
            "classifier:%s,label=nothate,weight=0".formatted(REWARD),
            "--reward",
            "rouge:rouge1,weight=2",
            "--reward",
            "length:12=0.1",
            "--reward",
            "facts=3")
        .succeeded();
    JsonNode step = firstStep("run");
    double hate = step.get("reward/hate").doubleValue();
    assertTrue(hate > 0 && hate < 1, "a probability, not " + hate);
    assertTrue(Double.isFinite(step.get("reward/nothate").doubleValue()));
    assertEquals(
        -0.5 * hate
            + 2 * step.get("reward/rouge1").doubleValue()
            + 0.1 * step.get("reward/length").doubleValue()
            + 3 * step.get("reward/facts").doubleValue(),
        step.get("ppo/mean_scores").doubleValue(),
        1e-9);
  }

  @Test
  void aLabelOfSeveralThatMayBeTrueIsASigmoid() throws IOException {
    Path model =
        classifier(
            "\"model_type\"", "\"problem_type\": \"multi_label_classification\", \"model_type\"");
    // Without a softmax the random weights put the probes in another order.
    Object[] off = {"--no-preflight", "reward_label"};
    Object[] term = {
      "--reward", "classifier:" + model + ",label=hate,weight=-1,measure=probability"
    };
    align("run", Stream.of(term, off).flatMap(Stream::of).toArray()).succeeded();
    List<JsonNode> rollouts = lines(folder.resolve("run/rollouts.jsonl"));
    List<String> texts = rollouts.stream().map(each -> each.get("response").stringValue()).toList();
    try (Classifier loaded = Classifier.load(model, new Classifier.LoadOptions().threads(1))) {
      List<Classifier.Scores> scores = loaded.score(texts);
      for (int i = 0; i < texts.size(); i++) {
        double logit = scores.get(i).logits().get("hate");
        assertEquals(-1 / (1 + Math.exp(-logit)), rollouts.get(i).get("score").doubleValue(), 1e-5);
      }
    }
  }

  @Test
  void theOrderOfTheProbesIsCheckedInTheDirectionOfTheWeight() throws IOException {
    Object[] hate = {"--reward-model", REWARD, "--reward-label", "hate"};
    CommandLineRun refused = align("a", hate);
    assertEquals(2, refused.exitCode(), refused.err());
    assertTrue(refused.err().contains("reward_order_hate is"), refused.err());
    assertTrue(refused.err().contains("--reward-label=-NAME"), refused.err());
    Object[] off = {"--no-preflight=reward_label,kl_at_start"};
    align("b", Stream.of(hate, off).flatMap(Stream::of).toArray()).succeeded();
    assertEquals("[\"reward_label\",\"kl_at_start\"]", config("b").get("no_preflight").toString());
    String preflight = Files.readString(folder.resolve("b/preflight.json"));
    assertFalse(preflight.contains("reward_order_hate"), preflight);
    assertTrue(preflight.contains("switched_off"), preflight);
    Object[] probes = {"--probe-good", RUDE, "--probe-bad", KIND};
    align("c", Stream.of(hate, probes).flatMap(Stream::of).toArray()).succeeded();
    assertEquals(RUDE, config("c").get("probe_good").get(0).stringValue());
    Object[] turned = {"--reward", "classifier:" + REWARD + ",label=hate,weight=-2"};
    assertEquals(2, align("d", Stream.of(turned, probes).flatMap(Stream::of).toArray()).exitCode());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--no-preflight=reward_lable | no check 'reward_lable'; the checks are kl_at_start,",
        "--probe-good=Thanks | belong together: there are 1 and 0",
        "--reward=classifier:R,lable=hate | no setting 'lable'; it takes label, weight",
        "--reward=classifier:R,label=hate,weight=much | the weight after = must be a number",
        "--reward=rouge:rouge1,weight=NaN | the weight after = must be a number",
        "--reward=rouge:rouge1=2,weight=3 | the weight is given twice",
        "--reward=classifier:R,label=hate,label=hate | label is given twice",
        "--reward=classifier:R,label=hate,measure=odds | measure must be logit or probability",
        "--reward=classifier:R,label=hate,dtype=int8 | dtype must be float32 or bfloat16",
        "--reward=classifier:,label=hate | --reward must be classifier:MODEL",
        "--reward=toxicity:R | --reward must be classifier:MODEL",
        "--reward=facts:all | --reward must be",
        "--reward=facts=many | the weight after = must be a number",
        "--reward=length:long | length:WORDS with a number",
        "--reward=classifier:R,label=kind | its labels are: nothate, hate",
        "--reward=rouge:rouge1 | Two parts of the reward are named 'rouge1'",
      })
  void whatCannotBeATermIsRefused(String option, String sentence) {
    CommandLineRun refused =
        align("refused", "--reward", "rouge:rouge1", option.replace(":R,", ":" + REWARD + ","));
    assertEquals(2, refused.exitCode(), refused.err());
    assertTrue(refused.err().contains(sentence), refused.err());
  }

  @Test
  void anAdapterMayBeGivenWithTheShapeThatItHas() {
    Path lora = FIXTURES.resolve("t5-tiny-lora");
    JsonNode shape = Json.mapper().readTree(lora.resolve("adapter_config.json").toFile());
    Object[] start = {"--reward", "rouge:rouge1", "--adapter", lora, "--reference", "base"};
    Object[] same = {"--rank", shape.get("r"), "--lora-alpha", shape.get("lora_alpha")};
    Object[] other = {"--rank", shape.get("r").intValue() + 1};
    align("a", Stream.of(start, same).flatMap(Stream::of).toArray()).succeeded();
    CommandLineRun refused = align("b", Stream.of(start, other).flatMap(Stream::of).toArray());
    assertEquals(2, refused.exitCode(), refused.err());
    assertTrue(refused.err().contains("brings its own rank"), refused.err());
  }
}
