package dev.precis.cli.review;

import dev.precis.cli.common.BaseCommand;
import dev.precis.review.exchange.ComparisonExport;
import dev.precis.review.exchange.ExportFormat;
import java.nio.file.Path;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "export",
    header = "Writes the choices of a project for training and for other programs.",
    description = {
      "dpo           prompt, chosen, rejected, and a margin from 0 to 1 by the",
      "              confidence: what precis reward and precis align read; a pair with",
      "              several answers goes by their majority",
      "kto           prompt, completion, label: what align --algorithm kto reads",
      "sft           dialogue, summary: the edits, which precis train reads",
      "csv           a row for each answer, hidden repeats and gold pairs included",
      "openai        the form of OpenAI's summarize-from-feedback",
      "argilla       records of Argilla",
      "label-studio  tasks and annotations of Label Studio"
    },
    footer = {
      "",
      "Examples:",
      "  precis review export votes --format dpo --output pairs.jsonl",
      "  precis align --algorithm dpo --model M --pairs pairs.jsonl --output run",
      "  precis review export votes --format csv --mask --output votes.csv"
    })
final class ReviewExportCommand extends BaseCommand {
  @Mixin private ProjectFolder project = new ProjectFolder();

  @Option(
      names = "--format",
      required = true,
      paramLabel = "FORMAT",
      description = "dpo, kto, sft, csv, openai, argilla or label-studio.")
  private String format;

  @Option(
      names = "--output",
      required = true,
      paramLabel = "FILE",
      description = "The file, which appears when it is complete.")
  private Path output;

  @Option(
      names = "--mask",
      description =
          "Hide names, numbers, and addresses in all texts, and the annotators' names. It goes by"
              + " the look of words in English: read the result before you publish it.")
  private boolean mask;

  @Override
  public Integer call() {
    ExportFormat wanted = ExportFormat.of(format);
    int rows = ComparisonExport.write(project.read(), wanted, mask, output);
    note("Done. %d rows are in %s".formatted(rows, output));
    return DONE;
  }
}
