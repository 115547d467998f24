package dev.precis.training;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.T5;
import dev.precis.checkpoint.WeightsCache;
import dev.precis.device.DeviceOptions;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.lora.Ia3Config;
import dev.precis.lora.LoraConfig;
import dev.precis.lora.PromptConfig;
import dev.precis.tensor.DType;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Parameters that are trained on weights in int8 and int4. */
class QuantizedTrainingTest {
  private static final Path MODEL = Fixtures.folder("t5-tiny");
  private static final List<Example> BATCH =
      List.of(
          new Example(new int[] {37, 5, 88, 14, 1}, new int[] {11, 92, 7, 1}),
          new Example(new int[] {63, 20, 1}, new int[] {45, 1}),
          new Example(new int[] {9, 9, 71, 30, 55, 16, 1}, new int[] {28, 3, 3, 67, 1}));

  @TempDir private Path folder;

  private static DeviceOptions device() {
    return TrainingGoldenTest.device();
  }

  private static TrainableT5 model(String method, DType dtype) {
    List<String> targets = List.of("q", "v", "wo");
    return switch (method) {
      case "lora" ->
          TrainableT5.lora(MODEL, new LoraConfig(4, 8, 0, targets, false), dtype, 0, 3, device());
      case "lora and head" ->
          TrainableT5.lora(
              MODEL,
              new LoraConfig(4, 8, 0, targets, false, List.of("lm_head")),
              dtype,
              0,
              3,
              device());
      case "ia3" -> TrainableT5.ia3(MODEL, Ia3Config.T5, dtype, 0, device());
      case "prompt" ->
          TrainableT5.promptTuning(MODEL, new PromptConfig(5, new int[0]), dtype, 0, 3, device());
      default -> throw new IllegalArgumentException(method);
    };
  }

  private static List<float[]> gradients(TrainableT5 t5) {
    try (FineTuning fineTuning = new FineTuning(t5, 0, false)) {
      // B is zeros at first, and no gradient would flow to A.
      for (Parameter parameter : t5.parameters().all()) {
        MemorySegment values = parameter.value().memory();
        for (long i = 0; i < values.byteSize() / Float.BYTES; i++) {
          float value = values.getAtIndex(ValueLayout.JAVA_FLOAT, i);
          values.setAtIndex(ValueLayout.JAVA_FLOAT, i, value + 0.01f * (i * 3 % 5 - 2));
        }
      }
      t5.update();
      t5.parameters().clearGradients();
      fineTuning.accumulate(BATCH, 1f / FineTuning.targetTokens(BATCH), 1);
      List<float[]> all = new ArrayList<>();
      for (Parameter parameter : t5.parameters().all()) {
        all.add(parameter.gradient().memory().toArray(ValueLayout.JAVA_FLOAT));
      }
      return all;
    }
  }

  private static double norm(float[] x) {
    double sum = 0;
    for (float v : x) {
      sum += (double) v * v;
    }
    return Math.sqrt(sum);
  }

  /** Rounding the frozen weights moves gradients by about what it moves the weights by. */
  @ParameterizedTest
  @CsvSource({
    "lora, INT8, 0.1",
    "lora, INT4, 0.6",
    "lora and head, INT8, 0.1",
    "ia3, INT8, 0.1",
    "ia3, INT4, 0.6",
    "prompt, INT8, 0.1",
    "prompt, INT4, 0.6"
  })
  void gradientsAreNearThoseOfFloats(String method, DType dtype, double most) {
    try (TrainableT5 floats = model(method, DType.FLOAT32);
        TrainableT5 rounded = model(method, dtype)) {
      assertEquals(DType.BFLOAT16, rounded.dtype());
      List<float[]> want = gradients(floats);
      List<float[]> got = gradients(rounded);
      double difference = 0;
      double all = 0;
      for (int i = 0; i < want.size(); i++) {
        float[] error = got.get(i).clone();
        for (int j = 0; j < error.length; j++) {
          error[j] -= want.get(i)[j];
        }
        difference = Math.hypot(difference, norm(error));
        all = Math.hypot(all, norm(want.get(i)));
      }
      assertTrue(all > 0);
      double share = difference / all;
      assertTrue(share > 1e-4 && share < most, method + " " + dtype + ": " + share);
    }
  }

  @ParameterizedTest
  @CsvSource({"INT8", "INT4"})
  void stepsLowerTheLoss(DType dtype) {
    TrainingOptions options =
        TrainingOptions.builder().maxSteps(12).batchSize(3).learningRate(5e-3f).build();
    try (TrainableT5 t5 = model("lora", dtype);
        RunFolder run = RunFolder.create(folder.resolve("run"), Json.mapper().createObjectNode());
        Trainer trainer = new Trainer(t5, options, BATCH, List.of(), run)) {
      double first = trainer.step().loss();
      double last = first;
      for (int i = 1; i < 12; i++) {
        last = trainer.step().loss();
      }
      assertTrue(last < 0.9 * first, first + " to " + last);
    }
  }

  @ParameterizedTest
  @CsvSource({"FLOAT32", "BFLOAT16", "INT8", "INT4"})
  void packedWeightsAreKeptBetweenRuns(DType dtype) throws IOException {
    Path files = folder.resolve("weights");
    WeightsCache cache = new WeightsCache(files, 1 << 26, 0);
    // Generation keeps the same weights, but for the output layer of int8 and int4.
    T5.load(MODEL, new T5.LoadOptions().dtype(dtype).weightsCache(cache)).close();
    assertEquals(1, list(files).size());
    LoraConfig lora = new LoraConfig(4, 8, 0, List.of("q", "v"), false);
    List<float[]> first = null;
    for (int run = 0; run < 2; run++) {
      try (TrainableT5 t5 =
          TrainableT5.lora(new TrainableT5.Base(MODEL, dtype, cache, device()), lora, 0, 3)) {
        List<float[]> gradients = gradients(t5);
        for (int i = 0; first != null && i < first.size(); i++) {
          assertArrayEquals(first.get(i), gradients.get(i));
        }
        first = gradients;
      }
      assertEquals(dtype.quantized() ? 2 : 1, list(files).size());
    }
  }

  @Test
  void weightsThatAreIncompleteAreNotKept() throws IOException, InterruptedException {
    Path model = Files.createDirectory(folder.resolve("model"));
    for (Path file : list(MODEL)) {
      Files.copy(file, model.resolve(file.getFileName()));
    }
    Path config = model.resolve("config.json");
    Files.writeString(
        config,
        Files.readString(config)
            .replaceFirst("\"num_decoder_layers\": \\d+", "\"num_decoder_layers\": 40"));
    Thread.sleep(2100); // of files that changed just now nothing is kept
    Path files = folder.resolve("weights");
    WeightsCache cache = new WeightsCache(files, 1 << 26, 0);
    LoraConfig lora = new LoraConfig(4, 8, 0, List.of("q"), false);
    var base = new TrainableT5.Base(model, DType.FLOAT32, cache, device());
    assertThrows(InvalidInputException.class, () -> TrainableT5.lora(base, lora, 0, 3));
    assertTrue(Files.notExists(files) || list(files).isEmpty());
  }

  private static List<Path> list(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.toList();
    }
  }

  @Test
  void weightsTakeLessMemory() {
    try (TrainableT5 floats = model("lora", DType.BFLOAT16);
        TrainableT5 bytes = model("lora", DType.INT8);
        TrainableT5 halves = model("lora", DType.INT4)) {
      assertTrue(bytes.weightBytes() < floats.weightBytes());
      assertTrue(halves.weightBytes() < bytes.weightBytes());
    }
  }

  @Test
  void weightsThatAreTrainedAreNotRounded() {
    assertThrows(
        InvalidInputException.class, () -> TrainableT5.full(MODEL, DType.INT8, 0, device()));
    assertThrows(InvalidInputException.class, () -> model("lora", DType.FLOAT16));
  }
}
