package dev.precis.alignment.policy;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.alignment.Reference;
import dev.precis.alignment.policy.replay.DoubleT5;
import dev.precis.alignment.policy.replay.PpoFormulas.Penalty;
import dev.precis.alignment.policy.replay.TrlClassicReplay;
import dev.precis.alignment.policy.replay.TrlClassicReplay.Batch;
import dev.precis.alignment.policy.replay.TrlClassicReplay.Settings;
import dev.precis.device.DeviceOptions;
import dev.precis.tensor.DType;
import dev.precis.text.Tokenizer;
import dev.precis.training.TrainableT5;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Whole steps in single precision against the replay in double precision, which is itself held
 * against TRL: every statistic of TRL's, for the responses and scores of its recorded run.
 */
class TrlClassicReplayTest {
  private static final Path MODEL = Fixtures.folder("t5-tiny");
  private static final Path ADAPTER = Fixtures.folder("t5-tiny-lora-after20");
  private static final JsonNode STEPS =
      JsonMapper.shared()
          .readTree(Fixtures.resource("alignment/trl_ppo.json").toFile())
          .get(0)
          .get("steps");
  private static final double TOLERANCE = 1e-4;

  /** For what is a difference of larger numbers, or zero. */
  private static final double FLOOR = 1e-6;

  private enum Case {
    TRL_CLASSIC(5, (o, s) -> o.mode(PpoMode.TRL_CLASSIC)),
    FULL_MASK(
        5,
        (o, s) -> {
          o.mode(PpoMode.FULL_MASK);
          s.masksFirst = false;
        }),
    LAB(
        5,
        (o, s) -> {
          o.mode(PpoMode.LAB);
          s.whitensMiniBatches = true;
          s.ratioThreshold = Double.POSITIVE_INFINITY;
        }),
    ABS(
        2,
        (o, s) -> {
          o.kl(kl -> kl.penalty(KlPenalty.ABS));
          s.penalty = Penalty.ABS;
        }),
    MSE(
        2,
        (o, s) -> {
          o.kl(kl -> kl.penalty(KlPenalty.MSE));
          s.penalty = Penalty.MSE;
        }),
    FULL(
        2,
        (o, s) -> {
          o.kl(kl -> kl.penalty(KlPenalty.FULL));
          s.penalty = Penalty.FULL;
        }),
    ENTROPY_BONUS_AND_CUT_GRADIENTS(
        2,
        (o, s) -> {
          o.loss(loss -> loss.entropyCoefficient(0.05f))
              .optimization(optimization -> optimization.maxGradNorm(0.05f));
          s.entropyCoefficient = 0.05;
          s.maxGradNorm = 0.05;
        }),
    RATIO_THRESHOLD(
        2,
        (o, s) -> {
          o.loss(loss -> loss.ratioThreshold(1.02));
          s.ratioThreshold = 1.02;
        }),
    EARLY_STOP(
        2,
        (o, s) -> {
          o.optimization(optimization -> optimization.earlyStopKl(0.02));
          s.earlyStopKl = 0.02;
        }),
    LAB_EARLY_STOP(
        2,
        (o, s) -> {
          o.mode(PpoMode.LAB).optimization(optimization -> optimization.earlyStopKl(0.02));
          s.whitensMiniBatches = true;
          s.ratioThreshold = Double.POSITIVE_INFINITY;
          s.earlyStopKl = 0.02;
          s.stopsInEpochs = true;
        }),
    SCALED_SCORES_AND_WHITENED_REWARDS(
        3,
        (o, s) -> {
          o.rewards(
                  rewards ->
                      rewards
                          .scaleScores(true)
                          .centerScores(true)
                          .scoreClip(0.8)
                          .whitenRewards(true))
              .gae(gae -> gae.gamma(0.9));
          s.normalisesScores = true;
          s.scoreClip = 0.8;
          s.whitensRewards = true;
          s.gamma = 0.9;
        });

    private final int steps;
    private final BiConsumer<PpoOptions.Builder, Settings> change;

    Case(int steps, BiConsumer<PpoOptions.Builder, Settings> change) {
      this.steps = steps;
      this.change = change;
    }
  }

  private static int[] ids(JsonNode list) {
    return list.valueStream().mapToInt(JsonNode::intValue).toArray();
  }

  private static float[] values(Ppo ppo, String name) {
    return ppo.head()
        .parameters()
        .find("v_head.summary." + name)
        .value()
        .memory()
        .toArray(ValueLayout.JAVA_FLOAT);
  }

  @ParameterizedTest
  @EnumSource
  void theSameStatistics(Case which) {
    PpoOptions.Builder builder =
        PpoOptions.builder()
            .mode(PpoMode.TRL_CLASSIC)
            .batch(batch -> batch.batchSize(4).miniBatchSize(2))
            .optimization(optimization -> optimization.learningRate(1e-3f))
            .sampling(sampling -> sampling.maxNewTokens(16))
            .seed(5);
    Settings settings = new Settings();
    settings.miniBatch = 2;
    settings.learningRate = 1e-3;
    which.change.accept(builder, settings);
    PpoOptions options = builder.build();
    List<String> wrong = new ArrayList<>();
    try (TrainableT5 t5 =
            TrainableT5.loraFrom(
                MODEL, ADAPTER, 0, DType.FLOAT32, Float.NaN, new DeviceOptions().threads(2));
        Reference reference = Reference.open("base", t5, Path::of);
        Tokenizer tokenizer = Tokenizer.load(MODEL);
        Ppo ppo = new Ppo(t5, reference, tokenizer, options)) {
      DoubleT5 model = new DoubleT5(MODEL);
      model.adapt(ADAPTER);
      float[] weight = values(ppo, "weight");
      double[] wide = new double[weight.length];
      for (int i = 0; i < wide.length; i++) {
        wide[i] = weight[i];
      }
      model.valueHead(wide, values(ppo, "bias")[0]);
      TrlClassicReplay replay = new TrlClassicReplay(model, settings);
      for (int number = 0; number < which.steps; number++) {
        JsonNode step = STEPS.get(number);
        List<int[]> sources = step.get("prompts").valueStream().map(list -> ids(list)).toList();
        List<int[]> withStart = step.get("responses").valueStream().map(list -> ids(list)).toList();
        double[] scores =
            step.get("scores").valueStream().mapToDouble(JsonNode::doubleValue).toArray();
        List<Prompt> prompts = new ArrayList<>();
        List<int[]> responses = new ArrayList<>();
        for (int i = 0; i < sources.size(); i++) {
          prompts.add(new Prompt("p" + i, "", sources.get(i), List.of()));
          responses.add(Arrays.copyOfRange(withStart.get(i), 1, withStart.get(i).length));
        }
        Rollout rollout = ppo.rollout(prompts, responses, number);
        int[][] orders = new int[options.optimization().ppoEpochs()][];
        for (int epoch = 0; epoch < orders.length; epoch++) {
          orders[epoch] = ppo.order(rollout, epoch);
        }
        Map<String, Double> want = replay.step(new Batch(sources, withStart, scores, orders));
        Map<String, Double> got = ppo.update(rollout, scores);
        for (String key : want.keySet()) {
          // Without TRL's start token, where TRL is not meant.
          boolean shorter =
              options.mode() == PpoMode.FULL_MASK && key.equals("tokens/responses_len_mean");
          double w = want.get(key) - (shorter ? 1 : 0);
          double g = got.getOrDefault(key, Double.NaN);
          if (!(Math.abs(g - w) <= TOLERANCE * Math.abs(w) + FLOOR)) {
            wrong.add("step " + (number + 1) + " " + key + " " + g + ", replay " + w);
          }
        }
      }
    }
    assertTrue(wrong.isEmpty(), () -> String.join("\n", wrong));
  }
}
