package dev.precis.alignment.policy;

import dev.precis.generation.GenerationOptions;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import java.util.Locale;
import tools.jackson.databind.node.ObjectNode;

/**
 * How a policy is aligned to a reward. Made by {@link #builder}; the defaults are those of TRL
 * 0.11.4, the last version that had PPO for T5, but for the batch.
 *
 * @param algorithm what is optimised
 * @param mode how PPO's numbers are computed
 * @param batchSize samples of a step
 * @param miniBatchSize samples that are computed at once
 * @param gradientAccumulation mini-batches of one optimizer step
 * @param ppoEpochs passes over the samples of a step
 * @param groupSize samples for each prompt; GRPO and RLOO need 2 or more
 * @param maxSteps steps of the run
 * @param learningRate of Adam, constant
 * @param maxGradNorm the norm of all gradients together is cut to it; 0: not
 * @param klPenalty how far a token is from the reference
 * @param adaptiveKl whether the coefficient is adapted to the target
 * @param klCoefficient of the penalty, at the start
 * @param klTarget KL of a whole sequence that an adapted coefficient aims at, in nats
 * @param klHorizon samples over which the coefficient can about double
 * @param gamma discount of later rewards
 * @param lambda of generalised advantage estimation
 * @param clipRange of the ratio of new to old probability
 * @param clipRangeValue of the values around the old ones
 * @param valueCoefficient c1 of the overall loss
 * @param entropyCoefficient c2 of the overall loss
 * @param whitenRewards whether rewards are scaled to variance 1
 * @param scaleScores whether scores are divided by the deviation of all so far
 * @param centreScores whether the mean of all scores so far is taken off too
 * @param scoreClip scores are cut to +- this; 0: not
 * @param earlyStopKl the step's passes end when the policy moved 1.5 times this far from where it
 *     began, in nats for each token; 0: never
 * @param ratioThreshold a mini-batch whose mean ratio is above this is left out; 0: none is
 * @param maxNewTokens of a response
 * @param minNewTokens no end token before so many
 * @param shortestLimit each response has a limit of its own, drawn from here to maxNewTokens; 0:
 *     maxNewTokens
 * @param temperature of sampling
 * @param topK draw among so many most probable tokens; 0: all
 * @param topP draw among the most probable tokens whose mass reaches it; 1: all
 * @param seed of everything that is drawn
 * @param checkpointEvery steps between checkpoints
 * @param keepCheckpoints how many of the newest are kept
 * @param maxRollbacks how often the watchdog goes back to the last checkpoint, at half the learning
 *     rate, before it ends the run
 * @param klLimit the watchdog acts when the KL of a whole sequence is above this; 0: 10 times the
 *     target, or 60 where it is fixed
 * @param scoreDrop the watchdog acts when the mean score of 5 steps is this far below the best such
 *     mean; 0: never
 */
public record PpoOptions(
    Algorithm algorithm,
    Mode mode,
    int batchSize,
    int miniBatchSize,
    int gradientAccumulation,
    int ppoEpochs,
    int groupSize,
    long maxSteps,
    float learningRate,
    float maxGradNorm,
    KlPenalty klPenalty,
    boolean adaptiveKl,
    double klCoefficient,
    double klTarget,
    double klHorizon,
    double gamma,
    double lambda,
    float clipRange,
    float clipRangeValue,
    float valueCoefficient,
    float entropyCoefficient,
    boolean whitenRewards,
    boolean scaleScores,
    boolean centreScores,
    double scoreClip,
    double earlyStopKl,
    double ratioThreshold,
    int maxNewTokens,
    int minNewTokens,
    int shortestLimit,
    float temperature,
    int topK,
    float topP,
    long seed,
    long checkpointEvery,
    int keepCheckpoints,
    int maxRollbacks,
    double klLimit,
    double scoreDrop) {

  /** What is optimised. */
  public enum Algorithm {
    /** Proximal policy optimisation with a critic (Schulman et al. 2017). */
    PPO,
    /** Advantages relative to a group of samples of one prompt (Shao et al. 2024). */
    GRPO,
    /** REINFORCE with the other samples of the group as baseline (Ahmadian et al. 2024). */
    RLOO;

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** How PPO's numbers are computed. */
  public enum Mode {
    /** Every generated token is trained, up to and including the end token. */
    FULL_MASK,
    /** As TRL 0.11.4: the first generated token has no reward, no value and no gradient. */
    TRL_CLASSIC,
    /**
     * As TRL at the commit that the DeepLearning.AI course's lab uses (25fa1bd): the first token is
     * left out as well, advantages are whitened inside each mini-batch, and no ratio is too large.
     */
    LAB;

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
  }

  /** How far a token is from the reference, with d = log p - log q. */
  public enum KlPenalty {
    /** d, whose mean is the KL divergence. */
    KL,
    /** |d|. */
    ABS,
    /** d^2 / 2. */
    MSE,
    /** The divergence of the whole distribution: sum_v p (log p - log q). */
    FULL;

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** Checks the numbers. */
  public PpoOptions {
    require(batchSize > 0, "batch-size", "1 or more", batchSize);
    require(
        miniBatchSize > 0 && miniBatchSize <= batchSize,
        "mini-batch-size",
        "1 or more and at most batch-size, " + batchSize,
        miniBatchSize);
    require(gradientAccumulation > 0, "gradient-accumulation", "1 or more", gradientAccumulation);
    require(ppoEpochs > 0, "ppo-epochs", "1 or more", ppoEpochs);
    boolean grouped = algorithm != Algorithm.PPO;
    require(
        grouped ? groupSize > 1 : groupSize > 0,
        "group-size",
        (grouped ? "2 or more for " + algorithm : "1 or more"),
        groupSize);
    require(
        batchSize % groupSize == 0,
        "batch-size",
        "a multiple of group-size, " + groupSize,
        batchSize);
    require(
        miniBatchSize % groupSize == 0,
        "mini-batch-size",
        "a multiple of group-size, " + groupSize,
        miniBatchSize);
    require(maxSteps > 0, "max-steps", "1 or more", maxSteps);
    require(learningRate > 0 && learningRate < 1e3f, "learning-rate", "above 0", learningRate);
    require(maxGradNorm >= 0, "max-grad-norm", "0 or more", maxGradNorm);
    require(klCoefficient >= 0, "kl-coef", "0 or more", klCoefficient);
    require(klTarget > 0, "target-kl", "above 0", klTarget);
    require(klHorizon > 0, "kl-horizon", "above 0", klHorizon);
    require(gamma >= 0 && gamma <= 1, "gamma", "between 0 and 1", gamma);
    require(lambda >= 0 && lambda <= 1, "lambda", "between 0 and 1", lambda);
    require(clipRange > 0, "clip-range", "above 0", clipRange);
    require(clipRangeValue > 0, "clip-range-value", "above 0", clipRangeValue);
    require(valueCoefficient >= 0, "value-coef", "0 or more", valueCoefficient);
    require(entropyCoefficient >= 0, "entropy-coef", "0 or more", entropyCoefficient);
    require(scoreClip >= 0, "score-clip", "0 or more", scoreClip);
    require(earlyStopKl >= 0, "early-stop-kl", "0 or more", earlyStopKl);
    require(ratioThreshold >= 0, "ratio-threshold", "0 or more", ratioThreshold);
    require(
        shortestLimit >= 0 && shortestLimit <= maxNewTokens,
        "shortest-limit",
        "between 0 and max-new-tokens, " + maxNewTokens,
        shortestLimit);
    require(checkpointEvery > 0, "checkpoint-every", "1 or more", checkpointEvery);
    require(keepCheckpoints > 0, "keep-checkpoints", "1 or more", keepCheckpoints);
    require(maxRollbacks >= 0, "max-rollbacks", "0 or more", maxRollbacks);
    require(klLimit >= 0, "kl-limit", "0 or more", klLimit);
    require(scoreDrop >= 0, "score-drop", "0 or more", scoreDrop);
    sampling(maxNewTokens, minNewTokens, temperature, topK, topP, groupSize, seed);
  }

  private static void require(boolean right, String name, String mustBe, Object is) {
    if (!right) {
      throw new InvalidInputException(name + " must be " + mustBe + ", not " + is);
    }
  }

  private static GenerationOptions sampling(
      int maxNewTokens,
      int minNewTokens,
      float temperature,
      int topK,
      float topP,
      int groupSize,
      long seed) {
    return GenerationOptions.builder()
        .sample(true)
        .maxNewTokens(maxNewTokens)
        .minNewTokens(minNewTokens)
        .temperature(temperature)
        .topK(topK)
        .topP(topP)
        .numReturnSequences(groupSize)
        .seed(seed)
        .build();
  }

  /**
   * How responses are sampled.
   *
   * @param seed of the draws
   */
  public GenerationOptions sampling(long seed) {
    return sampling(maxNewTokens, minNewTokens, temperature, topK, topP, groupSize, seed);
  }

  /** Whether tokens are drawn from another distribution than the one that is scored. */
  public boolean warped() {
    return temperature != 1 || topK != 0 || topP != 1 || minNewTokens > 0;
  }

  /** Prompts of a step. */
  public int prompts() {
    return batchSize / groupSize;
  }

  /** The KL of a whole sequence above which the watchdog acts. */
  public double effectiveKlLimit() {
    return klLimit > 0 ? klLimit : adaptiveKl ? 10 * klTarget : 60;
  }

  /** A builder with the defaults. */
  public static Builder builder() {
    return new Builder();
  }

  /** All options that decide what a run does, by name, for a run's folder. */
  public ObjectNode toJson() {
    ObjectNode json = Json.mapper().createObjectNode();
    json.put("algorithm", algorithm.toString());
    json.put("mode", mode.toString());
    json.put("batch_size", batchSize);
    json.put("mini_batch_size", miniBatchSize);
    json.put("gradient_accumulation", gradientAccumulation);
    json.put("ppo_epochs", ppoEpochs);
    json.put("group_size", groupSize);
    json.put("max_steps", maxSteps);
    json.put("learning_rate", decimal(learningRate));
    json.put("max_grad_norm", decimal(maxGradNorm));
    json.put("kl_penalty", klPenalty.toString());
    json.put("adaptive_kl", adaptiveKl);
    json.put("kl_coefficient", klCoefficient);
    json.put("kl_target", klTarget);
    json.put("kl_horizon", klHorizon);
    json.put("gamma", gamma);
    json.put("lambda", lambda);
    json.put("clip_range", decimal(clipRange));
    json.put("clip_range_value", decimal(clipRangeValue));
    json.put("value_coefficient", decimal(valueCoefficient));
    json.put("entropy_coefficient", decimal(entropyCoefficient));
    json.put("whiten_rewards", whitenRewards);
    json.put("scale_scores", scaleScores);
    json.put("centre_scores", centreScores);
    json.put("score_clip", scoreClip);
    json.put("early_stop_kl", earlyStopKl);
    json.put("ratio_threshold", ratioThreshold);
    json.put("max_new_tokens", maxNewTokens);
    json.put("min_new_tokens", minNewTokens);
    json.put("shortest_limit", shortestLimit);
    json.put("temperature", decimal(temperature));
    json.put("top_k", topK);
    json.put("top_p", decimal(topP));
    json.put("seed", seed);
    json.put("max_rollbacks", maxRollbacks);
    json.put("kl_limit", klLimit);
    json.put("score_drop", scoreDrop);
    return json;
  }

  /** The shortest decimal that is this float, so that 0.05 is written as 0.05. */
  private static double decimal(float value) {
    return Double.parseDouble(Float.toString(value));
  }

  /** Collects options. */
  public static final class Builder {
    private Algorithm algorithm = Algorithm.PPO;
    private Mode mode = Mode.FULL_MASK;
    private int batchSize = 16;
    private int miniBatchSize = 4;
    private int gradientAccumulation = 1;
    private int ppoEpochs = 4;
    private int groupSize = 1;
    private long maxSteps = 100;
    private float learningRate = 1.41e-5f;
    private float maxGradNorm = 0;
    private KlPenalty klPenalty = KlPenalty.KL;
    private boolean adaptiveKl = true;
    private double klCoefficient = 0.2;
    private double klTarget = 6;
    private double klHorizon = 10000;
    private double gamma = 1;
    private double lambda = 0.95;
    private float clipRange = 0.2f;
    private float clipRangeValue = 0.2f;
    private float valueCoefficient = 0.1f;
    private float entropyCoefficient = 0;
    private boolean whitenRewards = false;
    private boolean scaleScores = false;
    private boolean centreScores = false;
    private double scoreClip = 0;
    private double earlyStopKl = 0;
    private double ratioThreshold = 10;
    private int maxNewTokens = 64;
    private int minNewTokens = 0;
    private int shortestLimit = 0;
    private float temperature = 1;
    private int topK = 0;
    private float topP = 1;
    private long seed = 0;
    private long checkpointEvery = 10;
    private int keepCheckpoints = 2;
    private int maxRollbacks = 2;
    private double klLimit = 0;
    private double scoreDrop = 0;

    private Builder() {}

    public Builder algorithm(Algorithm algorithm) {
      this.algorithm = algorithm;
      return this;
    }

    public Builder mode(Mode mode) {
      this.mode = mode;
      return this;
    }

    public Builder batchSize(int batchSize) {
      this.batchSize = batchSize;
      return this;
    }

    public Builder miniBatchSize(int miniBatchSize) {
      this.miniBatchSize = miniBatchSize;
      return this;
    }

    public Builder gradientAccumulation(int gradientAccumulation) {
      this.gradientAccumulation = gradientAccumulation;
      return this;
    }

    public Builder ppoEpochs(int ppoEpochs) {
      this.ppoEpochs = ppoEpochs;
      return this;
    }

    public Builder groupSize(int groupSize) {
      this.groupSize = groupSize;
      return this;
    }

    public Builder maxSteps(long maxSteps) {
      this.maxSteps = maxSteps;
      return this;
    }

    public Builder learningRate(float learningRate) {
      this.learningRate = learningRate;
      return this;
    }

    public Builder maxGradNorm(float maxGradNorm) {
      this.maxGradNorm = maxGradNorm;
      return this;
    }

    public Builder klPenalty(KlPenalty klPenalty) {
      this.klPenalty = klPenalty;
      return this;
    }

    public Builder adaptiveKl(boolean adaptiveKl) {
      this.adaptiveKl = adaptiveKl;
      return this;
    }

    public Builder klCoefficient(double klCoefficient) {
      this.klCoefficient = klCoefficient;
      return this;
    }

    public Builder klTarget(double klTarget) {
      this.klTarget = klTarget;
      return this;
    }

    public Builder klHorizon(double klHorizon) {
      this.klHorizon = klHorizon;
      return this;
    }

    public Builder gamma(double gamma) {
      this.gamma = gamma;
      return this;
    }

    public Builder lambda(double lambda) {
      this.lambda = lambda;
      return this;
    }

    public Builder clipRange(float clipRange) {
      this.clipRange = clipRange;
      return this;
    }

    public Builder clipRangeValue(float clipRangeValue) {
      this.clipRangeValue = clipRangeValue;
      return this;
    }

    public Builder valueCoefficient(float valueCoefficient) {
      this.valueCoefficient = valueCoefficient;
      return this;
    }

    public Builder entropyCoefficient(float entropyCoefficient) {
      this.entropyCoefficient = entropyCoefficient;
      return this;
    }

    public Builder whitenRewards(boolean whitenRewards) {
      this.whitenRewards = whitenRewards;
      return this;
    }

    public Builder scaleScores(boolean scaleScores) {
      this.scaleScores = scaleScores;
      return this;
    }

    public Builder centreScores(boolean centreScores) {
      this.centreScores = centreScores;
      return this;
    }

    public Builder scoreClip(double scoreClip) {
      this.scoreClip = scoreClip;
      return this;
    }

    public Builder earlyStopKl(double earlyStopKl) {
      this.earlyStopKl = earlyStopKl;
      return this;
    }

    public Builder ratioThreshold(double ratioThreshold) {
      this.ratioThreshold = ratioThreshold;
      return this;
    }

    public Builder maxNewTokens(int maxNewTokens) {
      this.maxNewTokens = maxNewTokens;
      return this;
    }

    public Builder minNewTokens(int minNewTokens) {
      this.minNewTokens = minNewTokens;
      return this;
    }

    public Builder shortestLimit(int shortestLimit) {
      this.shortestLimit = shortestLimit;
      return this;
    }

    public Builder temperature(float temperature) {
      this.temperature = temperature;
      return this;
    }

    public Builder topK(int topK) {
      this.topK = topK;
      return this;
    }

    public Builder topP(float topP) {
      this.topP = topP;
      return this;
    }

    public Builder seed(long seed) {
      this.seed = seed;
      return this;
    }

    public Builder checkpointEvery(long checkpointEvery) {
      this.checkpointEvery = checkpointEvery;
      return this;
    }

    public Builder keepCheckpoints(int keepCheckpoints) {
      this.keepCheckpoints = keepCheckpoints;
      return this;
    }

    public Builder maxRollbacks(int maxRollbacks) {
      this.maxRollbacks = maxRollbacks;
      return this;
    }

    public Builder klLimit(double klLimit) {
      this.klLimit = klLimit;
      return this;
    }

    public Builder scoreDrop(double scoreDrop) {
      this.scoreDrop = scoreDrop;
      return this;
    }

    /** The options, checked. */
    public PpoOptions build() {
      return new PpoOptions(
          algorithm,
          mode,
          batchSize,
          miniBatchSize,
          gradientAccumulation,
          ppoEpochs,
          groupSize,
          maxSteps,
          learningRate,
          maxGradNorm,
          klPenalty,
          adaptiveKl,
          klCoefficient,
          klTarget,
          klHorizon,
          gamma,
          lambda,
          clipRange,
          clipRangeValue,
          valueCoefficient,
          entropyCoefficient,
          whitenRewards,
          scaleScores,
          centreScores,
          scoreClip,
          earlyStopKl,
          ratioThreshold,
          maxNewTokens,
          minNewTokens,
          shortestLimit,
          temperature,
          topK,
          topP,
          seed,
          checkpointEvery,
          keepCheckpoints,
          maxRollbacks,
          klLimit,
          scoreDrop);
    }
  }
}
