package dev.precis.alignment.policy;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.alignment.Reference;
import dev.precis.alignment.reward.Reward;
import dev.precis.alignment.reward.Score;
import dev.precis.checkpoint.Checkpoint;
import dev.precis.checkpoint.SafeTensors;
import dev.precis.checkpoint.TensorView;
import dev.precis.device.DeviceOptions;
import dev.precis.generation.SampledTokens;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.tensor.DType;
import dev.precis.text.Tokenizer;
import dev.precis.training.RunFolder;
import dev.precis.training.TrainableT5;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import tools.jackson.databind.JsonNode;

class PpoTest {
  private static final int[] LENGTHS = {11, 7, 1, 9};

  private static float[] floats(Checkpoint arrays, String name) {
    TensorView view = arrays.get(name);
    MemorySegment memory = MemorySegment.ofArray(new float[(int) view.elements()]);
    view.toFloat32(memory);
    return memory.toArray(ValueLayout.JAVA_FLOAT);
  }

  /** The padded rows of 11 without their padding. */
  private static double[] unpadded(Checkpoint arrays, String name) {
    float[] all = floats(arrays, name);
    double[] kept = new double[Arrays.stream(LENGTHS).sum()];
    int at = 0;
    for (int i = 0; i < LENGTHS.length; i++) {
      for (int t = 0; t < LENGTHS[i]; t++) {
        kept[at++] = all[i * 11 + t];
      }
    }
    return kept;
  }

  @Test
  void rewardsAdvantagesAndReturnsAreThoseOfTheGolden() {
    JsonNode golden = Fixtures.json("ppo.json");
    PpoOptions options = PpoOptions.builder().build();
    assertEquals(golden.get("gamma").doubleValue(), options.gae().gamma());
    assertEquals(golden.get("lam").doubleValue(), options.gae().lambda());
    try (Checkpoint arrays = Fixtures.arrays("ppo.safetensors")) {
      List<Prompt> prompts = new ArrayList<>();
      List<SampledTokens> samples = new ArrayList<>();
      int[] offsets = new int[LENGTHS.length + 1];
      for (int i = 0; i < LENGTHS.length; i++) {
        prompts.add(new Prompt("p" + i, "", new int[] {1}, List.of()));
        samples.add(new SampledTokens(new int[LENGTHS[i]], null, null, true));
        offsets[i + 1] = offsets[i] + LENGTHS[i];
      }
      boolean[] mask = new boolean[offsets[4]];
      Arrays.fill(mask, true);
      Rollout rollout =
          new Rollout(0, prompts, samples, List.of("", "", "", ""), mask, offsets, null);
      double[] old = unpadded(arrays, "old_logprobs");
      double[] reference = unpadded(arrays, "ref_logprobs");
      double[] values = unpadded(arrays, "values");
      for (int t = 0; t < mask.length; t++) {
        rollout.penalties[t] = old[t] - reference[t];
        rollout.values[t] = values[t];
      }
      float[] scores = floats(arrays, "scores");
      PolicyTargets targets =
          PolicyTargets.of(
              rollout,
              new double[] {scores[0], scores[1], scores[2], scores[3]},
              options,
              golden.get("kl_coef").doubleValue());
      assertArrayEquals(unpadded(arrays, "rewards"), targets.rewards(), 1e-5);
      assertArrayEquals(unpadded(arrays, "returns"), targets.returns(), 1e-5);
      assertArrayEquals(unpadded(arrays, "whitened_advantages"), targets.advantages(), 1e-5);
      double sum = Arrays.stream(rollout.sequencePenalties()).sum() / 4;
      assertEquals(golden.get("mean_kl_per_sequence").doubleValue(), sum, 1e-5);
    }
  }

  @Test
  void theCoefficientFollowsTheTarget() {
    KlController fixed =
        new KlController(KlOptions.builder().adaptive(false).coefficient(0.3).build());
    fixed.update(100, 16);
    assertEquals(0.3, fixed.coefficient());
    KlController adaptive = new KlController(KlOptions.builder().build());
    adaptive.update(100, 16);
    assertEquals(0.2 * (1 + 0.2 * 16 / 10000), adaptive.coefficient(), 1e-15);
    adaptive.restore(0.2);
    adaptive.update(5.7, 16);
    assertEquals(0.2 * (1 - 0.05 * 16 / 10000), adaptive.coefficient(), 1e-12);
  }

  @Test
  void momentsAreThoseOfAllScoresSoFar() {
    RunningMoments moments = new RunningMoments();
    moments.update(new double[] {1, 5, 2});
    moments.update(new double[] {-4, 0.5});
    double[] all = {1, 5, 2, -4, 0.5};
    boolean[] mask = {true, true, true, true, true};
    assertEquals(Advantages.mean(all, mask), moments.mean(), 1e-12);
    assertEquals(Math.sqrt(Advantages.variance(all, mask)), moments.deviation(), 1e-12);
  }

  @Test
  void groupsAreComparedWithThemselves() {
    assertArrayEquals(
        new double[] {2 - 4.0, 4 - 3.0, 4 - 3.0, 0, 0, 0},
        Advantages.leaveOneOut(new double[] {2, 4, 4, 7, 7, 7}, 3),
        1e-12);
    double[] group = Advantages.group(new double[] {1, 3, 5, 5}, 2, ScoreScale.GROUP);
    assertEquals(-1 / (Math.sqrt(2) + 1e-4), group[0], 1e-9);
    assertEquals(0, group[2]);
    assertThrows(
        IllegalArgumentException.class, () -> Advantages.group(new double[3], 2, ScoreScale.GROUP));
  }

  private interface Work {
    void with(Ppo ppo, List<Prompt> prompts);
  }

  private static void ppo(PpoOptions options, DType dtype, List<String> targets, Work work) {
    try (Tokenizer tokenizer = Tokenizer.load(PolicyProcess.MODEL);
        TrainableT5 t5 = PolicyProcess.policy(dtype, targets.toArray(String[]::new));
        Reference reference = Reference.open("base", t5, Path::of);
        Ppo ppo = new Ppo(t5, reference, tokenizer, options)) {
      work.with(ppo, PolicyProcess.prompts(tokenizer));
    }
  }

  /** Sampler, scorer and update compute the same log-probabilities. */
  @ParameterizedTest
  @CsvSource({"FLOAT32, true", "BFLOAT16, true", "BFLOAT16, false"})
  void thePolicyThatTrainsIsTheOneThatSampled(DType dtype, boolean encoderToo) {
    List<String> targets = encoderToo ? List.of("q", "v") : List.of("decoder\\..*\\.(q|v)");
    PpoOptions options =
        PolicyProcess.options()
            .batch(batch -> batch.batchSize(6).miniBatchSize(6))
            .optimization(optimization -> optimization.ppoEpochs(1))
            .build();
    ppo(
        options,
        dtype,
        targets,
        (ppo, prompts) -> {
          assertEquals(!encoderToo, ppo.reference().sharesEncoder());
          Rollout rollout = ppo.rollout(prompts.subList(0, 6), 0);
          assertArrayEquals(
              rollout.referenceLogProbabilities(), rollout.logProbabilities(), "KL = 0 at start");
          double[] scores = {1, 2, 3, 4, 5, 6};
          Map<String, Double> first = ppo.update(rollout, scores);
          assertEquals(0, first.get("objective/kl"));
          assertEquals(1, first.get("ppo/policy/ratio"));
          assertEquals(0, first.get("ppo/policy/approxkl"));
          assertEquals(first.get("ppo/val/mean"), first.get("ppo/val/vpred"), 1e-6);
          Map<String, Double> second = ppo.update(ppo.rollout(prompts.subList(0, 6), 1), scores);
          assertTrue(second.get("objective/kl_k3") > 0, "the policy moved, the reference did not");
          assertEquals(1, second.get("ppo/policy/ratio"));
        });
  }

  @Test
  void aRolloutIsAFunctionOfSeedAndStep() {
    ppo(
        PolicyProcess.options().build(),
        DType.FLOAT32,
        List.of("q", "v"),
        (ppo, prompts) -> {
          List<Prompt> batch = prompts.subList(0, 4);
          List<String> first = ppo.rollout(batch, 3).texts();
          assertFalse(first.equals(ppo.rollout(batch, 4).texts()));
          Rollout again = ppo.rollout(batch, 3);
          assertEquals(first, again.texts());
          for (SampledTokens sample : again.samples()) {
            assertTrue(sample.tokens().length <= 10);
          }
          List<int[]> given = again.samples().stream().map(SampledTokens::tokens).toList();
          double[] before = again.logProbabilities().clone();
          assertArrayEquals(before, ppo.rollout(batch, given, 3).logProbabilities());
        });
  }

  @ParameterizedTest
  @EnumSource(KlPenalty.class)
  void thePenaltyIsWhatItsNameSays(KlPenalty penalty) {
    PpoOptions options =
        PolicyProcess.options()
            .kl(kl -> kl.penalty(penalty))
            .optimization(optimization -> optimization.learningRate(1e-2f))
            .build();
    ppo(
        options,
        DType.FLOAT32,
        List.of("q", "v"),
        (ppo, prompts) -> {
          List<Prompt> batch = prompts.subList(0, 4);
          ppo.update(ppo.rollout(batch, 0), new double[] {1, -1, 2, 0});
          Rollout rollout = ppo.rollout(batch, 1);
          double sum = 0;
          for (int t = 0; t < rollout.tokens(); t++) {
            double d = rollout.logProbabilities()[t] - rollout.referenceLogProbabilities()[t];
            sum += rollout.penalties()[t];
            switch (penalty) {
              case KL -> assertEquals(d, rollout.penalties()[t]);
              case ABS -> assertEquals(Math.abs(d), rollout.penalties()[t]);
              case MSE -> assertEquals(d * d / 2, rollout.penalties()[t]);
              case FULL -> assertTrue(rollout.penalties()[t] >= -1e-5);
            }
          }
          assertTrue(sum != 0);
        });
  }

  @Test
  void theFirstTokenIsLeftOutAsInTrl() {
    PpoOptions options =
        PolicyProcess.options()
            .mode(PpoMode.TRL_CLASSIC)
            .rewards(rewards -> rewards.scaleScores(false))
            .build();
    ppo(
        options,
        DType.FLOAT32,
        List.of("q", "v"),
        (ppo, prompts) -> {
          Rollout rollout = ppo.rollout(prompts.subList(0, 4), 0);
          for (int i = 0; i < 4; i++) {
            assertFalse(rollout.mask()[rollout.offsets()[i]]);
            assertTrue(rollout.mask()[rollout.offsets()[i] + 1]);
          }
          // A response of one token has nothing to train, and that is no error.
          List<int[]> one = List.of(new int[] {1}, new int[] {1}, new int[] {5, 1}, new int[] {1});
          Map<String, Double> statistics =
              ppo.update(ppo.rollout(prompts.subList(0, 4), one, 0), new double[] {1, 2, 3, 4});
          statistics.forEach((name, value) -> assertTrue(Double.isFinite(value), name));
        });
  }

  @ParameterizedTest
  @EnumSource(PolicyAlgorithm.class)
  void theRewardRises(PolicyAlgorithm algorithm) {
    boolean grouped = algorithm != PolicyAlgorithm.PPO;
    PpoOptions options =
        PpoOptions.builder()
            .algorithm(algorithm)
            .batch(batch -> batch.groupSize(grouped ? 4 : 1).batchSize(16).miniBatchSize(8))
            .optimization(optimization -> optimization.ppoEpochs(2).learningRate(3e-3f))
            .sampling(sampling -> sampling.maxNewTokens(12))
            .kl(kl -> kl.coefficient(0.01).adaptive(false))
            .seed(2)
            .build();
    ppo(
        options,
        DType.FLOAT32,
        List.of("q", "v"),
        (ppo, prompts) -> {
          double first = 0;
          double last = 0;
          int steps = 24;
          for (int step = 0; step < steps; step++) {
            int from = step * options.batch().prompts() % 32;
            Rollout rollout =
                ppo.rollout(prompts.subList(from, from + options.batch().prompts()), step);
            double[] scores =
                PpoTrainer.score(rollout, PolicyProcess.REWARD).stream()
                    .mapToDouble(Score::value)
                    .toArray();
            double mean = ppo.update(rollout, scores).get("env/reward_mean");
            first += step < 4 ? mean / 4 : 0;
            last += step >= steps - 4 ? mean / 4 : 0;
          }
          assertTrue(last > first + 0.5, first + " -> " + last);
        });
  }

  /** Two mini-batches of one update have the gradient of the one that they are. */
  @Test
  void accumulationIsALargeBatch() {
    List<float[]> all = new ArrayList<>();
    for (int accumulation : new int[] {1, 2}) {
      PpoOptions options =
          PolicyProcess.options()
              .optimization(
                  optimization -> optimization.ppoEpochs(1).gradientAccumulation(accumulation))
              .batch(batch -> batch.miniBatchSize(4 / accumulation))
              .sampling(sampling -> sampling.minNewTokens(6).maxNewTokens(6).shortestLimit(0))
              .build();
      ppo(
          options,
          DType.FLOAT32,
          List.of("q", "v"),
          (ppo, prompts) -> {
            ppo.update(ppo.rollout(prompts.subList(0, 4), 0), new double[] {3, 1, 2, 7});
            all.add(ppo.policy().parameters().gradients().toHost().toArray(ValueLayout.JAVA_FLOAT));
          });
    }
    assertTrue(Fixtures.relativeError(all.get(1), all.get(0)) < 1e-4);
  }

  @ParameterizedTest
  @EnumSource(PpoMode.class)
  void responsesThatCannotBeAreRefused(PpoMode mode) {
    ppo(
        PolicyProcess.options().mode(mode).build(),
        DType.FLOAT32,
        List.of("q", "v"),
        (ppo, prompts) -> {
          List<Prompt> two = prompts.subList(0, 2);
          for (int[] wrong : new int[][] {{}, {5, 416}, {-1, 1}}) {
            String said =
                assertThrows(
                        InvalidInputException.class,
                        () -> ppo.rollout(two, List.of(new int[] {5, 1}, wrong), 0))
                    .getMessage();
            assertTrue(said.contains(two.get(1).id()), said);
          }
        });
  }

  /**
   * A rollout makes the first mini-batch's forward pass for its update. Another rollout in between
   * takes it back, and the update makes it itself: with the same bits.
   */
  @ParameterizedTest
  @CsvSource({
    "PPO, FLOAT32, 4, q v",
    "PPO, BFLOAT16, 4, q v",
    "PPO, BFLOAT16, 9, q v wo",
    "PPO, BFLOAT16, 4, decoder\\..*\\.(q|v)",
    "GRPO, BFLOAT16, 3, q v",
    "PPO, FLOAT32, 4, all",
    "PPO, BFLOAT16, 4, all"
  })
  void whatTheRolloutBeganIsWhatTheUpdateMakes(
      PolicyAlgorithm algorithm, DType dtype, int miniBatch, String targets) {
    PpoOptions options =
        PolicyProcess.options()
            .algorithm(algorithm)
            .batch(
                batch ->
                    batch
                        .groupSize(algorithm == PolicyAlgorithm.PPO ? 1 : 3)
                        .batchSize(9)
                        .miniBatchSize(miniBatch))
            .build();
    List<float[]> results = new ArrayList<>();
    List<Map<String, Double>> all = new ArrayList<>();
    for (boolean again : new boolean[] {false, true}) {
      try (Tokenizer tokenizer = Tokenizer.load(PolicyProcess.MODEL);
          TrainableT5 t5 =
              targets.equals("all")
                  ? TrainableT5.full(PolicyProcess.MODEL, dtype, 0, new DeviceOptions().threads(2))
                  : PolicyProcess.policy(dtype, targets.split(" "));
          Reference reference = Reference.open("base", t5, Path::of);
          Ppo ppo = new Ppo(t5, reference, tokenizer, options)) {
        List<Prompt> batch = PolicyProcess.prompts(tokenizer).subList(0, options.batch().prompts());
        // All memory at once: the second rollout then writes the same where the first did.
        ppo.plan(batch);
        for (int step = 0; step < 2; step++) {
          Rollout rollout = ppo.rollout(batch, step);
          if (again) {
            ppo.rollout(batch, step);
          }
          Map<String, Double> statistics =
              ppo.update(rollout, new double[] {1, 5, 2, 3, 4, 9, 8, 7, 6});
          statistics.keySet().removeIf(name -> name.startsWith("time/"));
          all.add(statistics);
        }
        results.add(t5.parameters().values().toHost().toArray(ValueLayout.JAVA_FLOAT));
      }
    }
    assertArrayEquals(results.get(0), results.get(1));
    assertEquals(all.subList(0, 2), all.subList(2, 4));
  }

  /** Whatever is drawn, no more is used than was told before; and nothing of the run changes. */
  @ParameterizedTest
  @CsvSource({
    "PPO, FLOAT32, KL, base, q v",
    "PPO, BFLOAT16, FULL, base, q v",
    "PPO, BFLOAT16, KL, checkpoint, decoder\\..*\\.(q|v)",
    "GRPO, BFLOAT16, KL, base, q v wo",
    "RLOO, FLOAT32, KL, checkpoint, q"
  })
  void thePlanHolds(
      PolicyAlgorithm algorithm, DType dtype, KlPenalty penalty, String named, String targets) {
    boolean grouped = algorithm != PolicyAlgorithm.PPO;
    PpoOptions options =
        PolicyProcess.options()
            .algorithm(algorithm)
            .batch(
                batch ->
                    batch.groupSize(grouped ? 3 : 1).batchSize(9).miniBatchSize(grouped ? 6 : 4))
            .sampling(sampling -> sampling.maxNewTokens(40).minNewTokens(30))
            .kl(kl -> kl.penalty(penalty))
            .build();
    String name = named.equals("base") ? named : "checkpoint:" + PolicyProcess.MODEL;
    try (Tokenizer tokenizer = Tokenizer.load(PolicyProcess.MODEL);
        TrainableT5 t5 = PolicyProcess.policy(dtype, targets.split(" "));
        TrainableT5 alike = PolicyProcess.policy(dtype, targets.split(" "));
        Reference reference = Reference.open(name, t5, Path::of);
        Reference its = Reference.open(name, alike, Path::of);
        Ppo ppo = new Ppo(t5, reference, tokenizer, options);
        Ppo unplanned = new Ppo(alike, its, tokenizer, options)) {
      List<Prompt> prompts = PolicyProcess.prompts(tokenizer);
      Map<String, Long> plan = ppo.plan(prompts).parts();
      double[] scores = new double[options.batch().batchSize()];
      for (int i = 0; i < scores.length; i++) {
        scores[i] = i % 4;
      }
      int n = prompts.size();
      long allocations = 0;
      for (int step = 0; step < 4; step++) {
        List<Prompt> batch = new ArrayList<>();
        for (int i = 0; i < options.batch().prompts(); i++) {
          batch.add(prompts.get((step * options.batch().prompts() + i) % n));
        }
        ppo.update(ppo.rollout(batch, step), scores);
        unplanned.update(unplanned.rollout(batch, step), scores);
        allocations = step == 0 ? t5.device().describe().allocations() : allocations;
      }
      ppo.peak()
          .forEach(
              (part, used) -> {
                long planned = plan.get(part);
                assertTrue(used <= planned, part + ": " + used + " of " + planned);
                assertTrue(used > planned / 3, part + ": " + used + " of " + planned);
              });
      long scratch = t5.device().describe().allocations() - allocations;
      assertTrue(scratch <= 4, scratch + " allocations, of scratch that grows with the longest");
      assertArrayEquals(
          alike.parameters().values().toHost().toArray(ValueLayout.JAVA_FLOAT),
          t5.parameters().values().toHost().toArray(ValueLayout.JAVA_FLOAT));
    }
  }

  @Test
  void aReferenceThatAdaptsTheOutputLayerIsRefused(@TempDir Path folder) throws IOException {
    Path start = Fixtures.folder("t5-tiny-lora");
    Files.copy(start.resolve("adapter_config.json"), folder.resolve("adapter_config.json"));
    SafeTensors.write(
        folder.resolve("adapter_model.safetensors"),
        List.of(matrix("lm_head.lora_A", 8, 64), matrix("lm_head.lora_B", 416, 8)),
        Map.of("format", "pt"));
    try (TrainableT5 t5 = PolicyProcess.policy(DType.FLOAT32, "q", "v")) {
      String said =
          assertThrows(
                  InvalidInputException.class,
                  () -> Reference.open("adapter:" + folder, t5, Path::of))
              .getMessage();
      assertTrue(said.contains("output layer"), said);
    }
  }

  private static TensorView matrix(String module, int rows, int columns) {
    return new TensorView(
        "base_model.model." + module + ".weight",
        DType.FLOAT32,
        new long[] {rows, columns},
        MemorySegment.ofArray(new float[rows * columns]));
  }

  private static void trainer(Path folder, Reward reward, boolean moved, boolean same) {
    try (Tokenizer tokenizer = Tokenizer.load(PolicyProcess.MODEL);
        RunFolder run = RunFolder.create(folder, Json.mapper().createObjectNode());
        TrainableT5 t5 = PolicyProcess.policy(DType.FLOAT32, "q", "v");
        Reference reference = Reference.open("base", t5, Path::of);
        Ppo ppo = new Ppo(t5, reference, tokenizer, PolicyProcess.options().build());
        PpoTrainer trainer =
            new PpoTrainer(ppo, PolicyProcess.prompts(tokenizer), reward, run, same)) {
      if (moved) {
        for (Parameter parameter : t5.parameters().all()) {
          if (parameter.name().contains("lora_B")) {
            parameter.value().memory().set(ValueLayout.JAVA_FLOAT, 0, 0.5f);
          }
        }
        t5.update();
      }
      trainer.train(new PpoTrainer.Listener() {});
    }
  }

  @Test
  void aReferenceThatIsNotWhatItsNameSaysIsRefused(@TempDir Path folder) {
    String said =
        assertThrows(
                InvalidInputException.class,
                () -> trainer(folder.resolve("a"), PolicyProcess.REWARD, true, true))
            .getMessage();
    assertTrue(said.contains("kl_at_start"), said);
    assertFalse(Files.exists(folder.resolve("a/checkpoints/step-0")));
    assertTrue(Files.exists(folder.resolve("a/preflight.json")));
  }

  @Test
  void aRewardThatIsNotANumberIsRefused(@TempDir Path folder) {
    Reward nan = all -> all.stream().map(c -> Score.of("broken", Double.NaN)).toList();
    String said =
        assertThrows(
                InvalidInputException.class, () -> trainer(folder.resolve("a"), nan, false, true))
            .getMessage();
    assertTrue(said.contains("broken") && said.contains("own_"), said);
    assertTrue(Files.isDirectory(folder.resolve("a/checkpoints/step-0")), "nothing is lost");
  }

  @Test
  void aRewardThatPrefersTheRudeIsRefused(@TempDir Path folder) {
    Reward wrong =
        new Reward() {
          @Override
          public List<Score> score(List<dev.precis.alignment.reward.Completion> completions) {
            return completions.stream().map(c -> Score.of("hate", 1)).toList();
          }

          @Override
          public List<Probe> probes() {
            return List.of(new Probe("hate", "Thank you.", 0.1, "You fool.", 0.9));
          }
        };
    String said =
        assertThrows(
                InvalidInputException.class, () -> trainer(folder.resolve("a"), wrong, false, true))
            .getMessage();
    assertTrue(said.contains("reward_order_hate") && said.contains("label"), said);
  }

  @Test
  void optionsAreChecked() {
    for (PpoOptions.Builder wrong :
        List.of(
            PpoOptions.builder().batch(batch -> batch.batchSize(4).miniBatchSize(8)),
            PpoOptions.builder().algorithm(PolicyAlgorithm.GRPO),
            PpoOptions.builder().algorithm(PolicyAlgorithm.RLOO).batch(batch -> batch.groupSize(3)),
            PpoOptions.builder().loss(loss -> loss.clipRange(0)),
            PpoOptions.builder().gae(gae -> gae.lambda(1.5)),
            PpoOptions.builder().sampling(sampling -> sampling.maxNewTokens(5).shortestLimit(9)))) {
      assertThrows(InvalidInputException.class, wrong::build);
    }
  }
}
