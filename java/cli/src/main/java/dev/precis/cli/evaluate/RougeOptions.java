package dev.precis.cli.evaluate;

import dev.precis.cli.common.BaseCommand;
import dev.precis.evaluation.Rouge;
import dev.precis.evaluation.Rouge.MultiReference;
import dev.precis.evaluation.Rouge.Preset;
import picocli.CommandLine.Option;

/** Settings of ROUGE. */
public final class RougeOptions {
  @Option(
      names = "--preset",
      paramLabel = "P",
      defaultValue = "rouge_score",
      description = {
        "The settings of ROUGE (default: ${DEFAULT-VALUE}):",
        "rouge_score: with Porter's stemmer, as in most papers;",
        "rouge_score-no-stemmer: the default of Hugging Face's evaluate;",
        "rouge_score-sentences: rougeLsum also splits sentences at . ! and ?"
      })
  private String preset;

  @Option(
      names = "--multi",
      paramLabel = "max|mean",
      defaultValue = "max",
      description =
          "Of several references, count the best or the mean (default: ${DEFAULT-VALUE}).")
  private String multi;

  /**
   * Returns the metric with these settings.
   *
   * @throws dev.precis.io.InvalidInputException where the preset is unknown
   */
  public Rouge rouge() {
    return Rouge.of(Preset.of(preset));
  }

  /** Returns how several references are combined. */
  public MultiReference combination(BaseCommand command) {
    return switch (multi) {
      case "max" -> MultiReference.MAX;
      case "mean" -> MultiReference.MEAN;
      default -> throw command.usage("--multi must be max or mean, not '" + multi + "'");
    };
  }

  /** Describes the settings in a line: ROUGE numbers compare only under the same settings. */
  public static String describe(Rouge rouge, MultiReference combination, int fewest, int most) {
    String references = fewest == most ? "" + most : fewest + " to " + most;
    String how =
        most == 1
            ? "one reference each"
            : "%s references each, of which %s counts"
                .formatted(references, combination == MultiReference.MAX ? "the best" : "the mean");
    return "%s (%s); %s".formatted(rouge.preset().id(), rouge.preset().description(), how);
  }
}
