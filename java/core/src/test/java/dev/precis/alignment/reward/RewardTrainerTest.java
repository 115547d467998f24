package dev.precis.alignment.reward;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Classifier;
import dev.precis.Fixtures;
import dev.precis.Killing;
import dev.precis.alignment.reward.ClassifierReward.Measure;
import dev.precis.checkpoint.Checkpoint;
import dev.precis.checkpoint.SafeTensors;
import dev.precis.data.PreferencePair;
import dev.precis.data.PreferenceReader;
import dev.precis.data.TextReader;
import dev.precis.evaluation.Calibration;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.random.SplitMix64;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import dev.precis.text.PromptTemplate;
import dev.precis.text.Tokenizer;
import dev.precis.training.Optimizer;
import dev.precis.training.RunFolder;
import dev.precis.training.Schedule;
import dev.precis.training.TrainableEncoder;
import dev.precis.training.TrainingLoop;
import dev.precis.training.TrainingOptions;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.node.ObjectNode;

/** Reward models and classifiers that are trained. */
class RewardTrainerTest {
  private static final Path MODEL = RewardProcess.MODEL;

  private static RunFolder run(Path folder) {
    return RunFolder.create(folder, Json.mapper().createObjectNode());
  }

  private static TrainableEncoder.Options options(String... labels) {
    return new TrainableEncoder.Options(List.of(labels), DType.FLOAT32, 0, 5, folder -> {});
  }

  private static float[] floats(Tensor tensor) {
    float[] values = new float[(int) (tensor.rows() * tensor.columns())];
    MemorySegment.copy(tensor.memory(), ValueLayout.JAVA_FLOAT, 0, values, 0, values.length);
    return values;
  }

  @Test
  void learnsWhatIsPreferredAndIsAReward(@TempDir Path folder) {
    List<PairExample> all = RewardProcess.pairs(200);
    TrainingOptions options =
        TrainingOptions.builder().learningRate(1e-3f).batchSize(8).epochs(4).build();
    try (RunFolder run = run(folder);
        TrainableEncoder roberta = RewardProcess.trainable(DType.FLOAT32, 0.1f);
        RewardTrainer trainer =
            new RewardTrainer(
                roberta, options, all.subList(0, 160), all.subList(160, 200), 0.01, run)) {
      RewardTrainer.Report before = trainer.report();
      trainer.train(new TrainingLoop.Listener() {});
      RewardTrainer.Report after = trainer.report();
      assertTrue(before.calibration().accuracy() < 0.9, before.toString());
      assertTrue(after.calibration().accuracy() > 0.95, after.toString());
      assertTrue(after.loss() < 0.5 * before.loss() && after.brier() < 0.5 * before.brier());
      assertTrue(after.chosen() > after.rejected() + 1, after.toString());
      // Centred: the two sides lie about zero.
      assertTrue(Math.abs(after.chosen() + after.rejected()) < 2, after.toString());
      assertEquals(40, after.pairs());
      assertEquals(40, after.calibration().bins().stream().mapToInt(Calibration.Bin::count).sum());
      List<ObjectNode> metrics = run.metrics();
      assertTrue(metrics.getFirst().has("accuracy") && metrics.getFirst().has("margin"));
      ObjectNode last = metrics.getLast();
      assertEquals(after.loss(), last.get("eval_loss").doubleValue(), 0.2);
      for (String key : List.of("eval_accuracy", "eval_ece", "eval_brier", "eval_margin")) {
        assertTrue(last.has(key), key);
      }
    }
    try (ClassifierReward reward =
        ClassifierReward.load(
            folder.resolve("model"), new Classifier.LoadOptions(), null, Measure.LOGIT, null)) {
      assertEquals("reward", reward.label());
      assertTrue(
          reward
              .probe("Mike is late and says thanks.", "Mike is late like a stupid fool.")
              .passed());
    }
    try (Classifier classifier = Classifier.load(folder.resolve("model"))) {
      Classifier.Scores scores = classifier.score(List.of("Ann is late.")).getFirst();
      double logit = scores.logits().get("reward");
      assertEquals(1 / (1 + Math.exp(-logit)), scores.probabilities().get("reward"), 1e-12);
    }
  }

  @Test
  void accumulatedBatchesAreOneLargeBatch(@TempDir Path folder) {
    List<float[]> gradients = new ArrayList<>();
    List<Double> losses = new ArrayList<>();
    for (int parts : new int[] {1, 3}) {
      TrainingOptions options =
          TrainingOptions.builder()
              .batchSize(6 / parts)
              .gradientAccumulation(parts)
              .shuffle(false)
              .learningRate(1e-12f)
              .maxSteps(1)
              .build();
      try (RunFolder run = run(folder.resolve("run" + parts));
          TrainableEncoder roberta = RewardProcess.trainable(DType.FLOAT32, 0);
          RewardTrainer trainer =
              new RewardTrainer(roberta, options, RewardProcess.pairs(6), List.of(), 0.05, run)) {
        losses.add(trainer.step().loss());
        gradients.add(floats(roberta.parameters().gradients()));
      }
    }
    assertEquals(losses.get(0), losses.get(1), 1e-6);
    assertTrue(Fixtures.relativeError(gradients.get(1), gradients.get(0)) < 1e-5);
  }

  /** The loss of a step falls along its gradient as fast as the gradient says. */
  @Test
  void theGradientIsThatOfTheLoss(@TempDir Path folder) {
    TrainingOptions options =
        TrainingOptions.builder()
            .optimizer(new Optimizer.Settings(Optimizer.Kind.SGD, 0, 0, 0, 1e-8f, 0, false))
            .batchSize(6)
            .shuffle(false)
            .schedule(Schedule.Shape.CONSTANT)
            .maxGradNorm(0)
            .learningRate(1e-4f)
            .maxSteps(2)
            .build();
    try (RunFolder run = run(folder);
        TrainableEncoder roberta = RewardProcess.trainable(DType.FLOAT32, 0);
        RewardTrainer trainer =
            new RewardTrainer(roberta, options, RewardProcess.pairs(6), List.of(), 0.05, run)) {
      TrainingLoop.Step first = trainer.step();
      TrainingLoop.Step second = trainer.step();
      double predicted = 1e-4 * first.gradNorm() * first.gradNorm();
      assertEquals(predicted, first.loss() - second.loss(), 0.05 * predicted);
    }
  }

  @ParameterizedTest
  @CsvSource({"FLOAT32, false", "BFLOAT16, true"})
  void thePlanHoldsAndNothingIsAllocatedAfterTheFirstStep(
      DType dtype, boolean recompute, @TempDir Path folder) {
    TrainingOptions options = RewardProcess.options().recompute(recompute).evaluateEvery(0).build();
    List<PairExample> all = new ArrayList<>(RewardProcess.pairs(30));
    SplitMix64 random = new SplitMix64(4);
    for (int i = 0; i < 6; i++) {
      int[] longer = new int[100 + random.below(28)];
      for (int t = 0; t < longer.length; t++) {
        longer[t] = 5 + random.below(500);
      }
      all.add(new PairExample(longer, new int[] {0, 9, 2}, 0));
    }
    try (RunFolder run = run(folder);
        TrainableEncoder roberta = RewardProcess.trainable(dtype, 0.1f);
        RewardTrainer trainer = new RewardTrainer(roberta, options, all, List.of(), 0, run)) {
      long planned = trainer.plan().parts().get("activations");
      trainer.step();
      long before = roberta.device().describe().allocations();
      for (int i = 1; i < RewardProcess.STEPS; i++) {
        trainer.step();
        assertTrue(trainer.peak() <= planned, trainer.peak() + " of " + planned);
      }
      assertTrue(trainer.peak() > planned / 2, trainer.peak() + " of " + planned);
      long scratch = roberta.device().describe().allocations() - before;
      assertTrue(scratch <= 4, scratch + " allocations, of scratch that grows with the longest");
    }
  }

  private static byte[] result(Path run) throws IOException {
    return Files.readAllBytes(run.resolve("model/model.safetensors"));
  }

  @Test
  void killedAtRandomMoments(@TempDir Path folder) throws Exception {
    Path whole = folder.resolve("whole");
    RewardProcess.train(whole);
    Path killed = folder.resolve("killed");
    Killing.run(RewardProcess.class, 4, folder, killed.toString());
    assertArrayEquals(result(whole), result(killed));
    assertEquals(Killing.metrics(whole), Killing.metrics(killed));
  }

  @Test
  void aHeadOfTheSameLabelsStays(@TempDir Path folder) {
    try (TrainableEncoder same =
            TrainableEncoder.of(MODEL, options("nothate", "hate"), RewardProcess.device());
        TrainableEncoder other =
            TrainableEncoder.of(MODEL, options("hate", "nothate"), RewardProcess.device());
        TrainableEncoder one =
            TrainableEncoder.of(MODEL, options("reward"), RewardProcess.device())) {
      assertFalse(same.freshHead());
      assertTrue(other.freshHead() && one.freshHead());
      // All but the last layer is the model's.
      for (TrainableEncoder each : List.of(other, one)) {
        assertArrayEquals(
            floats(same.parameters().find("classifier.dense.weight").value()),
            floats(each.parameters().find("classifier.dense.weight").value()));
        assertArrayEquals(
            new float[each.config().labels().size()],
            floats(each.parameters().find("classifier.out_proj.bias").value()));
      }
      one.write(folder);
      try (TrainableEncoder again =
          TrainableEncoder.of(folder, options("score"), RewardProcess.device())) {
        assertFalse(again.freshHead(), "one label of any name");
        assertArrayEquals(floats(one.parameters().values()), floats(again.parameters().values()));
      }
    }
  }

  @Test
  void aRobertaWithoutHeadGetsOne(@TempDir Path folder) throws IOException {
    for (String name : List.of("config.json", "vocab.json", "merges.txt")) {
      Files.copy(MODEL.resolve(name), folder.resolve(name));
    }
    try (Checkpoint whole = Checkpoint.open(MODEL)) {
      SafeTensors.write(
          folder.resolve("model.safetensors"),
          whole.names().stream()
              .filter(name -> !name.startsWith("classifier."))
              .map(whole::get)
              .toList(),
          Map.of());
    }
    try (TrainableEncoder roberta =
        TrainableEncoder.of(folder, options("nothate", "hate"), RewardProcess.device())) {
      assertTrue(roberta.freshHead());
      float[] dense = floats(roberta.parameters().find("classifier.dense.weight").value());
      double squares = 0;
      for (float value : dense) {
        squares += value * value;
      }
      assertEquals(0.02, Math.sqrt(squares / dense.length), 0.001);
    }
  }

  @Test
  void fromScratchIsDrawnFromTheSeed() {
    try (TrainableEncoder a =
            TrainableEncoder.fromScratch(MODEL, options("reward"), RewardProcess.device());
        TrainableEncoder b =
            TrainableEncoder.fromScratch(MODEL, options("reward"), RewardProcess.device())) {
      float[] values = floats(a.parameters().values());
      assertArrayEquals(values, floats(b.parameters().values()));
      assertEquals(1, a.parameters().find("roberta.embeddings.LayerNorm.weight").value().get(0, 0));
      assertTrue(
          a.parameters().find("roberta.encoder.layer.0.attention.self.key.weight").value().get(0, 0)
              != a.parameters()
                  .find("roberta.encoder.layer.1.attention.self.key.weight")
                  .value()
                  .get(0, 0));
    }
  }

  @Test
  void aModelKeepsWhatItReads(@TempDir Path folder) throws IOException {
    RewardTemplate both = new RewardTemplate("{prompt} => {completion}");
    RewardModelFile file = new RewardModelFile(both, Tokenizer.hash(MODEL));
    try (TrainableEncoder roberta =
        TrainableEncoder.of(
            MODEL,
            new TrainableEncoder.Options(List.of("reward"), DType.FLOAT32, 0, 5, file::write),
            RewardProcess.device())) {
      roberta.write(folder);
    }
    Completion completion = new Completion("x", "What?", "Nothing.", List.of());
    try (ClassifierReward reward =
            ClassifierReward.load(folder, new Classifier.LoadOptions(), null, Measure.LOGIT, null);
        Classifier plain = Classifier.load(folder)) {
      assertEquals(both, reward.template());
      assertEquals(
          plain.score(List.of("What? => Nothing.")).getFirst().logits().get("reward"),
          reward.score(List.of(completion)).getFirst().value());
      String said =
          assertThrows(
                  InvalidInputException.class,
                  () -> new ClassifierReward(plain, null, Measure.LOGIT, RewardTemplate.COMPLETION))
              .getMessage();
      assertTrue(
          said.contains("trained to read \"{prompt} => {completion}\", not \"{completion}\""),
          said);
    }
    // The same tokens, but an order of merges that the model has never seen.
    List<String> merges = new ArrayList<>(Files.readAllLines(MODEL.resolve("merges.txt")));
    merges.add(merges.remove(merges.size() / 2));
    Files.write(folder.resolve("merges.txt"), merges);
    String said =
        assertThrows(
                InvalidInputException.class,
                () ->
                    ClassifierReward.load(
                        folder, new Classifier.LoadOptions(), null, Measure.LOGIT, null))
            .getMessage();
    assertTrue(said.contains("reward.json") && said.contains("tokenizer"), said);
    assertEquals(1, said.lines().count());
  }

  @Test
  void sidesThatAreTheSameAreRefused(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("pairs.jsonl");
    String first = "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\",\"margin\":0.25}\n";
    Files.writeString(
        file, first + "{\"prompt\":\"p\",\"chosen\":\"same \",\"rejected\":\"same\"}\n");
    String said =
        assertThrows(InvalidInputException.class, () -> PreferenceReader.readPairs(file))
            .getMessage();
    assertTrue(said.contains("pairs.jsonl, line 2"), said);
    String start = "good morning ".repeat(100);
    Files.writeString(
        file,
        first
            + "{\"prompt\":\"p\",\"chosen\":\"%sa\",\"rejected\":\"%sb\"}\n"
                .formatted(start, start));
    List<PreferencePair> pairs = PreferenceReader.readPairs(file);
    assertEquals(0.25, pairs.getFirst().margin());
    try (Tokenizer tokenizer = Tokenizer.load(MODEL)) {
      RewardExamples examples = new RewardExamples(tokenizer, RewardTemplate.COMPLETION, 128);
      assertEquals(
          0.25, examples.pairs(pairs.subList(0, 1), PromptTemplate.DEFAULT).getFirst().margin());
      said =
          assertThrows(
                  InvalidInputException.class, () -> examples.pairs(pairs, PromptTemplate.DEFAULT))
              .getMessage();
      assertTrue(said.contains("line 2") && said.contains("128 tokens"), said);
    }
    for (String margin : List.of("-1", "\"much\"", "[]", "true")) {
      Files.writeString(
          file,
          "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\",\"margin\":" + margin + "}\n");
      said =
          assertThrows(InvalidInputException.class, () -> PreferenceReader.readPairs(file))
              .getMessage();
      assertTrue(said.contains("line 1") && said.contains("margin"), said);
    }
  }

  @Test
  void labelsAreTheModelsOrTheTexts(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("texts.jsonl");
    Files.writeString(
        file,
        "{\"text\":\"you fool\",\"label\":\"hate\"}\n{\"summary\":\"\",\"label\":\"nothate\"}\n");
    var texts = TextReader.readLabelled(file, null);
    assertEquals(
        List.of("nothate", "hate"),
        RewardExamples.labels(texts, List.of("nothate", "hate"), "texts.jsonl"));
    assertEquals(
        List.of("hate", "nothate"),
        RewardExamples.labels(texts, List.of("LABEL_0", "LABEL_1"), "texts.jsonl"));
    try (Tokenizer tokenizer = Tokenizer.load(MODEL)) {
      RewardExamples examples = new RewardExamples(tokenizer, RewardTemplate.COMPLETION, 128);
      assertEquals(1, examples.texts(texts, List.of("nothate", "hate")).getFirst().label());
      String said =
          assertThrows(
                  InvalidInputException.class, () -> examples.texts(texts, List.of("hate", "x")))
              .getMessage();
      assertTrue(said.contains("line 2") && said.contains("'nothate'"), said);
    }
    Files.writeString(file, "{\"text\":\"a\",\"label\":1}\n{\"text\":\"b\",\"label\":1}\n");
    var same = TextReader.readLabelled(file, null);
    String said =
        assertThrows(
                InvalidInputException.class,
                () -> RewardExamples.labels(same, List.of(), "texts.jsonl"))
            .getMessage();
    assertTrue(said.contains("texts.jsonl") && said.contains("'1'"), said);
    Files.writeString(file, "{\"text\":\"a\"}\n");
    said =
        assertThrows(InvalidInputException.class, () -> TextReader.readLabelled(file, null))
            .getMessage();
    assertTrue(said.contains("line 1 has no \"label\""), said);
  }

  @Test
  void classifiersLearnToo(@TempDir Path folder) {
    List<LabelledExample> all = new ArrayList<>();
    RewardProcess.pairs(100)
        .forEach(
            pair -> {
              all.add(new LabelledExample(pair.chosen(), 1));
              all.add(new LabelledExample(pair.rejected(), 0));
            });
    var split = RewardExamples.split(all, 0.2, 3);
    assertEquals(40, split.heldOut().size());
    assertEquals(160, split.training().size());
    assertEquals(split.heldOut(), RewardExamples.split(all, 0.2, 3).heldOut());
    assertFalse(split.heldOut().equals(RewardExamples.split(all, 0.2, 4).heldOut()));
    TrainingOptions options =
        TrainingOptions.builder().learningRate(1e-3f).batchSize(16).epochs(6).build();
    try (RunFolder run = run(folder);
        TrainableEncoder roberta =
            TrainableEncoder.of(MODEL, options("bad", "good"), RewardProcess.device());
        ClassifierTrainer trainer =
            new ClassifierTrainer(roberta, options, split.training(), split.heldOut(), run)) {
      ClassifierTrainer.Report before = trainer.report();
      assertEquals(Math.log(2), before.loss(), 0.1);
      TrainingLoop.Result result = trainer.train(new TrainingLoop.Listener() {});
      ClassifierTrainer.Report after = trainer.report();
      assertEquals(result.best(), after.loss(), 1e-9);
      assertTrue(after.calibration().accuracy() > 0.95, after.toString());
      assertTrue(after.brier() < 0.2 * before.brier(), after.toString());
      int texts = 0;
      for (ClassifierTrainer.ClassReport each : after.classes().values()) {
        texts += each.texts();
        assertTrue(each.precision() > 0.9 && each.recall() > 0.9, after.toString());
      }
      assertEquals(40, texts);
      assertEquals(List.of("bad", "good"), List.copyOf(after.classes().keySet()));
    }
    try (Classifier classifier = Classifier.load(folder.resolve("model"))) {
      assertEquals(
          "bad", classifier.score(List.of("Mike is late like a stupid fool.")).getFirst().label());
    }
  }
}
