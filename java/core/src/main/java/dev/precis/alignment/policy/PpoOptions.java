package dev.precis.alignment.policy;

import static dev.precis.io.InvalidInputException.require;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import java.util.function.Consumer;
import tools.jackson.databind.node.ObjectNode;

/**
 * Options of a run that optimizes a policy for a reward. Apart from the batch, the defaults are
 * those of TRL 0.11.4, the last version whose PPO trains T5.
 *
 * <pre>
 *   PpoOptions.builder()
 *       .mode(PpoMode.TRL_CLASSIC)
 *       .batch(batch -&gt; batch.batchSize(8).miniBatchSize(2))
 *       .kl(kl -&gt; kl.adaptive(false).coefficient(0.1))
 *       .build();
 * </pre>
 *
 * @param algorithm of the run
 * @param mode preset for the points in which implementations of PPO differ
 * @param seed of sampling, mini-batch order, dropout and the value head
 * @param batch batch and mini-batch sizes
 * @param sampling sampling of responses
 * @param rewards scaling and clipping of scores and rewards
 * @param kl KL penalty towards the reference
 * @param gae advantage estimation
 * @param loss clipping and coefficients of the loss
 * @param groups what GRPO and RLOO do with the responses to one prompt
 * @param optimization epochs, learning rate and gradient clipping
 * @param schedule length of the run and its checkpoints
 * @param watchdog limits at which a run is rolled back
 */
public record PpoOptions(
    PolicyAlgorithm algorithm,
    PpoMode mode,
    long seed,
    BatchOptions batch,
    SamplingOptions sampling,
    RewardShaping rewards,
    KlOptions kl,
    GaeOptions gae,
    LossOptions loss,
    GroupOptions groups,
    OptimizationOptions optimization,
    ScheduleOptions schedule,
    WatchdogOptions watchdog) {
  /** KL of a whole response at which the watchdog acts when the coefficient is fixed, in nats. */
  private static final double FIXED_KL_LIMIT = 60;

  /**
   * Checks the options that depend on the algorithm.
   *
   * @throws InvalidInputException where GRPO or RLOO has groups of one response, or another
   *     algorithm has options of GRPO or RLOO
   */
  public PpoOptions {
    require(
        algorithm == PolicyAlgorithm.PPO || batch.groupSize() > 1,
        "group-size",
        "2 or more for " + algorithm,
        batch.groupSize());
    require(
        algorithm != PolicyAlgorithm.PPO || groups.importanceSampling() == null,
        "importance-sampling-level",
        "left out for ppo, whose ratio is each token's",
        groups.importanceSampling());
    require(
        algorithm == PolicyAlgorithm.GRPO || groups.loss() == GrpoLoss.GRPO,
        "loss-type",
        "left out for " + algorithm,
        groups.loss());
    require(
        algorithm == PolicyAlgorithm.GRPO || groups.scale() == ScoreScale.GROUP,
        "scale-rewards",
        "left out for " + algorithm,
        groups.scale());
  }

  /** Returns the level of the ratio that the loss clips. */
  ImportanceSampling importanceSampling() {
    return groups.importanceSampling(algorithm);
  }

  /** Returns the KL of a whole response above which the watchdog acts, in nats. */
  public double effectiveKlLimit() {
    if (watchdog.klLimit() > 0) {
      return watchdog.klLimit();
    }
    return kl.adaptive() ? 10 * kl.target() : FIXED_KL_LIMIT;
  }

  /** Returns a builder that starts from the defaults. */
  public static Builder builder() {
    return new Builder();
  }

  /** Returns every option that a run's numbers depend on, under its key in config.json. */
  public ObjectNode toJson() {
    ObjectNode json = Json.mapper().createObjectNode();
    json.put("algorithm", algorithm.toString());
    json.put("mode", mode.toString());
    json.put("batch_size", batch.batchSize());
    json.put("mini_batch_size", batch.miniBatchSize());
    json.put("gradient_accumulation", optimization.gradientAccumulation());
    json.put("ppo_epochs", optimization.ppoEpochs());
    json.put("group_size", batch.groupSize());
    json.put("max_steps", schedule.maxSteps());
    json.put("learning_rate", Json.shortest(optimization.learningRate()));
    if (algorithm == PolicyAlgorithm.PPO) {
      json.put("value_learning_rate", Json.shortest(optimization.valueLearningRate()));
      json.put("value_warmup_steps", optimization.valueWarmupSteps());
    }
    json.put("max_grad_norm", Json.shortest(optimization.maxGradNorm()));
    json.put("kl_penalty", kl.penalty().toString());
    json.put("adaptive_kl", kl.adaptive());
    json.put("kl_coefficient", kl.coefficient());
    json.put("kl_target", kl.target());
    json.put("kl_horizon", kl.horizon());
    json.put("gamma", gae.gamma());
    json.put("lambda", gae.lambda());
    json.put("clip_range", Json.shortest(loss.clipRange()));
    json.put("clip_range_high", Json.shortest(loss.clipRangeHigh()));
    json.put("clip_range_value", Json.shortest(loss.clipRangeValue()));
    json.put("value_coefficient", Json.shortest(loss.valueCoefficient()));
    json.put("entropy_coefficient", Json.shortest(loss.entropyCoefficient()));
    if (algorithm != PolicyAlgorithm.PPO) {
      json.put("importance_sampling_level", importanceSampling().toString());
    }
    if (algorithm == PolicyAlgorithm.GRPO) {
      json.put("loss_type", groups.loss().toString());
      json.put("scale_rewards", groups.scale().toString());
    }
    json.put("whiten_rewards", rewards.whitenRewards());
    json.put("scale_scores", rewards.scaleScores());
    json.put("centre_scores", rewards.centerScores());
    json.put("score_clip", rewards.scoreClip());
    json.put("early_stop_kl", optimization.earlyStopKl());
    json.put("ratio_threshold", loss.ratioThreshold());
    json.put("max_new_tokens", sampling.maxNewTokens());
    json.put("min_new_tokens", sampling.minNewTokens());
    json.put("shortest_limit", sampling.shortestLimit());
    json.put("temperature", Json.shortest(sampling.temperature()));
    json.put("top_k", sampling.topK());
    json.put("top_p", Json.shortest(sampling.topP()));
    json.put("seed", seed);
    json.put("max_rollbacks", watchdog.maxRollbacks());
    json.put("kl_limit", watchdog.klLimit());
    json.put("score_drop", watchdog.scoreDrop());
    return json;
  }

  /** Collects the options, group by group; each call changes what it names and keeps the rest. */
  public static final class Builder {
    private PolicyAlgorithm algorithm = PolicyAlgorithm.PPO;
    private PpoMode mode = PpoMode.FULL_MASK;
    private long seed = 0;
    private final BatchOptions.Builder batch = BatchOptions.builder();
    private final SamplingOptions.Builder sampling = SamplingOptions.builder();
    private final RewardShaping.Builder rewards = RewardShaping.builder();
    private final KlOptions.Builder kl = KlOptions.builder();
    private final GaeOptions.Builder gae = GaeOptions.builder();
    private final LossOptions.Builder loss = LossOptions.builder();
    private final GroupOptions.Builder groups = GroupOptions.builder();
    private final OptimizationOptions.Builder optimization = OptimizationOptions.builder();
    private final ScheduleOptions.Builder schedule = ScheduleOptions.builder();
    private final WatchdogOptions.Builder watchdog = WatchdogOptions.builder();

    private Builder() {}

    public Builder algorithm(PolicyAlgorithm algorithm) {
      this.algorithm = algorithm;
      return this;
    }

    public Builder mode(PpoMode mode) {
      this.mode = mode;
      return this;
    }

    public Builder seed(long seed) {
      this.seed = seed;
      return this;
    }

    public Builder batch(Consumer<BatchOptions.Builder> change) {
      change.accept(batch);
      return this;
    }

    public Builder sampling(Consumer<SamplingOptions.Builder> change) {
      change.accept(sampling);
      return this;
    }

    public Builder rewards(Consumer<RewardShaping.Builder> change) {
      change.accept(rewards);
      return this;
    }

    public Builder kl(Consumer<KlOptions.Builder> change) {
      change.accept(kl);
      return this;
    }

    public Builder gae(Consumer<GaeOptions.Builder> change) {
      change.accept(gae);
      return this;
    }

    public Builder loss(Consumer<LossOptions.Builder> change) {
      change.accept(loss);
      return this;
    }

    public Builder groups(Consumer<GroupOptions.Builder> change) {
      change.accept(groups);
      return this;
    }

    public Builder optimization(Consumer<OptimizationOptions.Builder> change) {
      change.accept(optimization);
      return this;
    }

    public Builder schedule(Consumer<ScheduleOptions.Builder> change) {
      change.accept(schedule);
      return this;
    }

    public Builder watchdog(Consumer<WatchdogOptions.Builder> change) {
      change.accept(watchdog);
      return this;
    }

    /**
     * Returns the options.
     *
     * @throws InvalidInputException where one is outside its range
     */
    public PpoOptions build() {
      return new PpoOptions(
          algorithm,
          mode,
          seed,
          batch.build(),
          sampling.build(),
          rewards.build(),
          kl.build(),
          gae.build(),
          loss.build(),
          groups.build(),
          optimization.build(),
          schedule.build(),
          watchdog.build());
    }
  }
}
