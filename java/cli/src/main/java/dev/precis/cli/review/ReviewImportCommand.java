package dev.precis.cli.review;

import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.OutputFolder;
import dev.precis.review.exchange.ComparisonImport;
import dev.precis.review.exchange.ExportFormat;
import java.nio.file.Path;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(
    name = "import",
    header = "Makes a project of comparisons from another program.",
    description = {
      "Reads the comparisons of OpenAI's summarize-from-feedback, Argilla's records (fields"
          + " dialogue, summary_1 and summary_2) or Label Studio's tasks (data dialogue, text1 and"
          + " text2), with their answers. agreement and export then work on them, and start goes on"
          + " with them."
    },
    footer = {
      "",
      "Examples:",
      "  precis review import --format openai --input batch3.json --output votes",
      "  precis review export votes --format dpo --output pairs.jsonl"
    })
final class ReviewImportCommand extends BaseCommand {
  @Option(
      names = "--format",
      required = true,
      paramLabel = "FORMAT",
      description = "openai, argilla or label-studio.")
  private String format;

  @Option(
      names = "--input",
      required = true,
      paramLabel = "FILE",
      description = "The file: JSON lines, or one list.")
  private Path input;

  @Option(
      names = "--output",
      required = true,
      paramLabel = "FOLDER",
      description = "The project, a new or empty folder.")
  private Path output;

  @Override
  public Integer call() {
    ComparisonImport found = ComparisonImport.read(input, ExportFormat.of(format));
    try (OutputFolder folder = OutputFolder.create(output)) {
      found.writeProject(folder.path(), common().seed());
      folder.commit();
    }
    if (found.same() > 0) {
      note("%d answers are left out: both summaries were the same.".formatted(found.same()));
    }
    note("Done. %d answers are in %s".formatted(found.choices().size(), output));
    return DONE;
  }
}
