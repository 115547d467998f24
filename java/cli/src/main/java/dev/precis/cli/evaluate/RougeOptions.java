package dev.precis.cli.evaluate;

import dev.precis.cli.common.BaseCommand;
import dev.precis.evaluation.Rouge;
import dev.precis.evaluation.Rouge.MultiReference;
import dev.precis.evaluation.Rouge.Preset;
import picocli.CommandLine.Option;

/** How ROUGE is computed, in the commands that do. */
public final class RougeOptions {
  @Option(
      names = "--preset",
      paramLabel = "P",
      defaultValue = "rouge_score",
      description = {
        "How ROUGE is computed (default: ${DEFAULT-VALUE}):",
        "rouge_score: with Porter's stemmer, as papers and courses do;",
        "rouge_score-no-stemmer: as Hugging Face's evaluate does where nobody asks for more;",
        "rouge_score-sentences: rougeLsum splits sentences at . ! ? too, not at line ends only."
      })
  private String preset;

  @Option(
      names = "--multi",
      paramLabel = "max|mean",
      defaultValue = "max",
      description = "Of several references the best counts, or their mean (default: max).")
  private String multi;

  /**
   * @throws dev.precis.io.InvalidInputException where there is no such preset
   */
  public Rouge rouge() {
    return Rouge.of(Preset.of(preset));
  }

  /** Refuses what is neither max nor mean. */
  public MultiReference combination(BaseCommand command) {
    return switch (multi) {
      case "max" -> MultiReference.MAX;
      case "mean" -> MultiReference.MEAN;
      default -> throw command.usage("--multi must be max or mean, not '" + multi + "'");
    };
  }

  /** The settings in a line: they are half of what a ROUGE number means. */
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
