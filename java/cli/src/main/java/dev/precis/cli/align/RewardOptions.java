package dev.precis.cli.align;

import dev.precis.alignment.reward.RewardTemplate;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.options.RewardModelOption;
import dev.precis.cli.train.RunConfig;
import dev.precis.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import picocli.CommandLine.Option;

/** Declares the terms of the reward: a classifier, other terms, or both. */
final class RewardOptions extends RewardModelOption {
  @Option(
      names = "--reward-label",
      paramLabel = "NAME",
      description = "The label whose number is the reward, by name, such as nothate.")
  private String label;

  @Option(
      names = "--reward-measure",
      paramLabel = "M",
      defaultValue = "logit",
      description = "logit or probability of the label (default: ${DEFAULT-VALUE}).")
  private String measure;

  @Option(
      names = "--reward-dtype",
      paramLabel = "TYPE",
      description =
          "The reward model computes in float32 or bfloat16 (default: the type of the run).")
  private String dtype;

  @Option(
      names = "--reward-template",
      paramLabel = "T",
      description =
          "What the reward model reads, with {completion} in it and optionally {prompt} (default:"
              + " as it was trained, else {completion}).")
  private String template;

  @Option(
      names = "--reward",
      paramLabel = "SPEC",
      description = {
        "Another term of the reward, with its weight: rouge:rouge1 or rouge:rougeL=2 (ROUGE against"
            + " the references), length:20=0.1 (0.1 less for each word above or below 20).",
        "Repeat the option to add terms; they are added to that of --reward-model, and each is"
            + " logged."
      })
  private List<String> terms = new ArrayList<>();

  String label() {
    return label;
  }

  String measure() {
    return measure;
  }

  /** The template as given; null for the classifier's own. */
  RewardTemplate template() {
    return template == null ? null : new RewardTemplate(template.replace("\\n", "\n"));
  }

  List<String> terms() {
    return terms;
  }

  void check(BaseCommand command) {
    if (rewardModel() == null && terms.isEmpty()) {
      throw command.usage("--reward-model or --reward is missing");
    }
    if (rewardModel() == null
        && (command.given("--reward-label")
            || command.given("--reward-measure")
            || command.given("--reward-dtype")
            || command.given("--reward-template"))) {
      throw command.usage("--reward-label, -measure, -dtype and -template need --reward-model");
    }
    if (!measure.equals("logit") && !measure.equals("probability")) {
      throw command.usage("--reward-measure must be logit or probability, not '" + measure + "'");
    }
    type(command);
  }

  /** The type that the classifier computes in. */
  DType type(BaseCommand command) {
    return switch (dtype) {
      case null -> command.common().trainingType();
      case "float32" -> DType.FLOAT32;
      case "bfloat16" -> DType.BFLOAT16;
      default ->
          throw command.usage("--reward-dtype must be float32 or bfloat16, not '" + dtype + "'");
    };
  }

  /**
   * Adds to a run's configuration.
   *
   * @param reads what the classifier reads; null where there is none
   */
  void writeTo(RunConfig config, BaseCommand command, RewardTemplate reads) {
    if (rewardModel() != null) {
      config
          .weights("reward_model", rewardModel())
          .put("reward_label", label == null ? "the only one" : label)
          .put("reward_measure", measure)
          .put("reward_dtype", type(command).name().toLowerCase(Locale.ROOT))
          .put("reward_template", reads.text());
    }
    config.put("reward", terms);
  }
}
