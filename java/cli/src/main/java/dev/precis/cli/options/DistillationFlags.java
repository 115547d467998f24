package dev.precis.cli.options;

import dev.precis.cli.common.BaseCommand;
import dev.precis.io.InvalidInputException;
import dev.precis.training.DistillationOptions;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import picocli.CommandLine.Option;

/** Declares distillation: the teacher, and how the student learns from it. */
public final class DistillationFlags extends DecodingOptions.MaxNewTokens {
  private static final List<String> OPTIONS =
      List.of("--beta", "--temperature", "--on-policy", "--label-weight", "--max-new-tokens");

  @Option(
      names = "--teacher",
      paramLabel = "MODEL[+ADAPTER]",
      description = {
        "Distillation: learn this model's distribution of each token (generalized knowledge"
            + " distillation, Agarwal et al. 2023). It may be of any size; its tokenizer must be"
            + " the model's. Without it the targets' cross-entropy is the loss."
      })
  private String teacher;

  @Option(
      names = "--beta",
      paramLabel = "X",
      defaultValue = "0.5",
      description =
          "Distillation: the divergence that is minimized, the generalized Jensen-Shannon"
              + " divergence: 0 is KL(teacher || student), 1 is KL(student || teacher) (default:"
              + " ${DEFAULT-VALUE}).")
  private float beta;

  @Option(
      names = "--temperature",
      paramLabel = "X",
      defaultValue = "1",
      description =
          "Distillation: divides the logits of both models in the divergence; above 1 the teacher's"
              + " improbable tokens count for more (default: ${DEFAULT-VALUE}).")
  private float temperature;

  @Option(
      names = {"--on-policy", "--lmbda"},
      paramLabel = "X",
      defaultValue = "0",
      description =
          "Distillation: fraction of examples (lambda) whose target the student samples itself,"
              + " with its present weights; the others learn from the data's targets (default:"
              + " ${DEFAULT-VALUE}).")
  private float onPolicy;

  @Option(
      names = "--label-weight",
      paramLabel = "X",
      defaultValue = "0",
      description =
          "Distillation: weight of the data's targets' cross-entropy in the loss; the divergence"
              + " has the rest (default: ${DEFAULT-VALUE}).")
  private float labelWeight;

  /** Returns whether there is a teacher. */
  public boolean given() {
    return teacher != null;
  }

  /** Returns the names of the teacher's model and its adapters. */
  public List<String> names() {
    return Arrays.asList(teacher.split("\\+", -1));
  }

  /** Returns the folder of the teacher's model. */
  public Path folder(BaseCommand command) {
    return command.resolve(names().getFirst());
  }

  /** Returns the folders of its adapters. */
  public List<Path> adapters(BaseCommand command) {
    List<String> names = names();
    return names.subList(1, names.size()).stream().map(command::resolve).toList();
  }

  /** Returns the options; refuses values out of range. */
  public DistillationOptions options(BaseCommand command) {
    try {
      return new DistillationOptions(beta, temperature, onPolicy, labelWeight, maxNewTokens());
    } catch (InvalidInputException e) {
      throw command.usage("--" + e.getMessage());
    }
  }

  /** Refuses options of distillation without a teacher, and those that have no effect with one. */
  public void check(BaseCommand command) {
    if (teacher == null) {
      for (String option : OPTIONS) {
        if (command.given(option)) {
          throw command.usage(option + " needs --teacher");
        }
      }
      return;
    }
    if (names().stream().anyMatch(String::isBlank)) {
      throw command.usage("--teacher must be MODEL or MODEL+ADAPTER, not '" + teacher + "'");
    }
    if (command.given("--label-smoothing")) {
      throw command.usage(
          "--label-smoothing and --teacher are mutually exclusive: the teacher's distributions"
              + " are smooth already");
    }
    if (onPolicy == 0 && command.given("--max-new-tokens")) {
      throw command.usage("--max-new-tokens needs --on-policy above 0");
    }
    options(command);
    if (labelWeight == 1 && onPolicy == 0) {
      throw command.usage("--label-weight 1 leaves nothing to learn from --teacher");
    }
  }
}
