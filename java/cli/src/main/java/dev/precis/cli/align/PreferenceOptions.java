package dev.precis.cli.align;

import dev.precis.alignment.preference.PreferenceLoss;
import dev.precis.alignment.preference.UnpairedLoss;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.options.LearningOptions;
import dev.precis.cli.options.StepOptions;
import dev.precis.cli.train.RunConfig;
import dev.precis.io.InvalidInputException;
import dev.precis.training.TrainingOptions;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import picocli.CommandLine.Option;

/** Declares the options of DPO and its family, and of KTO. */
final class PreferenceOptions extends LearningOptions {
  /** In the help, before the options that are inherited. */
  private static final int FIRST = -2;

  static final List<String> ALGORITHMS =
      List.of("dpo", "cdpo", "robust", "ipo", "hinge", "orpo", "simpo", "kto");

  private static final Set<String> WITHOUT_REFERENCE = Set.of("orpo", "simpo");
  private static final Set<String> SMOOTHED = Set.of("cdpo", "robust");
  private static final Set<String> LIKELIHOOD =
      Set.of("dpo", "cdpo", "robust", "ipo", "hinge", "simpo");

  @Option(
      names = "--feedback",
      order = FIRST,
      paramLabel = "FILE",
      description =
          "kto, instead of --pairs: objects with 'completion', 'label' (true: good) and 'prompt'"
              + " (or 'dialogue'). --eval-data is of the same kind.")
  private Path feedback;

  @Option(
      names = "--beta",
      order = FIRST,
      paramLabel = "X",
      description =
          "How strongly the policy is regularized towards the reference (default: 0.1); orpo: the"
              + " weight of the odds ratio (default: 0.1); simpo: the scale of the rewards"
              + " (default: 2).")
  private Double beta;

  @Option(
      names = "--label-smoothing",
      order = FIRST,
      paramLabel = "X",
      description = "cdpo, robust: assumed fraction of pairs in the wrong order (default: 0.1).")
  private Double labelSmoothing;

  @Option(
      names = "--simpo-gamma",
      order = FIRST,
      paramLabel = "X",
      defaultValue = "1",
      description = "simpo: target margin of the chosen reward (default: ${DEFAULT-VALUE}).")
  private double simpoGamma;

  @Option(
      names = "--rpo-alpha",
      order = FIRST,
      paramLabel = "X",
      defaultValue = "0",
      description =
          "dpo, cdpo, robust, ipo, hinge, simpo: weight of the likelihood of the chosen answer,"
              + " which preserves quality that pairs alone may cost (default: ${DEFAULT-VALUE}; try"
              + " 0.5).")
  private double rpoAlpha;

  @Option(
      names = "--desirable-weight",
      order = FIRST,
      paramLabel = "X",
      defaultValue = "1",
      description = "kto: weight of good answers (default: ${DEFAULT-VALUE}).")
  private double desirableWeight;

  @Option(
      names = "--undesirable-weight",
      order = FIRST,
      paramLabel = "X",
      defaultValue = "1",
      description = "kto: weight of bad answers (default: ${DEFAULT-VALUE}).")
  private double undesirableWeight;

  /** Returns whether the policy is compared with a reference. */
  static boolean needsReference(String algorithm) {
    return !WITHOUT_REFERENCE.contains(algorithm);
  }

  /** Single answers with labels; null where pairs were given instead. */
  Path feedback() {
    return feedback;
  }

  void check(BaseCommand command, String algorithm, Path pairs, StepOptions steps) {
    boolean kto = algorithm.equals("kto");
    if (feedback != null && !kto) {
      throw command.usage("--feedback needs --algorithm kto");
    }
    if (kto) {
      command.requireOneOf("--feedback", feedback, "--pairs", pairs);
    } else if (pairs == null) {
      throw command.usage("--pairs is missing");
    }
    only(command, algorithm, "--label-smoothing", SMOOTHED, "cdpo or robust");
    only(command, algorithm, "--simpo-gamma", Set.of("simpo"), "simpo");
    only(command, algorithm, "--rpo-alpha", LIKELIHOOD, "dpo, cdpo, robust, ipo, hinge or simpo");
    only(command, algorithm, "--desirable-weight", Set.of("kto"), "kto");
    only(command, algorithm, "--undesirable-weight", Set.of("kto"), "kto");
    check(command, steps, steps.evaluation().evalData() != null);
  }

  private static void only(
      BaseCommand command, String algorithm, String option, Set<String> algorithms, String names) {
    if (command.given(option) && !algorithms.contains(algorithm)) {
      throw command.usage(option + " needs --algorithm " + names);
    }
  }

  /** Returns the options of the training, with this family's defaults. */
  TrainingOptions options(BaseCommand command, boolean lora, StepOptions steps) {
    return LearningOptions.build(
        command,
        options(command, steps, lora ? 1e-4f : 5e-6f)
            .batchSize(command.given("--batch-size") ? steps.batchSize() : 8)
            .maxGradNorm(command.given("--max-grad-norm") ? steps.maxGradNorm() : 1)
            .checkpointEvery(command.given("--checkpoint-every") ? steps.checkpointEvery() : 0));
  }

  private double beta(String algorithm) {
    return beta != null ? beta : algorithm.equals("simpo") ? 2 : 0.1;
  }

  private double smoothing(String algorithm) {
    return labelSmoothing != null ? labelSmoothing : SMOOTHED.contains(algorithm) ? 0.1 : 0;
  }

  /** Returns the loss on pairs. */
  PreferenceLoss loss(BaseCommand command, String algorithm) {
    PreferenceLoss.Kind kind =
        switch (algorithm) {
          case "dpo", "cdpo" -> PreferenceLoss.Kind.SIGMOID;
          case "robust" -> PreferenceLoss.Kind.ROBUST;
          case "ipo" -> PreferenceLoss.Kind.IPO;
          case "hinge" -> PreferenceLoss.Kind.HINGE;
          case "orpo" -> PreferenceLoss.Kind.ORPO;
          case "simpo" -> PreferenceLoss.Kind.SIMPO;
          default -> throw new AssertionError(algorithm);
        };
    double margin = kind == PreferenceLoss.Kind.SIMPO ? simpoGamma : 0;
    try {
      return new PreferenceLoss(kind, beta(algorithm), smoothing(algorithm), margin, rpoAlpha);
    } catch (InvalidInputException e) {
      throw command.usage("--" + e.getMessage());
    }
  }

  /** Returns the loss of KTO, on single answers. */
  UnpairedLoss unpairedLoss(BaseCommand command) {
    try {
      return new UnpairedLoss(beta("kto"), desirableWeight, undesirableWeight);
    } catch (InvalidInputException e) {
      throw command.usage("--" + e.getMessage());
    }
  }

  /** Adds the loss to a run's configuration. */
  void writeTo(RunConfig config, String algorithm) {
    config.put("beta", beta(algorithm)).put("label_smoothing", smoothing(algorithm));
    if (algorithm.equals("simpo")) {
      config.put("simpo_gamma", simpoGamma);
    }
    if (rpoAlpha != 0) {
      config.put("rpo_alpha", rpoAlpha);
    }
    if (algorithm.equals("kto")) {
      config.put("desirable_weight", desirableWeight);
      config.put("undesirable_weight", undesirableWeight);
    }
  }
}
