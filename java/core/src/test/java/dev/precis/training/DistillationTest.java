package dev.precis.training;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.Killing;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.lora.LoraConfig;
import dev.precis.tensor.DType;
import dev.precis.text.Tokenizer;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.node.ObjectNode;

class DistillationTest {
  private static final Path MODEL = Fixtures.folder("t5-tiny");
  private static final Path OTHER = Fixtures.folder("t5-tiny-v1.0");

  @TempDir private Path folder;

  private static TrainableT5 full(Path model, float dropout) {
    return TrainableT5.full(model, DType.FLOAT32, dropout, TrainingGoldenTest.device());
  }

  /** Makes the folder of a smaller model with the same tokenizer, without weights. */
  private Path small() throws IOException {
    Path to = Files.createDirectories(folder.resolve("small"));
    ObjectNode config = (ObjectNode) Json.mapper().readTree(MODEL.resolve("config.json").toFile());
    config.put("d_model", 32).put("d_ff", 48).put("num_heads", 2);
    config.put("num_layers", 1).put("num_decoder_layers", 2);
    Files.writeString(to.resolve("config.json"), config.toPrettyString());
    for (String file : List.of("spiece.model", "tokenizer.json", "tokenizer_config.json")) {
      Files.copy(MODEL.resolve(file), to.resolve(file));
    }
    return to;
  }

  private TrainableT5 student(float dropout) throws IOException {
    Path small = Files.exists(folder.resolve("small")) ? folder.resolve("small") : small();
    return TrainableT5.fromScratch(small, DType.FLOAT32, dropout, 7, TrainingGoldenTest.device());
  }

  private static DistillationOptions options(float beta, float labelWeight) {
    return new DistillationOptions(beta, 1.3f, 0, labelWeight, 8);
  }

  private static List<Distillation.Item> items(List<Example> examples) {
    return examples.stream().map(e -> new Distillation.Item(e, false)).toList();
  }

  private static Map<String, Double> accumulate(
      Distillation loss, FineTuning fineTuning, List<Distillation.Item> items, float scale) {
    Map<String, Double> sums = new HashMap<>();
    loss.accumulate(fineTuning, items, 0, scale, 9, sums);
    return sums;
  }

  @ParameterizedTest
  @CsvSource({"0", "0.5", "1"})
  void aModelHasNothingToLearnFromItself(float beta) {
    List<Example> batch = TrainingGoldenTest.dialogues().subList(0, 3);
    try (TrainableT5 t5 = full(MODEL, 0);
        Teacher teacher = Teacher.load(MODEL, List.of(), t5);
        Distillation loss = new Distillation(t5, teacher, options(beta, 0));
        FineTuning fineTuning = new FineTuning(t5, 0, false)) {
      Map<String, Double> sums = accumulate(loss, fineTuning, items(batch), 1);
      assertEquals(0, sums.get("divergence"), 1e-5);
      for (float gradient : TrainingGoldenTest.floats(t5.parameters().gradients())) {
        assertEquals(0, gradient, 1e-4);
      }
      // The labels' cross-entropy is that of fine-tuning.
      assertEquals(fineTuning.evaluate(batch), sums.get("cross_entropy"), 1e-3);
    }
  }

  @ParameterizedTest
  @CsvSource({"0, 0", "0.5, 0.4", "1, 0.2"})
  void theGradientIsThatOfTheLoss(float beta, float labelWeight) throws IOException {
    List<Example> batch = TrainingGoldenTest.dialogues().subList(0, 2);
    List<Distillation.Item> items =
        List.of(
            new Distillation.Item(batch.get(0), false), new Distillation.Item(batch.get(1), true));
    try (TrainableT5 t5 = student(0.1f);
        Teacher teacher = Teacher.load(OTHER, List.of(), t5);
        Distillation loss = new Distillation(t5, teacher, options(beta, labelWeight));
        FineTuning fineTuning = new FineTuning(t5, 0, false)) {
      accumulate(loss, fineTuning, items, 1);
      float[] all = TrainingGoldenTest.floats(t5.parameters().gradients());
      for (String name :
          List.of(
              "shared.weight",
              "encoder.block.0.layer.0.layer_norm.weight",
              "decoder.block.1.layer.1.EncDecAttention.k.weight",
              "lm_head.weight")) {
        Parameter parameter = t5.parameters().find(name);
        t5.parameters().gradients().memory().copyFrom(MemorySegment.ofArray(all));
        float[] gradient = TrainingGoldenTest.floats(parameter.gradient());
        float[] values = TrainingGoldenTest.floats(parameter.value());
        double squares = 0;
        for (float g : gradient) {
          squares += (double) g * g;
        }
        float step = (float) (0.01 / Math.sqrt(squares));
        double[] sums = new double[3];
        for (int i = -1; i <= 1; i++) {
          int at = i == 1 ? 0 : i == -1 ? -1 : 1; // ends where it began
          for (int j = 0; j < values.length; j++) {
            parameter
                .value()
                .memory()
                .setAtIndex(ValueLayout.JAVA_FLOAT, j, values[j] + at * step * gradient[j]);
          }
          t5.update();
          sums[at + 1] = accumulate(loss, fineTuning, items, 1).get("loss");
        }
        assertEquals(squares, (sums[2] - sums[0]) / (2 * step), 0.02 * squares, name);
      }
    }
  }

  /** A batch of eight, and the same as two of four: the same masks, so the same gradients. */
  @ParameterizedTest
  @CsvSource({"lora, false", "full, false", "full, true"})
  void dropoutDoesNotDependOnHowABatchIsSplit(String method, boolean distills) throws IOException {
    List<Example> batch = TrainingGoldenTest.dialogues().subList(3, 11);
    assertTrue(batch.stream().mapToInt(e -> e.source().length).distinct().count() > 3);
    LoraConfig config = new LoraConfig(4, 8, 0.2f, List.of("q", "v", "wo"), false);
    List<float[]> gradients = new ArrayList<>();
    List<Double> losses = new ArrayList<>();
    for (int size : new int[] {8, 4, 3, 1}) {
      try (TrainableT5 t5 =
              method.equals("full")
                  ? full(MODEL, 0.2f)
                  : TrainableT5.lora(
                      MODEL, config, DType.FLOAT32, 0.2f, 1, TrainingGoldenTest.device());
          Teacher teacher = Teacher.load(OTHER, List.of(), t5);
          Distillation loss = new Distillation(t5, teacher, options(0.5f, 0.5f));
          FineTuning fineTuning = new FineTuning(t5, 0, size == 3)) {
        double sum = 0;
        Map<String, Double> sums = new HashMap<>();
        for (int at = 0; at < batch.size(); at += size) {
          List<Example> micro = batch.subList(at, Math.min(batch.size(), at + size));
          if (distills) {
            loss.accumulate(fineTuning, items(micro), at, 1e-2f, 5, sums);
          } else {
            sum += fineTuning.accumulate(micro, at, 1e-2f, 5);
          }
        }
        losses.add(distills ? sums.get("loss") : sum);
        gradients.add(TrainingGoldenTest.floats(t5.parameters().gradients()));
      }
    }
    for (int i = 1; i < gradients.size(); i++) {
      assertEquals(losses.get(0), losses.get(i), 1e-5 * losses.get(0));
      double error = Fixtures.relativeError(gradients.get(i), gradients.get(0));
      assertTrue(error < 1e-5, "split " + i + ": " + error);
    }
  }

  @Test
  void otherNumbersHaveOtherMasks() {
    List<Example> batch = TrainingGoldenTest.dialogues().subList(3, 5);
    try (TrainableT5 t5 = full(MODEL, 0.2f);
        FineTuning fineTuning = new FineTuning(t5, 0, false)) {
      double first = fineTuning.accumulate(batch, 0, 1e-2f, 5);
      double other = fineTuning.accumulate(batch, 2, 1e-2f, 5);
      assertTrue(Math.abs(first - other) > 1e-3 * first, first + " and " + other);
      // The same example twice in a batch has two masks.
      List<Example> twice = List.of(batch.get(0), batch.get(0));
      double both = fineTuning.accumulate(twice, 0, 1e-2f, 5);
      double one = fineTuning.accumulate(twice.subList(0, 1), 0, 1e-2f, 5);
      assertTrue(Math.abs(both - 2 * one) > 1e-3 * one, both + " and " + one);
    }
  }

  @Test
  void theStudentSamplesAFractionOfTheTargets() throws IOException {
    List<Example> batch = TrainingGoldenTest.dialogues().subList(0, 16);
    try (TrainableT5 t5 = student(0);
        Teacher teacher = Teacher.load(MODEL, List.of(), t5);
        Distillation half =
            new Distillation(t5, teacher, new DistillationOptions(0.5f, 1, 0.5f, 0, 6));
        Distillation all =
            new Distillation(t5, teacher, new DistillationOptions(0.5f, 1, 1, 0, 6))) {
      int sampled = 0;
      for (long step = 0; step < 20; step++) {
        for (Distillation.Item item : half.items(batch, 3, step, 8)) {
          sampled += item.sampled() ? 1 : 0;
          assertTrue(!item.sampled() || item.targetTokens() <= 6);
        }
      }
      // Of 320 tosses, within four standard deviations.
      assertTrue(Math.abs(sampled - 160) < 36, sampled + " of 320");
      List<Distillation.Item> first = all.items(batch, 3, 0, 8);
      List<Distillation.Item> again = all.items(batch, 3, 0, 1);
      List<Distillation.Item> next = all.items(batch, 3, 1, 8);
      int differ = 0;
      for (int i = 0; i < batch.size(); i++) {
        assertTrue(first.get(i).sampled());
        assertArrayEquals(batch.get(i).source(), first.get(i).example().source());
        assertArrayEquals(first.get(i).example().target(), again.get(i).example().target());
        differ +=
            Arrays.equals(first.get(i).example().target(), next.get(i).example().target()) ? 0 : 1;
      }
      assertTrue(differ > 8, differ + " of 16 targets differ in the next step");
    }
  }

  private static TrainingOptions training() {
    return TrainingOptions.builder()
        .batchSize(3)
        .gradientAccumulation(2)
        .learningRate(2e-3f)
        .maxSteps(5)
        .checkpointEvery(1)
        .keepCheckpoints(2)
        .seed(4)
        .build();
  }

  private Trainer.Result train(Path to, boolean stops) throws IOException {
    ObjectNode config = Json.mapper().createObjectNode().put("test", true);
    boolean going = Files.exists(to.resolve("config.json"));
    List<Example> all = TrainingGoldenTest.dialogues();
    try (RunFolder run = going ? RunFolder.resume(to, config) : RunFolder.create(to, config);
        TrainableT5 t5 = student(0.1f);
        Teacher teacher = Teacher.load(MODEL, List.of(), t5);
        Distillation loss =
            new Distillation(t5, teacher, new DistillationOptions(0.5f, 1, 0.5f, 0.3f, 8));
        Trainer trainer =
            new Trainer(t5, training(), all.subList(0, 20), all.subList(20, 24), null, loss, run)) {
      long planned = trainer.plan().parts().get("activations");
      assertTrue(trainer.plan().parts().get("teacher") > 0);
      assertTrue(trainer.plan().parts().get("generation") > 0);
      if (going) {
        trainer.resume();
      }
      Trainer.Result result =
          trainer.train(
              new Trainer.Listener() {
                @Override
                public void onStep(Trainer.Step step) {
                  // A step whose targets are all the student's has no labels.
                  boolean labelled = step.metrics().get("on_policy") < 1;
                  assertEquals(labelled, step.metrics().containsKey("cross_entropy"));
                  assertTrue(step.metrics().get("divergence") > 0);
                  if (stops) {
                    trainer.stop();
                  }
                }
              });
      assertTrue(trainer.peak() <= planned, trainer.peak() + " of " + planned);
      assertTrue(
          teacher.peak() <= trainer.plan().parts().get("teacher's activations"),
          teacher.peak() + " bytes");
      return result;
    }
  }

  @Test
  void aStoppedRunResumesBitwiseIdentically() throws IOException {
    Path whole = folder.resolve("whole");
    train(whole, false);
    Path stopped = folder.resolve("stopped");
    Trainer.Result result;
    do {
      result = train(stopped, true);
    } while (result.end() == TrainingLoop.End.INTERRUPTED);
    String weights = "model/model.safetensors";
    assertArrayEquals(
        Files.readAllBytes(whole.resolve(weights)), Files.readAllBytes(stopped.resolve(weights)));
    assertEquals(Killing.metrics(whole), Killing.metrics(stopped));
  }

  /** Distilled for a while, the student is nearer to its teacher. */
  @Test
  void theStudentComesNearer() throws IOException {
    List<Example> batch = TrainingGoldenTest.dialogues().subList(0, 6);
    TrainingOptions options =
        TrainingOptions.builder().batchSize(6).learningRate(5e-3f).maxSteps(30).build();
    try (RunFolder run = RunFolder.create(folder.resolve("run"), Json.mapper().createObjectNode());
        TrainableT5 t5 = student(0);
        Teacher teacher = Teacher.load(MODEL, List.of(), t5);
        Distillation loss = new Distillation(t5, teacher, options(0.5f, 0));
        Trainer trainer = new Trainer(t5, options, batch, List.of(), null, loss, run)) {
      double first = trainer.step().metrics().get("divergence");
      double last = first;
      for (int i = 1; i < 30; i++) {
        last = trainer.step().metrics().get("divergence");
      }
      assertTrue(last < 0.75 * first, first + " and then " + last);
    }
  }

  @Test
  void anotherTokenizerIsRefused() throws IOException {
    Path wider = small().resolveSibling("wider");
    Files.createDirectories(wider);
    ObjectNode config = (ObjectNode) Json.mapper().readTree(MODEL.resolve("config.json").toFile());
    config.put("vocab_size", 448);
    Files.writeString(wider.resolve("config.json"), config.toPrettyString());
    try (TrainableT5 t5 = full(MODEL, 0)) {
      String message =
          assertThrows(InvalidInputException.class, () -> Teacher.load(wider, List.of(), t5))
              .getMessage();
      assertTrue(
          message.contains("has a vocabulary of 448 tokens") && message.contains("one of 416"),
          message);
      assertFalse(message.contains("\n"));
      // The same size, another token.
      config.put("vocab_size", 416);
      Files.writeString(wider.resolve("config.json"), config.toPrettyString());
      Files.copy(MODEL.resolve("tokenizer_config.json"), wider.resolve("tokenizer_config.json"));
      String tokens = Files.readString(MODEL.resolve("tokenizer.json"));
      String token;
      try (Tokenizer tokenizer = Tokenizer.load(MODEL)) {
        token = tokenizer.idToToken(300);
      }
      String changed = tokens.replace("\"" + token + "\"", "\"" + token + "zz\"");
      assertFalse(changed.equals(tokens), token);
      Files.writeString(wider.resolve("tokenizer.json"), changed);
      String other =
          assertThrows(InvalidInputException.class, () -> Teacher.load(wider, List.of(), t5))
              .getMessage();
      assertTrue(other.contains(token + "zz") || other.contains("tokens, the student's"), other);
      assertTrue(other.endsWith("distillation needs the same tokenizer"), other);
    }
  }
}
