package dev.precis.cli.align;

import dev.precis.alignment.policy.GrpoLoss;
import dev.precis.alignment.policy.ImportanceSampling;
import dev.precis.alignment.policy.KlPenalty;
import dev.precis.alignment.policy.PolicyAlgorithm;
import dev.precis.alignment.policy.PpoMode;
import dev.precis.alignment.policy.PpoOptions;
import dev.precis.alignment.policy.ScoreScale;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.options.DecodingOptions;
import dev.precis.cli.options.StepOptions;
import dev.precis.io.InvalidInputException;
import java.util.List;
import java.util.Locale;
import picocli.CommandLine.Option;

/** Declares the options of PPO, GRPO and RLOO. */
final class PolicyOptions extends DecodingOptions.Sampling {
  /** Names the options that need a critic. */
  private static final List<String> CRITICS =
      List.of(
          "--mode",
          "--gamma",
          "--lambda",
          "--clip-range-value",
          "--value-coef",
          "--value-learning-rate",
          "--value-warmup-steps",
          "--whiten-rewards");

  /** Names the options of GRPO's loss. */
  private static final List<String> GRPO_ONLY = List.of("--loss-type", "--scale-rewards");

  @Option(
      names = "--mode",
      paramLabel = "M",
      defaultValue = "full-mask",
      description = {
        "ppo: full-mask (every generated token is trained), trl-classic (TRL 0.11.4 to the number)"
            + " or lab (the same with whitening in each mini-batch) (default: ${DEFAULT-VALUE})."
      })
  private String mode;

  @Option(
      names = "--mini-batch-size",
      paramLabel = "N",
      defaultValue = "4",
      description = "Responses in one mini-batch of an update (default: ${DEFAULT-VALUE}).")
  private int miniBatchSize;

  @Option(
      names = "--group-size",
      paramLabel = "N",
      defaultValue = "0",
      description = "grpo, rloo: responses sampled for each prompt (default: 4).")
  private int groupSize;

  @Option(
      names = "--ppo-epochs",
      paramLabel = "N",
      defaultValue = "4",
      description = "PPO epochs: passes over the responses of a step (default: ${DEFAULT-VALUE}).")
  private int ppoEpochs;

  @Option(
      names = "--kl-penalty",
      paramLabel = "P",
      defaultValue = "kl",
      description =
          "ppo, rloo: kl, abs, mse or full, which is the divergence of the whole distribution"
              + " (default: ${DEFAULT-VALUE}).")
  private String klPenalty;

  @Option(
      names = "--kl-coef",
      paramLabel = "X",
      description =
          "Initial coefficient of the KL penalty. Default: ppo 0.2, which adapts; grpo 0 and rloo"
              + " 0.05, which stay fixed, as TRL's do.")
  private Double klCoef;

  @Option(names = "--fixed-kl", description = "Keep --kl-coef fixed instead of adapting it.")
  private boolean fixedKl;

  @Option(
      names = "--target-kl",
      paramLabel = "X",
      defaultValue = "6",
      description =
          "KL per response that the adaptive coefficient aims at (default: ${DEFAULT-VALUE} nats).")
  private double targetKl;

  @Option(
      names = "--kl-horizon",
      paramLabel = "N",
      defaultValue = "10000",
      description =
          "Responses over which the adaptive coefficient can about double (default:"
              + " ${DEFAULT-VALUE}).")
  private double klHorizon;

  @Option(
      names = "--kl-limit",
      paramLabel = "X",
      defaultValue = "0",
      description =
          "The watchdog rolls back above this KL (default: 10 times the target; 60 with"
              + " --fixed-kl).")
  private double klLimit;

  @Option(
      names = "--score-drop",
      paramLabel = "X",
      defaultValue = "0",
      description =
          "The watchdog rolls back when the mean score of 5 steps falls this far below its best; 0:"
              + " never (default: ${DEFAULT-VALUE}).")
  private double scoreDrop;

  @Option(
      names = "--max-rollbacks",
      paramLabel = "N",
      defaultValue = "2",
      description =
          "Rollbacks to the last checkpoint, each of which halves the learning rate (default:"
              + " ${DEFAULT-VALUE}).")
  private int maxRollbacks;

  @Option(
      names = "--gamma",
      paramLabel = "X",
      defaultValue = "1",
      description = "ppo: discount of later rewards (default: ${DEFAULT-VALUE}).")
  private double gamma;

  @Option(
      names = "--lambda",
      paramLabel = "X",
      defaultValue = "0.95",
      description = "ppo: lambda of generalized advantage estimation (default: ${DEFAULT-VALUE}).")
  private double lambda;

  @Option(
      names = "--clip-range",
      paramLabel = "X",
      defaultValue = "0.2",
      description =
          "Clip range of the ratio of new to old probability (default: ${DEFAULT-VALUE}).")
  private float clipRange;

  @Option(
      names = "--clip-range-high",
      paramLabel = "X",
      description =
          "The same above 1, where it differs: clip-higher, such as 0.28 (default: --clip-range).")
  private Float clipRangeHigh;

  @Option(
      names = "--importance-sampling-level",
      paramLabel = "L",
      description =
          "grpo, rloo: token, or sequence for one ratio of the whole response: of its probability"
              + " in rloo (TRL 1.10's RLOOTrainer), of the geometric mean of its tokens' in grpo"
              + " (GSPO) (default: rloo sequence, grpo token).")
  private String importanceSampling;

  @Option(
      names = "--loss-type",
      paramLabel = "T",
      defaultValue = "grpo",
      description =
          "grpo: grpo (mean over responses of their means), dapo (mean over all tokens of a step),"
              + " dr_grpo (sum divided by --max-new-tokens) or bnpo (mean over the tokens of each"
              + " mini-batch) (default: ${DEFAULT-VALUE}).")
  private String lossType;

  @Option(
      names = "--scale-rewards",
      paramLabel = "S",
      defaultValue = "group",
      description =
          "grpo: divide advantages by the standard deviation of the scores of a prompt's group, of"
              + " the batch, or by none (default: ${DEFAULT-VALUE}).")
  private String scaleRewards;

  @Option(
      names = "--clip-range-value",
      paramLabel = "X",
      defaultValue = "0.2",
      description = "ppo: clip range of values around the old ones (default: ${DEFAULT-VALUE}).")
  private float clipRangeValue;

  @Option(
      names = "--value-coef",
      paramLabel = "X",
      defaultValue = "0.1",
      description = "ppo: weight of the value loss (default: ${DEFAULT-VALUE}).")
  private float valueCoef;

  @Option(
      names = "--value-learning-rate",
      paramLabel = "X",
      description =
          "ppo: learning rate of the critic's head, which starts at random (default:"
              + " --learning-rate).")
  private Float valueLearningRate;

  @Option(
      names = "--value-warmup-steps",
      paramLabel = "N",
      defaultValue = "0",
      description =
          "ppo: steps at the start that train the critic alone (default: ${DEFAULT-VALUE}).")
  private int valueWarmupSteps;

  @Option(
      names = "--entropy-coef",
      paramLabel = "X",
      defaultValue = "0",
      description = "Weight of the entropy bonus (default: ${DEFAULT-VALUE}).")
  private float entropyCoef;

  @Option(names = "--whiten-rewards", description = "ppo: scale rewards to variance 1.")
  private boolean whitenRewards;

  @Option(
      names = "--scale-scores",
      description = "Divide scores by the standard deviation of all scores so far.")
  private boolean scaleScores;

  @Option(
      names = {"--center-scores", "--centre-scores"},
      description = "Like --scale-scores, after subtracting their mean.")
  private boolean centerScores;

  @Option(
      names = "--score-clip",
      paramLabel = "X",
      defaultValue = "0",
      description = "Clip scores to the range -X to X; 0: off (default: ${DEFAULT-VALUE}).")
  private double scoreClip;

  @Option(
      names = "--early-stop-kl",
      paramLabel = "X",
      defaultValue = "0",
      description =
          "End a step's PPO epochs when the KL of the update exceeds 1.5 X per token; 0: never"
              + " (default: ${DEFAULT-VALUE}).")
  private double earlyStopKl;

  @Option(
      names = "--ratio-threshold",
      paramLabel = "X",
      defaultValue = "10",
      description =
          "Skip a mini-batch whose mean ratio is larger; 0: never (default: ${DEFAULT-VALUE}).")
  private float ratioThreshold;

  @Option(
      names = "--shortest-limit",
      paramLabel = "N",
      defaultValue = "0",
      description =
          "Sample each response's length limit from N to --max-new-tokens; 0: all have the same"
              + " limit (default: ${DEFAULT-VALUE}).")
  private int shortestLimit;

  void check(BaseCommand command, String algorithm) {
    boolean ppo = algorithm.equals("ppo");
    if (ppo && groupSize > 1) {
      throw command.usage("--group-size needs --algorithm grpo or rloo");
    }
    for (String option : CRITICS) {
      if (!ppo && command.given(option)) {
        throw command.usage(option + " needs --algorithm ppo");
      }
    }
    if (ppo && importanceSampling != null) {
      throw command.usage("--importance-sampling-level needs --algorithm grpo or rloo");
    }
    for (String option : GRPO_ONLY) {
      if (!algorithm.equals("grpo") && command.given(option)) {
        throw command.usage(option + " needs --algorithm grpo");
      }
    }
    if (algorithm.equals("grpo") && command.given("--kl-penalty")) {
      throw command.usage(
          "--kl-penalty does not apply to grpo, whose loss has exp(d) - d - 1 of each token");
    }
    if (mode.equals("lab") && command.given("--ratio-threshold")) {
      throw command.usage("--ratio-threshold does not apply to --mode lab, which skips nothing");
    }
    if (fixedKl && (command.given("--target-kl") || command.given("--kl-horizon"))) {
      throw command.usage("--fixed-kl disables --target-kl and --kl-horizon");
    }
  }

  private double startingKl(BaseCommand command, String algorithm) {
    if (klCoef != null) {
      return klCoef;
    }
    return adaptsKl(command, algorithm) || algorithm.equals("ppo")
        ? 0.2
        : algorithm.equals("grpo") ? 0 : 0.05;
  }

  /** Returns whether the coefficient adapts: that of grpo and rloo only where something asks. */
  private boolean adaptsKl(BaseCommand command, String algorithm) {
    boolean asked = klCoef != null || command.given("--target-kl") || command.given("--kl-horizon");
    return !fixedKl && (algorithm.equals("ppo") || asked);
  }

  /** Returns the options of the run. */
  PpoOptions options(BaseCommand command, String algorithm, StepOptions steps) {
    PpoMode itsMode =
        command.choice(PpoMode.class, "--mode", mode, "full-mask, trl-classic or lab");
    KlPenalty penalty =
        command.choice(KlPenalty.class, "--kl-penalty", klPenalty, "kl, abs, mse or full");
    ImportanceSampling level =
        importanceSampling == null
            ? null
            : command.choice(
                ImportanceSampling.class,
                "--importance-sampling-level",
                importanceSampling,
                "token or sequence");
    GrpoLoss loss =
        command.choice(GrpoLoss.class, "--loss-type", lossType, "grpo, dapo, dr_grpo or bnpo");
    ScoreScale scale =
        command.choice(ScoreScale.class, "--scale-rewards", scaleRewards, "group, batch or none");
    int groups = groupSize > 0 ? groupSize : algorithm.equals("ppo") ? 1 : 4;
    try {
      return PpoOptions.builder()
          .algorithm(PolicyAlgorithm.valueOf(algorithm.toUpperCase(Locale.ROOT)))
          .mode(itsMode)
          .batch(
              batch ->
                  batch.batchSize(steps.batchSize()).miniBatchSize(miniBatchSize).groupSize(groups))
          .optimization(
              optimization ->
                  optimization
                      .gradientAccumulation(steps.gradientAccumulation())
                      .ppoEpochs(ppoEpochs)
                      .learningRate(steps.learningRate(algorithm.equals("ppo") ? 1.41e-5f : 1e-6f))
                      .valueLearningRate(valueLearningRate)
                      .valueWarmupSteps(valueWarmupSteps)
                      .maxGradNorm(steps.maxGradNorm())
                      .earlyStopKl(earlyStopKl))
          .schedule(
              schedule ->
                  schedule
                      .maxSteps(steps.maxSteps() == null ? 100 : steps.maxSteps())
                      .checkpointEvery(steps.checkpointEvery())
                      .keepCheckpoints(steps.keepCheckpoints()))
          .kl(
              kl ->
                  kl.penalty(penalty)
                      .adaptive(adaptsKl(command, algorithm))
                      .coefficient(startingKl(command, algorithm))
                      .target(targetKl)
                      .horizon(klHorizon))
          .watchdog(
              watchdog -> watchdog.klLimit(klLimit).scoreDrop(scoreDrop).maxRollbacks(maxRollbacks))
          .gae(gae -> gae.gamma(gamma).lambda(lambda))
          .loss(
              clipped ->
                  clipped
                      .clipRange(clipRange)
                      .clipRangeHigh(clipRangeHigh)
                      .clipRangeValue(clipRangeValue)
                      .valueCoefficient(valueCoef)
                      .entropyCoefficient(entropyCoef)
                      .ratioThreshold(ratioThreshold))
          .groups(all -> all.importanceSampling(level).loss(loss).scale(scale))
          .rewards(
              rewards ->
                  rewards
                      .whitenRewards(whitenRewards)
                      .scaleScores(scaleScores || centerScores)
                      .centerScores(centerScores)
                      .scoreClip(scoreClip))
          .sampling(
              tokens ->
                  tokens
                      .maxNewTokens(maxNewTokens())
                      .minNewTokens(minNewTokens())
                      .shortestLimit(shortestLimit)
                      .temperature(temperature())
                      .topK(topK())
                      .topP(topP()))
          .seed(command.common().seed())
          .build();
    } catch (InvalidInputException e) {
      throw command.usage("--" + e.getMessage());
    }
  }
}
