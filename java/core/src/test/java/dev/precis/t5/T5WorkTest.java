package dev.precis.t5;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.T5;
import dev.precis.alignment.Reference;
import dev.precis.alignment.policy.Ppo;
import dev.precis.alignment.policy.PpoOptions;
import dev.precis.alignment.policy.Prompt;
import dev.precis.alignment.policy.Rollout;
import dev.precis.device.DeviceOptions;
import dev.precis.generation.GenerationOptions;
import dev.precis.lora.LoraConfig;
import dev.precis.ops.Activation;
import dev.precis.ops.OpTimer;
import dev.precis.t5.T5Work.Amount;
import dev.precis.t5.T5Work.Part;
import dev.precis.tensor.DType;
import dev.precis.training.Example;
import dev.precis.training.FineTuning;
import dev.precis.training.Optimizer;
import dev.precis.training.TrainableT5;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The formulas of the floors against the operations that the engine runs, and against hand's. */
class T5WorkTest {
  private static final int BATCH = 3;
  private static final int SOURCE = 11;
  private static final int TARGET = 5;
  private static final int RANK = 4;

  @TempDir Path folder;

  /** A random model whose stacks differ in depth, and whose heads are not as wide as it is. */
  private Path model(boolean gated) throws IOException {
    Path shape = Files.createDirectory(folder.resolve("shape"));
    Path tiny = Fixtures.folder("t5-tiny");
    for (String file : List.of("tokenizer.json", "tokenizer_config.json")) {
      Files.copy(tiny.resolve(file), shape.resolve(file));
    }
    String config = Files.readString(tiny.resolve("config.json"));
    config = config.replace("\"num_decoder_layers\": 3", "\"num_decoder_layers\": 2");
    if (!gated) {
      config = config.replace("\"gated-gelu\"", "\"relu\"").replace("\"gelu_new\"", "\"relu\"");
      config = config.replace("\"is_gated_act\": true", "\"is_gated_act\": false");
    }
    Files.writeString(shape.resolve("config.json"), config);
    Path model = folder.resolve("model");
    try (TrainableT5 t5 = TrainableT5.fromScratch(shape, DType.FLOAT32, 0, 1, device())) {
      t5.write(model);
    }
    return model;
  }

  private static DeviceOptions device() {
    return new DeviceOptions().device("cpu").threads(1);
  }

  private static int[] ids(int count, int first) {
    int[] ids = new int[count];
    for (int i = 0; i < count; i++) {
      ids[i] = 3 + (first + 7 * i) % 400;
    }
    return ids;
  }

  private static List<int[]> sources() {
    return List.of(ids(SOURCE, 1), ids(SOURCE, 2), ids(SOURCE, 3));
  }

  private static List<List<Integer>> tokens(T5 t5, GenerationOptions options) {
    return t5.generateTokens(sources(), options, BATCH, null).stream()
        .map(each -> Arrays.stream(each.getFirst().tokens()).boxed().toList())
        .toList();
  }

  private static void assertWork(Map<Part, Amount> formula, Map<Part, OpTimer.Total> counted) {
    for (Part part : Part.values()) {
      double want = formula.getOrDefault(part, new Amount(0, 0)).multiplications();
      OpTimer.Total total = counted.get(part);
      if (part != Part.OTHER && part != Part.REWARD) {
        assertEquals(want, total == null ? 0 : total.multiplications(), 0.5, part.toString());
        assertEquals(formula.containsKey(part), total != null, part.toString());
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "FLOAT32, true, 4, 4",
    "BFLOAT16, false, 2, 2",
    "INT8, true, 1, 2",
    "INT4, true, 0.5625, 2"
  })
  void generation(DType dtype, boolean gated, double weightBytes, int valueBytes)
      throws IOException {
    GenerationOptions options =
        GenerationOptions.builder()
            .maxNewTokens(TARGET)
            .minNewTokens(TARGET)
            .maxSourceTokens(SOURCE)
            .build();
    try (T5 t5 =
        T5.load(model(gated), new T5.LoadOptions().device("cpu").dtype(dtype).threads(1))) {
      T5Work work = new T5Work(t5.config(), weightBytes, valueBytes);
      OpTimer timer = t5.model().ops().timer();
      List<List<Integer>> before = tokens(t5, options);
      assertTrue(timer.totals().isEmpty(), "a timer that is off sees nothing");
      timer.start();
      List<List<Integer>> timed = tokens(t5, options);
      timer.stop();
      Map<Part, OpTimer.Total> parts = T5Work.parts(timer);
      assertEquals(before, timed);
      assertEquals(before, tokens(t5, options));
      assertEquals(parts, T5Work.parts(timer));
      Map<Part, Amount> formula = work.generation(BATCH, SOURCE, TARGET);
      assertWork(formula, parts);
      // Weights are read once by each step, keys and values once by each row.
      for (Part part : Set.of(Part.DECODE_PRODUCTS, Part.LOGITS, Part.KV_READS)) {
        assertEquals(formula.get(part).bytes(), parts.get(part).bytes(), 0.5, part.toString());
      }
      double step = 0;
      for (Part part : Set.of(Part.DECODE_PRODUCTS, Part.LOGITS, Part.KV_READS)) {
        step += formula.get(part).bytes() / TARGET;
      }
      assertEquals(step, work.stepBytes(BATCH, SOURCE, TARGET), 1e-6 * step);
      assertTrue(parts.values().stream().allMatch(each -> each.calls() > 0 && each.seconds() > 0));
    }
  }

  @Test
  void loraStep() throws IOException {
    LoraConfig lora = new LoraConfig(RANK, 8, 0, List.of("q", "v"), false);
    try (TrainableT5 t5 = TrainableT5.lora(model(true), lora, DType.FLOAT32, 0, 1, device());
        FineTuning fineTuning = new FineTuning(t5, 0, false);
        Arena arena = Arena.ofShared()) {
      Optimizer optimizer =
          Optimizer.create(
              Optimizer.Settings.of(Optimizer.Kind.ADAMW, 0.01f), t5.parameters(), t5.ops(), arena);
      List<Example> examples = new ArrayList<>();
      for (int[] source : sources()) {
        examples.add(new Example(source, ids(TARGET, 9)));
      }
      OpTimer timer = t5.ops().timer();
      timer.start();
      fineTuning.accumulate(examples, 1f / (BATCH * TARGET), 1);
      optimizer.step(1, 1e-3f, 1);
      t5.update();
      timer.stop();
      T5Work work = new T5Work(t5.config(), 4, 4);
      assertEquals(t5.parameters().values().dim(0), work.loraParameters(RANK), 0);
      Map<Part, OpTimer.Total> parts = T5Work.parts(timer);
      Map<Part, Amount> formula = work.loraStep(BATCH, SOURCE, TARGET, RANK);
      assertEquals(formula.get(Part.UPDATE).bytes(), parts.get(Part.UPDATE).bytes(), 0.5);
      assertWork(withZeros(formula, t5.config()), parts);
    }
  }

  @ParameterizedTest
  @CsvSource({"3, 3", "3, 2"})
  void ppoStep(int batch, int miniBatch) throws IOException {
    LoraConfig lora = new LoraConfig(RANK, 8, 0, List.of("q", "v"), false);
    PpoOptions options =
        PpoOptions.builder()
            .batch(sizes -> sizes.batchSize(batch).miniBatchSize(miniBatch))
            .optimization(optimization -> optimization.ppoEpochs(1))
            .sampling(sampling -> sampling.maxNewTokens(TARGET).minNewTokens(TARGET))
            .seed(1)
            .build();
    Path model = model(true);
    try (TrainableT5 t5 = TrainableT5.lora(model, lora, DType.FLOAT32, 0, 1, device());
        Reference reference = Reference.open("base", t5, Path::of);
        Ppo ppo = new Ppo(t5, reference, null, options)) {
      List<Prompt> prompts = new ArrayList<>();
      for (int[] source : sources()) {
        prompts.add(new Prompt("prompt " + prompts.size(), "", source, List.of()));
      }
      OpTimer timer = t5.ops().timer();
      timer.start();
      Rollout rollout = ppo.rollout(prompts, 0);
      double[] scores = new double[batch];
      scores[0] = 1;
      ppo.update(rollout, scores);
      timer.stop();
      T5Work work = new T5Work(t5.config(), 4, 4);
      Map<Part, Amount> formula = work.ppoStep(batch, SOURCE, TARGET, RANK, miniBatch);
      assertWork(withZeros(formula, t5.config()), T5Work.parts(timer));
    }
  }

  /**
   * Adds the multiplications with zeros that the engine makes beyond the formulas: B of q and v is
   * one matrix, with a block of zeros for the outputs that have no adapter, in backward passes.
   */
  private static Map<Part, Amount> withZeros(Map<Part, Amount> formula, T5Config config) {
    double inner = config.inner();
    // dt = dy B for all of q, k, v: 2 ranks of 3 inner instead of 2; k, v: 1 rank of 2 instead of
    // 1.
    double encoder = (config.numLayers() * 4 + config.numDecoderLayers()) * RANK * inner;
    double decoder = config.numDecoderLayers() * 4 * RANK * inner;
    formula.merge(
        Part.ENCODER_PRODUCTS,
        new Amount(encoder * BATCH * SOURCE, 0),
        (a, b) -> new Amount(a.multiplications() + b.multiplications(), a.bytes()));
    formula.merge(
        Part.DECODER_PRODUCTS,
        new Amount(decoder * BATCH * TARGET, 0),
        (a, b) -> new Amount(a.multiplications() + b.multiplications(), a.bytes()));
    return formula;
  }

  /** FLAN-T5-base, as counted by hand from its configuration. */
  @Test
  void base() {
    T5Config base =
        new T5Config(
            32128,
            768,
            64,
            2048,
            12,
            12,
            12,
            32,
            128,
            false,
            1e-6f,
            Activation.GELU_TANH,
            true,
            false,
            false,
            0,
            0,
            0,
            List.of(1));
    T5Work work = new T5Work(base, 2, 2);
    // 12 layers of 4 x 768^2 + 3 x 768 x 2048.
    assertEquals(84_934_656, work.encoderWeights(), 0);
    assertEquals(12 * 2 * 768 * 768, work.crossWeights(), 0);
    // 12 layers of 6 x 768^2 + 3 x 768 x 2048: without cross-attention's k and v.
    assertEquals(99_090_432, work.decoderWeights(), 0);
    assertEquals(24_674_304, work.headWeights(), 0);
    // A source token's keys and values of cross-attention: 2 x 768 x 12 in bfloat16.
    Map<Part, Amount> one = work.generation(1, 1, 1);
    assertEquals(36_864 * 2, one.get(Part.KV_READS).bytes(), 0);
    assertEquals(2.0 * 768 * 12, one.get(Part.ATTENTION).multiplications(), 0);
    assertEquals(2.0 * 123_764_736 + 36_864 * 2, work.stepBytes(1, 1, 1), 0);
    assertFalse(one.containsKey(Part.UPDATE) || one.containsKey(Part.OTHER));
  }
}
