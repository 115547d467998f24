package dev.precis.alignment.policy;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.alignment.Reference;
import dev.precis.alignment.policy.replay.DoubleT5;
import dev.precis.alignment.policy.replay.GroupReplay;
import dev.precis.alignment.policy.replay.GroupReplay.Batch;
import dev.precis.alignment.policy.replay.GroupReplay.Loss;
import dev.precis.alignment.policy.replay.GroupReplay.Scale;
import dev.precis.alignment.policy.replay.GroupReplay.Settings;
import dev.precis.alignment.policy.replay.GroupReplay.Update;
import dev.precis.device.DeviceOptions;
import dev.precis.tensor.DType;
import dev.precis.text.Tokenizer;
import dev.precis.training.TrainableT5;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.BiConsumer;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Steps of GRPO and RLOO in single precision against the replay in double precision. */
class GroupReplayTest {
  private static final Path MODEL = Fixtures.folder("t5-tiny");
  private static final Path ADAPTER = Fixtures.folder("t5-tiny-lora-after20");

  /** Of single precision, from losses of about 1. */
  private static final double TOLERANCE = 1e-6;

  private enum Case {
    GRPO((o, s) -> {}),
    GRPO_WITH_KL(
        (o, s) -> {
          o.kl(kl -> kl.coefficient(0.3));
          s.beta = 0.3;
        }),
    DAPO(
        (o, s) -> {
          o.groups(groups -> groups.loss(GrpoLoss.DAPO)).loss(loss -> loss.clipRangeHigh(0.08f));
          s.loss = Loss.DAPO;
          s.high = 0.08f;
        }),
    DR_GRPO(
        (o, s) -> {
          o.groups(groups -> groups.loss(GrpoLoss.DR_GRPO).scale(ScoreScale.NONE));
          s.loss = Loss.DR_GRPO;
          s.scale = Scale.NONE;
        }),
    BNPO(
        (o, s) -> {
          o.groups(groups -> groups.loss(GrpoLoss.BNPO).scale(ScoreScale.BATCH));
          s.loss = Loss.BNPO;
          s.scale = Scale.BATCH;
        }),
    GSPO(
        (o, s) -> {
          o.groups(groups -> groups.importanceSampling(ImportanceSampling.SEQUENCE))
              .kl(kl -> kl.coefficient(0.1));
          s.sequenceLevel = true;
          s.beta = 0.1;
        }),
    GSPO_BY_TOKENS(
        (o, s) -> {
          o.groups(
              groups -> groups.importanceSampling(ImportanceSampling.SEQUENCE).loss(GrpoLoss.DAPO));
          s.sequenceLevel = true;
          s.loss = Loss.DAPO;
        }),
    RLOO(
        (o, s) -> {
          o.algorithm(PolicyAlgorithm.RLOO).kl(kl -> kl.coefficient(0.05));
          s.leaveOneOut = true;
          s.sequenceLevel = true;
          s.beta = 0.05;
        }),
    RLOO_BY_TOKENS(
        (o, s) -> {
          o.algorithm(PolicyAlgorithm.RLOO)
              .groups(groups -> groups.importanceSampling(ImportanceSampling.TOKEN))
              .kl(kl -> kl.coefficient(0.05));
          s.leaveOneOut = true;
          s.beta = 0.05;
        });

    private final BiConsumer<PpoOptions.Builder, Settings> change;

    Case(BiConsumer<PpoOptions.Builder, Settings> change) {
      this.change = change;
    }
  }

  @ParameterizedTest
  @EnumSource
  void theSameLossesAndGradients(Case which) {
    Settings settings = new Settings();
    settings.low = 0.05f;
    settings.high = 0.05f;
    settings.promptsTogether = 1;
    settings.accumulated = 2;
    PpoOptions.Builder builder =
        PpoOptions.builder()
            .algorithm(PolicyAlgorithm.GRPO)
            .batch(batch -> batch.batchSize(12).miniBatchSize(3).groupSize(3))
            .optimization(o -> o.learningRate(1e-3f).gradientAccumulation(2))
            .loss(loss -> loss.clipRange(0.05f))
            .kl(kl -> kl.adaptive(false).coefficient(0))
            .sampling(sampling -> sampling.maxNewTokens(settings.longest))
            .seed(5);
    which.change.accept(builder, settings);
    PpoOptions options = builder.build();
    Random random = new Random(17);
    try (TrainableT5 t5 =
            TrainableT5.loraFrom(
                MODEL, ADAPTER, 0, DType.FLOAT32, Float.NaN, new DeviceOptions().threads(2));
        Reference reference = Reference.open("base", t5, Path::of);
        Tokenizer tokenizer = Tokenizer.load(MODEL);
        Ppo ppo = new Ppo(t5, reference, tokenizer, options)) {
      DoubleT5 model = new DoubleT5(MODEL);
      model.adapt(ADAPTER);
      GroupReplay replay = new GroupReplay(model, settings);
      boolean clips = false;
      for (int number = 0; number < 2; number++) {
        List<int[]> sources = new ArrayList<>();
        List<Prompt> prompts = new ArrayList<>();
        List<int[]> responses = new ArrayList<>();
        List<int[]> withStart = new ArrayList<>();
        double[] scores = new double[12];
        for (int i = 0; i < 4; i++) {
          int[] source = ids(random, 5 + 3 * i);
          sources.add(source);
          prompts.add(new Prompt("p" + i, "", source, List.of()));
          for (int j = 0; j < 3; j++) {
            int[] response = ids(random, 2 + (i + 4 * j) % 9);
            responses.add(response);
            int[] its = new int[response.length + 1];
            System.arraycopy(response, 0, its, 1, response.length);
            withStart.add(its);
            scores[3 * i + j] = random.nextGaussian();
          }
        }
        Rollout rollout = ppo.rollout(prompts, responses, number);
        int[][] orders = new int[options.optimization().ppoEpochs()][];
        for (int epoch = 0; epoch < orders.length; epoch++) {
          orders[epoch] = ppo.order(rollout, epoch);
        }
        List<Update> want = replay.step(new Batch(sources, withStart, scores, orders));
        Map<String, Double> got = ppo.update(rollout, scores);
        double loss = want.stream().mapToDouble(Update::loss).average().orElseThrow();
        double norm = want.stream().mapToDouble(Update::gradientNorm).average().orElseThrow();
        assertEquals(loss, got.get("ppo/loss/total"), TOLERANCE, "loss of step " + number);
        assertEquals(
            norm, got.get("grad_norm"), 5 * TOLERANCE * norm, "gradient of step " + number);
        clips |= got.get("ppo/policy/clipfrac") > 0;
      }
      assertTrue(clips, "nothing was clipped, which the test is for");
    }
  }

  private static int[] ids(Random random, int count) {
    return random.ints(count, 3, 400).toArray();
  }
}
