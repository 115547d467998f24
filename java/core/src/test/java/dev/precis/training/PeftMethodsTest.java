package dev.precis.training;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.T5;
import dev.precis.alignment.Reference;
import dev.precis.alignment.policy.Ppo;
import dev.precis.alignment.policy.PpoOptions;
import dev.precis.checkpoint.Checkpoint;
import dev.precis.checkpoint.PeftAdapter;
import dev.precis.checkpoint.TensorView;
import dev.precis.generation.GeneratedTokens;
import dev.precis.generation.GenerationOptions;
import dev.precis.generation.Generator;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.lora.Ia3Config;
import dev.precis.lora.LoraConfig;
import dev.precis.lora.LoraMerge;
import dev.precis.lora.PromptConfig;
import dev.precis.ops.Ops;
import dev.precis.t5.T5Config;
import dev.precis.t5.T5Model;
import dev.precis.tensor.DType;
import dev.precis.tensor.MemoryPlan;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** IA3 and prompt tuning, against PEFT. */
class PeftMethodsTest {
  private static final Path MODEL = Fixtures.folder("t5-tiny");
  private static final Path FOLDER = Fixtures.resource("peft");
  private static final JsonNode GOLDEN =
      JsonMapper.shared().readTree(FOLDER.resolve("golden.json").toFile());

  @TempDir private Path folder;

  private static int[] ints(JsonNode node) {
    return StreamSupport.stream(node.spliterator(), false).mapToInt(JsonNode::intValue).toArray();
  }

  private static List<int[]> rows(JsonNode node) {
    List<int[]> rows = new ArrayList<>();
    node.forEach(each -> rows.add(ints(each)));
    return rows;
  }

  private static List<int[]> sources() {
    return rows(GOLDEN.get("sources"));
  }

  private static List<Example> batch() {
    List<int[]> targets = rows(GOLDEN.get("targets"));
    List<Example> examples = new ArrayList<>();
    for (int i = 0; i < targets.size(); i++) {
      examples.add(new Example(sources().get(i), targets.get(i)));
    }
    return examples;
  }

  private static T5 load(List<Path> adapters, DType dtype) {
    return T5.load(MODEL, new T5.LoadOptions().dtype(dtype).threads(2).adapters(adapters));
  }

  private static TrainableT5 from(Path start, DType dtype, float dropout) {
    try (PeftAdapter adapter = PeftAdapter.open(start)) {
      return adapter.kind() == PeftAdapter.Kind.IA3
          ? TrainableT5.ia3From(MODEL, start, dtype, dropout, TrainingGoldenTest.device())
          : TrainableT5.promptTuningFrom(MODEL, start, dtype, dropout, TrainingGoldenTest.device());
    }
  }

  /** Returns the logits of each target token. */
  private static float[] logits(T5Model model, List<Example> examples) {
    T5Config config = model.config();
    try (Workspace workspace = model.ops().newWorkspace()) {
      List<int[]> targets = examples.stream().map(Example::target).toList();
      Ragged source = model.sources(examples.stream().map(Example::source).toList(), workspace);
      Ragged target = TeacherForcing.inputs(targets, config, workspace);
      Tensor hidden = model.decode(model.encode(source, workspace), target, workspace);
      Tensor logits = workspace.tensor(DType.FLOAT32, hidden.rows(), config.vocabSize());
      model.logits(hidden, logits);
      return TrainingGoldenTest.floats(logits);
    }
  }

  private static List<int[]> generated(List<List<GeneratedTokens>> results) {
    return results.stream().map(each -> each.getFirst().tokens()).toList();
  }

  private static void assertTokens(List<int[]> want, List<int[]> got) {
    assertEquals(want.size(), got.size());
    for (int i = 0; i < want.size(); i++) {
      assertArrayEquals(want.get(i), got.get(i), "source " + i);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"ia3", "ia3-queries", "prompt"})
  void logitsAndTokensAreThoseOfPeft(String name) {
    GenerationOptions options = GenerationOptions.builder().maxNewTokens(12).build();
    try (Checkpoint golden = Checkpoint.openFile(FOLDER.resolve("golden.safetensors"));
        T5 t5 = load(List.of(FOLDER.resolve(name)), DType.FLOAT32)) {
      float[] together = logits(t5.model(), batch());
      int at = 0;
      for (int i = 0; i < batch().size(); i++) {
        float[] want = golden.get(name + ".logits." + i).toFloat32();
        float[] alone = logits(t5.model(), batch().subList(i, i + 1));
        assertArrayEquals(want, alone, 2e-4f, name + ", source " + i);
        assertArrayEquals(Arrays.copyOfRange(together, at, at + alone.length), alone);
        at += alone.length;
      }
      List<int[]> want = rows(GOLDEN.get(name).get("generated"));
      List<List<GeneratedTokens>> got = t5.generateTokens(sources(), options, 2, null);
      for (int i = 0; i < want.size(); i++) {
        int[] tokens = got.get(i).getFirst().tokens();
        assertArrayEquals(Arrays.copyOf(want.get(i), tokens.length), tokens, "source " + i);
      }
      List<List<GeneratedTokens>> beams =
          t5.generateTokens(sources(), options.with().numBeams(2).build(), 2, null);
      assertEquals(sources().size(), beams.size());
    }
  }

  /** Gradients of the first step, losses of five of AdamW, and the values after them. */
  @ParameterizedTest
  @CsvSource({
    "ia3, false",
    "ia3, true",
    "ia3-queries, false",
    "ia3-queries, true",
    "prompt, false",
    "prompt, true"
  })
  void trainsAsPeft(String name, boolean recompute) {
    if (name.equals("ia3-queries")) {
      // The start is what PEFT saved; its layers are trained as PEFT trains them.
      try (PeftAdapter adapter = PeftAdapter.open(FOLDER.resolve(name))) {
        assertEquals(24, adapter.scales().size());
      }
    }
    TrainingOptions options =
        TrainingOptions.builder()
            .learningRate(0.01f)
            .schedule(Schedule.Shape.CONSTANT)
            .batchSize(3)
            .maxSteps(5)
            .optimizer(Optimizer.Settings.of(Optimizer.Kind.ADAMW, 0))
            .maxGradNorm(0)
            .shuffle(false)
            .recompute(recompute)
            .build();
    try (Checkpoint golden = Checkpoint.openFile(FOLDER.resolve("golden.safetensors"));
        TrainableT5 t5 = from(FOLDER.resolve(name), DType.FLOAT32, Float.NaN);
        FineTuning fineTuning = new FineTuning(t5, 0, recompute)) {
      long tokens = FineTuning.targetTokens(batch());
      // Twice, so that memory that is used again is seen.
      for (int i = 0; i < 2; i++) {
        t5.parameters().clearGradients();
        double loss = fineTuning.accumulate(batch(), 1f / tokens, 1) / tokens;
        assertEquals(GOLDEN.get(name).get("losses").get(0).doubleValue(), loss, 1e-4);
      }
      for (Parameter parameter : t5.parameters().all()) {
        assertNear(golden, name + ".grad." + parameter.name(), parameter.gradient());
      }
      try (RunFolder run =
              RunFolder.create(folder.resolve("run"), Json.mapper().createObjectNode());
          Trainer trainer = new Trainer(t5, options, batch(), List.of(), run)) {
        for (JsonNode want : GOLDEN.get(name).get("losses")) {
          assertEquals(want.doubleValue(), trainer.step().loss(), 2e-4);
        }
      }
      for (Parameter parameter : t5.parameters().all()) {
        assertNear(golden, name + ".after." + parameter.name(), parameter.value());
      }
    }
  }

  private static void assertNear(Checkpoint golden, String name, Tensor got) {
    double error =
        Fixtures.relativeError(TrainingGoldenTest.floats(got), golden.get(name).toFloat32());
    assertTrue(error < 1e-3, name + ": " + error);
  }

  /** Trains for some steps, in one run or in several that resume. */
  private static byte[] trained(Path run, String name, int... ends) throws IOException {
    for (int end : ends) {
      TrainingOptions options =
          TrainingOptions.builder()
              .learningRate(0.02f)
              .schedule(Schedule.Shape.CONSTANT)
              .batchSize(2)
              .maxSteps(4)
              .checkpointEvery(1)
              .build();
      boolean going = Files.exists(run.resolve("config.json"));
      var config = Json.mapper().createObjectNode();
      try (RunFolder opened =
              going ? RunFolder.resume(run, config) : RunFolder.create(run, config);
          TrainableT5 t5 = from(FOLDER.resolve(name), DType.FLOAT32, 0.1f);
          Trainer trainer = new Trainer(t5, options, batch(), List.of(), opened)) {
        if (going) {
          trainer.resume();
        }
        trainer.train(
            new Trainer.Listener() {
              @Override
              public void onStep(Trainer.Step step) {
                if (step.step() == end) {
                  trainer.stop();
                }
              }
            });
      }
    }
    return Files.readAllBytes(run.resolve("adapter/adapter_model.safetensors"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"ia3", "prompt"})
  void aRunThatWasStoppedEndsWithTheSameBits(String name) throws IOException {
    byte[] whole = trained(folder.resolve("whole"), name, 0);
    assertArrayEquals(whole, trained(folder.resolve("stopped"), name, 2, 0));
  }

  /** A model that trains, and one that loads what it wrote. */
  @ParameterizedTest
  @CsvSource({"ia3, FLOAT32", "prompt, FLOAT32", "prompt, BFLOAT16"})
  void whatIsWrittenIsReadAgain(String name, DType dtype) {
    GenerationOptions options = GenerationOptions.builder().maxNewTokens(8).build();
    try (TrainableT5 t5 = from(FOLDER.resolve(name), dtype, 0);
        FineTuning fineTuning = new FineTuning(t5, 0, false)) {
      fineTuning.accumulate(batch(), 0.1f, 1);
      t5.ops().add(row(t5.parameters().gradients()), -0.5f, row(t5.parameters().values()));
      t5.update();
      t5.write(folder.resolve("written"));
      float[] want = logits(t5.model(), batch());
      List<int[]> tokens;
      try (Generator generator = new Generator(t5.model())) {
        tokens = generated(generator.generate(sources(), options, 2, 0, null, null));
      }
      try (T5 loaded = load(List.of(folder.resolve("written")), dtype)) {
        float[] got = logits(loaded.model(), batch());
        if (name.equals("prompt")) {
          assertArrayEquals(want, got);
        } else {
          assertArrayEquals(want, got, 1e-4f); // scaled weights round elsewhere than scaled states
        }
        assertTokens(tokens, generated(loaded.generateTokens(sources(), options, 2, null)));
      }
    }
  }

  /**
   * The folders in written are still those that are written; read.py made PEFT's logits of them.
   */
  @ParameterizedTest
  @ValueSource(strings = {"ia3", "ia3-further", "prompt"})
  void peftReadsWhatIsWritten(String name) throws IOException {
    Path kept = FOLDER.resolve("written").resolve(name);
    Path again = folder.resolve("again");
    try (TrainableT5 t5 = started(name);
        Checkpoint tensors = Checkpoint.openFile(kept.resolve("adapter_model.safetensors"))) {
      for (Parameter parameter : t5.parameters().all()) {
        TensorView tensor = tensors.get(t5.tensorName(parameter.name()));
        parameter.value().write(tensor::toFloat32);
      }
      t5.update();
      t5.write(again);
    }
    assertEquals(configuration(kept), configuration(again));
    assertArrayEquals(
        Files.readAllBytes(kept.resolve("adapter_model.safetensors")),
        Files.readAllBytes(again.resolve("adapter_model.safetensors")));
    try (Checkpoint golden = Checkpoint.openFile(FOLDER.resolve("written.safetensors"));
        T5 t5 = load(List.of(kept), DType.FLOAT32)) {
      for (int i = 0; i < batch().size(); i++) {
        assertArrayEquals(
            golden.get(name + ".logits." + i).toFloat32(),
            logits(t5.model(), batch().subList(i, i + 1)),
            2e-4f);
      }
    }
  }

  private static TrainableT5 started(String name) {
    return switch (name) {
      case "ia3" ->
          TrainableT5.ia3(MODEL, Ia3Config.T5, DType.FLOAT32, 0, TrainingGoldenTest.device());
      case "prompt" -> prompt(new PromptConfig(5, new int[0]), 3);
      default -> from(FOLDER.resolve("ia3-queries"), DType.FLOAT32, 0);
    };
  }

  /** Returns an adapter's configuration without the model's folder. */
  private static JsonNode configuration(Path adapter) {
    ObjectNode json =
        (ObjectNode) Json.mapper().readTree(adapter.resolve("adapter_config.json").toFile());
    json.remove("base_model_name_or_path");
    return json;
  }

  @Test
  void aSoftPromptIsNotAligned() {
    try (TrainableT5 policy = prompt(new PromptConfig(5, new int[0]), 1);
        Reference reference = Reference.open("base", policy, Path::of)) {
      PpoOptions options = PpoOptions.builder().build();
      String said =
          assertThrows(InvalidInputException.class, () -> new Ppo(policy, reference, null, options))
              .getMessage();
      assertTrue(said.contains("soft prompt is not aligned"), said);
    }
  }

  private static Tensor row(Tensor vector) {
    return vector.as(1, vector.dim(0));
  }

  @Test
  void newVectorsChangeNothing() {
    float[] plain;
    try (T5 t5 = load(List.of(), DType.FLOAT32)) {
      plain = logits(t5.model(), batch());
    }
    try (TrainableT5 t5 =
        TrainableT5.ia3(MODEL, Ia3Config.T5, DType.FLOAT32, 0, TrainingGoldenTest.device())) {
      assertArrayEquals(plain, logits(t5.model(), batch()));
      assertTrue(t5.trainsEncoder());
      // Of 3 layers: keys and values of 3 attentions, and what two wo read.
      assertEquals(3 * (3 * 2 * 4 * 24 + 2 * 160), t5.parameters().count());
    }
  }

  @Test
  void aPromptBeginsAsTokens() {
    try (Checkpoint checkpoint = Checkpoint.open(MODEL);
        TrainableT5 named = prompt(new PromptConfig(5, new int[] {7, 9}), 1);
        TrainableT5 sampled = prompt(new PromptConfig(5, new int[0]), 1);
        TrainableT5 again = prompt(new PromptConfig(5, new int[0]), 1);
        TrainableT5 other = prompt(new PromptConfig(5, new int[0]), 2)) {
      float[] table = checkpoint.get("shared.weight").toFloat32();
      float[] values = TrainingGoldenTest.floats(named.parameters().all().getFirst().value());
      int width = named.config().dModel();
      for (int i = 0; i < 5; i++) {
        int id = i % 2 == 0 ? 7 : 9;
        assertArrayEquals(
            Arrays.copyOfRange(table, id * width, (id + 1) * width),
            Arrays.copyOfRange(values, i * width, (i + 1) * width));
      }
      float[] first = TrainingGoldenTest.floats(sampled.parameters().values());
      assertArrayEquals(first, TrainingGoldenTest.floats(again.parameters().values()));
      assertTrue(!Arrays.equals(first, TrainingGoldenTest.floats(other.parameters().values())));
      assertTrue(sampled.trainsEncoder());
    }
  }

  private static TrainableT5 prompt(PromptConfig prompt, long seed) {
    return TrainableT5.promptTuning(
        MODEL, prompt, DType.FLOAT32, 0, seed, TrainingGoldenTest.device());
  }

  @ParameterizedTest
  @CsvSource({"ia3, false", "ia3, true", "prompt, false", "prompt, true"})
  void theMemoryIsPlanned(String name, boolean recompute) {
    TrainingOptions options =
        TrainingOptions.builder().batchSize(4).maxSteps(2).recompute(recompute).build();
    List<Example> dialogues = TrainingGoldenTest.dialogues().subList(0, 8);
    try (TrainableT5 t5 = from(FOLDER.resolve(name), DType.FLOAT32, 0.1f);
        RunFolder run = RunFolder.create(folder.resolve("run"), Json.mapper().createObjectNode());
        Trainer trainer = new Trainer(t5, options, dialogues, List.of(), run)) {
      long planned = trainer.plan().parts().get("activations");
      trainer.step();
      trainer.step();
      assertTrue(trainer.peak() <= planned, trainer.peak() + " of " + planned);
    }
  }

  /** Fewer tokens than those that measure the plan, and a source much longer than the target. */
  @ParameterizedTest
  @CsvSource({
    "lora, false",
    "lora, true",
    "full, false",
    "full, true",
    "ia3, false",
    "ia3, true",
    "ia3-queries, false",
    "ia3-queries, true",
    "prompt, false",
    "prompt, true"
  })
  void theMemoryOfAnyShapeIsPlanned(String name, boolean recompute) {
    for (int[] shape : new int[][] {{1, 1, 1}, {3, 7, 4}, {16, 5, 2}, {8, 200, 5}, {2, 5, 200}}) {
      int[] source = new int[shape[1]];
      int[] target = new int[shape[2]];
      Arrays.fill(source, 5);
      Arrays.fill(target, 6);
      List<Example> examples = Collections.nCopies(shape[0], new Example(source, target));
      TrainingOptions options =
          TrainingOptions.builder().batchSize(shape[0]).maxSteps(2).recompute(recompute).build();
      Path into = folder.resolve("run" + shape[0]);
      try (TrainableT5 t5 = begun(name);
          RunFolder run = RunFolder.create(into, Json.mapper().createObjectNode());
          Trainer trainer = new Trainer(t5, options, examples, List.of(), run)) {
        long planned = trainer.plan().parts().get("activations");
        trainer.step();
        trainer.step();
        assertTrue(trainer.peak() <= planned, trainer.peak() + " of " + planned);
      }
    }
  }

  private static TrainableT5 begun(String name) {
    LoraConfig lora = new LoraConfig(4, 8, 0, List.of("q", "v"), false);
    return switch (name) {
      case "lora" ->
          TrainableT5.lora(MODEL, lora, DType.FLOAT32, 0.1f, 1, TrainingGoldenTest.device());
      case "full" -> TrainableT5.full(MODEL, DType.FLOAT32, 0.1f, TrainingGoldenTest.device());
      default -> from(FOLDER.resolve(name), DType.FLOAT32, 0.1f);
    };
  }

  @Test
  void theWeightsMemoryIsKnownBefore() {
    Optimizer.Settings optimizer = Optimizer.Settings.of(Optimizer.Kind.ADAMW, 0);
    T5Config config = T5Config.read(MODEL);
    MemoryPlan ia3 = WeightMemory.ia3(config, DType.FLOAT32, Ia3Config.T5, optimizer);
    MemoryPlan prompt = WeightMemory.prompt(config, DType.FLOAT32, 20, optimizer);
    assertEquals(2 * 4 * 20 * 64, prompt.parts().get("trained weights and gradients"));
    assertEquals(
        2 * 4 * 3 * (3 * 2 * 4 * 24 + 2 * 160), ia3.parts().get("trained weights and gradients"));
  }

  @Test
  void anIa3AdapterIsMerged() throws IOException {
    Path merged = Files.createDirectory(folder.resolve("merged"));
    try (Ops ops = Ops.open(TrainingGoldenTest.device())) {
      assertEquals(24, LoraMerge.merge(MODEL, List.of(FOLDER.resolve("ia3")), merged, ops));
      String said =
          assertThrows(
                  InvalidInputException.class,
                  () ->
                      LoraMerge.merge(
                          MODEL, List.of(FOLDER.resolve("prompt")), folder.resolve("no"), ops))
              .getMessage();
      assertTrue(said.contains("soft prompt"), said);
    }
    try (T5 with = load(List.of(FOLDER.resolve("ia3")), DType.FLOAT32);
        T5 alone = T5.load(merged, new T5.LoadOptions().dtype(DType.FLOAT32).threads(2))) {
      assertArrayEquals(logits(with.model(), batch()), logits(alone.model(), batch()), 1e-6f);
    }
  }

  @Test
  void theyAreGivenAsTheModelIsLoaded() {
    try (T5 plain = load(List.of(), DType.FLOAT32);
        T5 prompted = load(List.of(FOLDER.resolve("prompt")), DType.FLOAT32)) {
      for (String name : List.of("ia3", "prompt")) {
        for (Runnable late :
            List.<Runnable>of(
                () -> plain.useAdapters(List.of(FOLDER.resolve(name))),
                () -> plain.addAdapter("late", FOLDER.resolve(name)),
                () -> prompted.useAdapters(List.of()))) {
          assertThrows(InvalidInputException.class, late::run);
        }
      }
      // Texts are represented by their own tokens' states, which a prompt changes.
      float[] own = plain.embedTokens(sources(), null).getFirst();
      float[] behind = prompted.embedTokens(sources(), null).getFirst();
      assertEquals(own.length, behind.length);
      assertTrue(!Arrays.equals(own, behind));
      assertThrows(
          InvalidInputException.class,
          () -> prompted.embedTokens(List.of(new int[] {416, 1}), null));
    }
    String said =
        assertThrows(
                InvalidInputException.class,
                () ->
                    load(List.of(FOLDER.resolve("prompt"), FOLDER.resolve("prompt")), DType.FLOAT32)
                        .close())
            .getMessage();
    assertTrue(said.contains("both soft prompts"), said);
  }

  private String refusal(String name, String key, String value, String as) throws IOException {
    Path copy = Files.createDirectories(folder.resolve(as));
    for (String file : List.of("adapter_config.json", "adapter_model.safetensors")) {
      Files.copy(FOLDER.resolve(name).resolve(file), copy.resolve(file));
    }
    Path config = copy.resolve("adapter_config.json");
    String json = Files.readString(config);
    String edited = json.replaceAll("\"" + key + "\": [^,\\n]+", "\"" + key + "\": " + value);
    assertTrue(!json.equals(edited), json);
    Files.writeString(config, edited);
    return assertThrows(InvalidInputException.class, () -> load(List.of(copy), DType.FLOAT32))
        .getMessage();
  }

  @Test
  void badFoldersAreRefused() throws IOException {
    String said = refusal("prompt", "num_virtual_tokens", "6", "a");
    assertTrue(said.contains("6 virtual tokens"), said);
    said = refusal("prompt", "num_virtual_tokens", "0", "b");
    assertTrue(said.contains("num_virtual_tokens"), said);
    said = refusal("prompt", "peft_type", "\"IA3\"", "c");
    assertTrue(said.contains("prompt_embeddings") && said.contains("ia3_l"), said);
    said = refusal("ia3", "peft_type", "\"LOHA\"", "d");
    assertTrue(said.contains("\"PROMPT_TUNING\""), said);
    said = refusal("ia3", "peft_type", "\"LORA\"", "e");
    assertTrue(said.contains("\"r\""), said);
    try (PeftAdapter ia3 = PeftAdapter.open(FOLDER.resolve("ia3"))) {
      TensorView vector = ia3.scales().values().iterator().next();
      assertEquals(2, vector.shape().length);
    }
    said =
        assertThrows(
                InvalidInputException.class,
                () ->
                    TrainableT5.loraFrom(
                            MODEL,
                            FOLDER.resolve("ia3"),
                            0,
                            DType.FLOAT32,
                            0,
                            TrainingGoldenTest.device())
                        .close())
            .getMessage();
    assertTrue(said.contains("is an IA3 adapter, not a LoRA adapter"), said);
    said =
        assertThrows(
                InvalidInputException.class,
                () -> from(Fixtures.folder("t5-tiny-lora"), DType.FLOAT32, 0))
            .getMessage();
    assertTrue(said.contains("is a LoRA adapter, not a soft prompt"), said);
  }

  @ParameterizedTest
  @CsvSource({
    "'k,v', 'wo', not one of the target modules",
    "'k,v,wo', 'k,wo', reads its input together",
    "'k,o', '', feed-forward module alone",
    "'lm_head', '', output layer cannot be scaled",
    "'nothing', '', No layer of the model"
  })
  void layersThatCannotBeScaled(String targets, String inputs, String reason) {
    String said =
        assertThrows(
                InvalidInputException.class,
                () ->
                    TrainableT5.ia3(
                            MODEL,
                            new Ia3Config(
                                List.of(targets.split(",")),
                                inputs.isEmpty() ? List.of() : List.of(inputs.split(","))),
                            DType.FLOAT32,
                            0,
                            TrainingGoldenTest.device())
                        .close())
            .getMessage();
    assertTrue(said.contains(reason), said);
  }
}
