package dev.precis.alignment.policy.replay;

import dev.precis.alignment.policy.replay.PpoFormulas.Loss;
import dev.precis.alignment.policy.replay.PpoFormulas.LossConstants;
import dev.precis.alignment.policy.replay.PpoFormulas.Penalty;
import dev.precis.alignment.policy.replay.PpoFormulas.Predictions;
import dev.precis.alignment.policy.replay.PpoFormulas.Targets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * PPO of a T5 with adapters and a value head, as TRL 0.11.4's {@code PPOTrainer.step} has it, in
 * double precision: the reference is the same model without its adapters. Everything that TRL draws
 * (responses, the order of mini-batches) is given, so that two implementations can be compared.
 */
public final class TrlClassicReplay extends PolicyReplay {
  /** TRL's defaults; what a test wants otherwise it sets. */
  public static final class Settings {
    /** True if the first generated token is left out, as TRL's mask has it. */
    public boolean masksFirst = true;

    /** True if advantages are whitened in each mini-batch, not once in the batch. */
    public boolean whitensMiniBatches;

    public double ratioThreshold = 10;
    public Penalty penalty = Penalty.KL;
    public double learningRate = 1.41e-5;
    public int miniBatch = 1;
    public double gamma = 1;
    public double lambda = 0.95;
    public double clipRange = 0.2;
    public double clipRangeValue = 0.2;
    public double valueCoefficient = 0.1;
    public double entropyCoefficient;
    public boolean whitensRewards;

    /** True if whitening moves the zeros of the padding too, and the advantages with them. */
    public boolean whitensPadding = true;

    /** True if the scores' running mean is taken off, and they are divided by their deviation. */
    public boolean normalisesScores;

    public double scoreClip = Double.POSITIVE_INFINITY;

    /** The step ends after an epoch whose last update left the policy 1.5 times as far away. */
    public double earlyStopKl = Double.POSITIVE_INFINITY;

    /** True if it ends after any such update. */
    public boolean stopsInEpochs;

    public double maxGradNorm = Double.POSITIVE_INFINITY;
    public boolean adaptiveKl = true;
    public double klCoefficient = 0.2;
    public double klTarget = 6;
    public double klHorizon = 10000;
  }

  /**
   * A step's input.
   *
   * @param prompts the encoder's token ids
   * @param responses as generated, each after the start token and with the end token where it came
   * @param scores of the responses
   * @param orders a permutation of the batch for each epoch
   */
  public record Batch(
      List<int[]> prompts, List<int[]> responses, double[] scores, int[][] orders) {}

  private final Settings settings;
  private final List<Double> seenScores = new ArrayList<>();
  private double klCoefficient;

  public TrlClassicReplay(DoubleT5 model, Settings settings) {
    super(model, settings.learningRate);
    this.settings = settings;
    klCoefficient = settings.klCoefficient;
  }

  /** Trains on a batch and returns TRL's statistics of it by their names. */
  public Map<String, Double> step(Batch batch) {
    int n = batch.prompts().size();
    double[][] mask = new double[n][];
    double[][] old = new double[n][];
    double[][] oldValues = new double[n][];
    double[][] penalties = new double[n][];
    for (int s = 0; s < n; s++) {
      mask[s] = new double[batch.responses().get(s).length - 1];
      Arrays.fill(mask[s], 1);
      mask[s][0] = settings.masksFirst ? 0 : 1;
      Pass policy = pass(new DoubleTape(), batch.prompts().get(s), batch.responses().get(s), true);
      Pass reference =
          pass(new DoubleTape(), batch.prompts().get(s), batch.responses().get(s), false);
      old[s] = PpoFormulas.elements(policy.predictions().logProbabilities());
      double[] ref = PpoFormulas.elements(reference.predictions().logProbabilities());
      oldValues[s] = PpoFormulas.elements(policy.predictions().values());
      penalties[s] = new double[old[s].length];
      for (int t = 0; t < old[s].length; t++) {
        penalties[s][t] =
            settings.penalty == Penalty.FULL
                ? PpoFormulas.divergence(
                    policy.distributions().value[t], reference.distributions().value[t])
                : settings.penalty.ofToken(old[s][t], ref[t]);
      }
    }
    double[] scores = processed(batch.scores());
    double[][] rewards = PpoFormulas.rewards(scores, penalties, mask, klCoefficient);
    double[] behind = new double[n];
    if (settings.whitensRewards) {
      if (settings.whitensPadding) {
        behind = PpoFormulas.behind(rewards, mask, settings.gamma, settings.lambda);
      }
      rewards = PpoFormulas.scaled(rewards, mask);
    }
    double[][] advantages =
        PpoFormulas.advantages(oldValues, rewards, mask, behind, settings.gamma, settings.lambda);
    double[][] returns = PpoFormulas.returns(advantages, oldValues, mask);
    Targets targets =
        new Targets(
            old,
            oldValues,
            settings.whitensMiniBatches ? advantages : PpoFormulas.whitened(advantages, mask),
            returns,
            mask);
    List<Map<String, Double>> updated = new ArrayList<>();
    boolean stop = false;
    for (int epoch = 0; epoch < batch.orders().length && !stop; epoch++) {
      for (int at = 0; at < n && !(stop && settings.stopsInEpochs); at += settings.miniBatch) {
        int[] sequences =
            Arrays.copyOfRange(batch.orders()[epoch], at, Math.min(n, at + settings.miniBatch));
        updated.add(update(batch, sequences, targets.of(sequences)));
        stop = updated.getLast().get("policy/policykl") > 1.5 * settings.earlyStopKl;
      }
    }
    return statistics(batch, scores, mask, old, penalties, updated);
  }

  private double[] processed(double[] scores) {
    double[] processed = scores.clone();
    if (settings.normalisesScores) {
      Arrays.stream(scores).forEach(seenScores::add);
      double[] seen = seenScores.stream().mapToDouble(x -> x).toArray();
      for (int s = 0; s < scores.length; s++) {
        processed[s] = (scores[s] - mean(seen)) / (deviation(seen) + Math.ulp(1f));
      }
    }
    return Arrays.stream(processed)
        .map(x -> Math.clamp(x, -settings.scoreClip, settings.scoreClip))
        .toArray();
  }

  private Map<String, Double> update(Batch batch, int[] sequences, Targets targets) {
    DoubleTape tape = new DoubleTape();
    List<Predictions> predictions = new ArrayList<>();
    for (int sequence : sequences) {
      predictions.add(
          pass(tape, batch.prompts().get(sequence), batch.responses().get(sequence), true)
              .predictions());
    }
    if (settings.whitensMiniBatches) {
      targets = targets.withAdvantages(PpoFormulas.whitened(targets.advantages(), targets.mask()));
    }
    LossConstants constants =
        new LossConstants(
            settings.clipRange,
            settings.clipRangeValue,
            settings.valueCoefficient,
            settings.entropyCoefficient,
            settings.ratioThreshold);
    Loss loss = PpoFormulas.loss(tape, predictions, targets, constants);
    step(tape, loss.total(), settings.maxGradNorm);
    return loss.statistics();
  }

  private Map<String, Double> statistics(
      Batch batch,
      double[] scores,
      double[][] mask,
      double[][] logProbabilities,
      double[][] penalties,
      List<Map<String, Double>> updated) {
    int n = mask.length;
    double tokens = PpoFormulas.count(mask);
    double kl = PpoFormulas.mean(penalties, mask) * tokens / n;
    Map<String, Double> statistics = new LinkedHashMap<>();
    statistics.put("objective/kl", kl);
    statistics.put("objective/kl_coef", klCoefficient);
    statistics.put("objective/entropy", -PpoFormulas.mean(logProbabilities, mask) * tokens / n);
    statistics.put("ppo/mean_non_score_reward", -klCoefficient * PpoFormulas.mean(penalties, mask));
    statistics.put("ppo/mean_scores", mean(scores));
    statistics.put("ppo/std_scores", deviation(scores));
    double[] queries = batch.prompts().stream().mapToDouble(ids -> ids.length).toArray();
    double[] responses = batch.responses().stream().mapToDouble(ids -> ids.length).toArray();
    statistics.put("tokens/queries_len_mean", mean(queries));
    statistics.put("tokens/queries_len_std", deviation(queries));
    statistics.put("tokens/responses_len_mean", mean(responses));
    statistics.put("tokens/responses_len_std", deviation(responses));
    for (String name : updated.getFirst().keySet()) {
      statistics.put("ppo/" + name, mean(updated.stream().mapToDouble(u -> u.get(name)).toArray()));
    }
    statistics.put(
        "ppo/val/var_explained",
        1 - statistics.get("ppo/val/error") / statistics.get("ppo/returns/var"));
    statistics.put("ppo/learning_rate", settings.learningRate);
    if (settings.adaptiveKl) {
      double error = Math.clamp(kl / settings.klTarget - 1, -0.2, 0.2);
      klCoefficient *= 1 + error * n / settings.klHorizon;
    }
    return statistics;
  }

  private static double mean(double[] x) {
    return Arrays.stream(x).average().orElseThrow();
  }

  private static double deviation(double[] x) {
    double mean = mean(x);
    return Math.sqrt(Arrays.stream(x).map(v -> (v - mean) * (v - mean)).sum() / (x.length - 1));
  }
}
