package dev.precis.t5;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.T5;
import dev.precis.checkpoint.Checkpoint;
import dev.precis.checkpoint.TensorView;
import dev.precis.device.DeviceOptions;
import dev.precis.generation.GeneratedTokens;
import dev.precis.generation.GenerationOptions;
import dev.precis.generation.Generator;
import dev.precis.io.InvalidInputException;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.lora.LoraMerge;
import dev.precis.ops.Ops;
import dev.precis.ops.Tape;
import dev.precis.ops.Variable;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import dev.precis.training.TrainableT5;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The relatives of T5, and adapters that change the base model, against transformers and PEFT. */
class ModelGoldenTest {
  private static final Path MODELS = Fixtures.resource("models");
  private static final JsonNode GOLDEN =
      JsonMapper.shared().readTree(MODELS.resolve("golden.json").toFile());

  @TempDir Path temporary;

  /** A model of the resources; mT5's is t5-tiny with another configuration. */
  private Path model(String name) throws IOException {
    if (!name.equals("mt5")) {
      return MODELS.resolve(name);
    }
    Path folder = temporary.resolve(name);
    Files.createDirectories(folder);
    Path from = Fixtures.folder("t5-tiny");
    Files.copy(from.resolve("model.safetensors"), folder.resolve("model.safetensors"));
    String config =
        Files.readString(from.resolve("config.json"))
            .replace("\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true")
            .replace("\"model_type\": \"t5\"", "\"model_type\": \"mt5\"");
    Files.writeString(folder.resolve("config.json"), config);
    return folder;
  }

  private static int[] tokens(JsonNode row) {
    return row.valueStream().mapToInt(JsonNode::intValue).toArray();
  }

  private static List<int[]> rows(JsonNode rows) {
    List<int[]> all = new ArrayList<>();
    for (JsonNode row : rows) {
      all.add(tokens(row));
    }
    return all;
  }

  /** Generates the tokens of sources. */
  private interface Generation {
    List<List<GeneratedTokens>> of(List<int[]> sources, GenerationOptions options);
  }

  private static void assertGenerates(JsonNode golden, Generation generation) {
    assertGenerates(golden.get("sources"), golden.get("greedy"), 1, generation);
    assertGenerates(golden.get("sources"), golden.get("beam4"), 4, generation);
  }

  private static void assertGenerates(
      JsonNode sources, JsonNode want, int beams, Generation generation) {
    GenerationOptions options =
        GenerationOptions.builder().maxNewTokens(20).numBeams(beams).build();
    List<GeneratedTokens> got = new ArrayList<>();
    generation.of(rows(sources), options).forEach(got::addAll);
    assertEquals(want.size(), got.size());
    for (int i = 0; i < got.size(); i++) {
      int[] tokens = tokens(want.get(i).get("tokens"));
      int end = 0;
      while (end < tokens.length && tokens[end] != 1) {
        end++;
      }
      tokens = Arrays.copyOf(tokens, Math.min(tokens.length, end + 1));
      assertArrayEquals(tokens, got.get(i).tokens(), "source " + i + ", beams " + beams);
      double score = want.get(i).get("score").doubleValue();
      assertEquals(score, got.get(i).score(), 1e-3 * Math.max(1, Math.abs(score)));
    }
  }

  private static T5.LoadOptions float32() {
    return new T5.LoadOptions().dtype(DType.FLOAT32);
  }

  private static Generation generation(T5 t5) {
    return (sources, options) -> t5.generateTokens(sources, options, 3, null);
  }

  @ParameterizedTest
  @ValueSource(strings = {"umt5-tiny", "mt5", "byt5-tiny"})
  void tokensAndScoresAreTransformers(String name) throws IOException {
    Path folder = model(name);
    T5Config config = T5Config.read(folder);
    try (Ops ops = Ops.open(new DeviceOptions().threads(2));
        Arena arena = Arena.ofShared();
        Checkpoint checkpoint = Checkpoint.open(folder)) {
      T5Weights weights = T5Weights.load(checkpoint, config, ops, arena, DType.FLOAT32);
      try (Generator generator = new Generator(new T5Model(weights, ops, DType.FLOAT32))) {
        assertGenerates(
            GOLDEN.get(name),
            (sources, options) -> generator.generate(sources, options, 3, 0, null, null));
      }
    }
  }

  @Test
  void everyLayerOfAUmt5GetsTheGradientOfItsBias() throws IOException {
    JsonNode golden = GOLDEN.get("umt5-tiny");
    List<int[]> sources = rows(golden.get("sources"));
    List<int[]> labels = rows(golden.get("labels"));
    try (TrainableT5 t5 =
            TrainableT5.full(model("umt5-tiny"), DType.FLOAT32, 0, new DeviceOptions());
        Workspace workspace = t5.ops().newWorkspace();
        Checkpoint biases =
            Checkpoint.openFile(MODELS.resolve("umt5-tiny-gradients.safetensors"))) {
      List<int[]> inputs = new ArrayList<>();
      int count = 0;
      for (int[] label : labels) {
        int[] input = new int[label.length];
        System.arraycopy(label, 0, input, 1, label.length - 1);
        inputs.add(input);
        count += label.length;
      }
      int vocab = t5.config().vocabSize();
      Tape tape = new Tape(t5.ops(), workspace, false);
      tape.begin(true, 0);
      Ragged source = Ragged.of(sources, vocab, workspace);
      Ragged target = Ragged.of(inputs, vocab, workspace);
      Variable encoded = t5.training().encode(tape, source);
      Variable hidden = t5.training().decode(tape, encoded, source, target);
      Tensor ids = workspace.tensor(DType.INT32, count);
      int at = 0;
      for (int[] label : labels) {
        for (int id : label) {
          ids.memory().setAtIndex(ValueLayout.JAVA_INT, at++, id);
        }
      }
      t5.parameters().clearGradients();
      Tensor losses = t5.training().crossEntropy(tape, hidden, ids, 0, 1f / count);
      double loss = 0;
      for (int i = 0; i < count; i++) {
        loss += losses.memory().getAtIndex(ValueLayout.JAVA_FLOAT, i);
      }
      assertEquals(golden.get("loss").doubleValue(), loss / count, 1e-4);
      tape.backward();
      assertEquals(4, biases.names().size());
      for (String name : biases.names()) {
        TensorView want = biases.get(name);
        float[] got = values(t5.parameters().find(name).gradient(), (int) want.elements());
        double error = Fixtures.relativeError(got, want.toFloat32());
        assertTrue(error < 1e-3, name + " differs by " + error);
      }
      for (Parameter parameter : t5.parameters().all()) {
        double squares = 0;
        for (float each : values(parameter.gradient(), (int) parameter.elements())) {
          squares += (double) each * each;
        }
        double want = golden.get("gradient_norms").get(parameter.name()).doubleValue();
        assertEquals(want, Math.sqrt(squares), 1e-3 * want + 1e-6, parameter.name());
      }
    }
  }

  private static float[] values(Tensor tensor, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = tensor.memory().getAtIndex(ValueLayout.JAVA_FLOAT, i);
    }
    return values;
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "adapter-dora",
        "adapter-saved-modules",
        "adapter-saved-embedding",
        "adapter-saved-projection"
      })
  void adaptersThatChangeTheBaseModelAreMergedAsTheyAreLoaded(String name) throws IOException {
    Path base = Fixtures.folder("t5-tiny");
    Path adapter = MODELS.resolve(name);
    try (T5 t5 = T5.load(base, float32().adapters(List.of(adapter)))) {
      assertGenerates(GOLDEN.get(name), generation(t5));
      String said =
          assertThrows(InvalidInputException.class, () -> t5.useAdapters(List.of())).getMessage();
      assertTrue(said.contains("load the model again"), said);
    }
    Path merged = temporary.resolve("merged");
    try (Ops ops = Ops.open(new DeviceOptions())) {
      assertTrue(LoraMerge.merge(base, List.of(adapter), merged, ops) > 0);
    }
    try (T5 t5 = T5.load(merged, float32())) {
      assertGenerates(GOLDEN.get(name), generation(t5));
    }
    try (T5 t5 = T5.load(base, float32())) {
      String said =
          assertThrows(InvalidInputException.class, () -> t5.useAdapters(List.of(adapter)))
              .getMessage();
      assertTrue(said.contains("load the model with it"), said);
    }
    if (name.equals("adapter-saved-modules")) {
      try (TrainableT5 t5 =
          TrainableT5.loraFrom(base, adapter, 0, DType.FLOAT32, 0, new DeviceOptions())) {
        assertFalse(t5.adapter().config().modulesToSave().isEmpty());
      }
      return;
    }
    String said =
        assertThrows(
                InvalidInputException.class,
                () -> TrainableT5.loraFrom(base, adapter, 0, DType.FLOAT32, 0, new DeviceOptions()))
            .getMessage();
    assertTrue(said.contains("merge"), said);
  }
}
