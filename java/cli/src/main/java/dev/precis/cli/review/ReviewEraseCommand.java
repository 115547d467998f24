package dev.precis.cli.review;

import dev.precis.cli.common.BaseCommand;
import dev.precis.io.InvalidInputException;
import dev.precis.review.Gate;
import dev.precis.review.comparison.ComparisonProject;
import java.nio.file.Path;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
    name = "erase",
    header = "Erases a text from a queue, or an item from a project, for good.",
    description =
        "Takes the source, the texts and all that was decided or said about them out of the files,"
            + " as people may demand. That something was there stays on record.",
    footer = {
      "",
      "Examples:",
      "  precis review erase --queue queue.jsonl d1",
      "  precis review erase --project votes d1"
    })
final class ReviewEraseCommand extends BaseCommand {
  @ArgGroup(validate = false)
  private QueueOption queue = new QueueOption();

  @Option(
      names = "--project",
      paramLabel = "FOLDER",
      description = "The project that precis review start made; end that command first.")
  private Path project;

  @Parameters(paramLabel = "ID", description = "The id of the text or item.")
  private String id;

  @Override
  public Integer call() {
    requireOneOf("--queue", given("--queue") ? queue : null, "--project", project);
    if (project != null) {
      if (!ComparisonProject.erase(project, id)) {
        throw new InvalidInputException(project + " has no item of the id " + id);
      }
      note(id + " is erased");
      return DONE;
    }
    try (Gate gate = queue.open()) {
      if (!gate.erase(id)) {
        throw new InvalidInputException("The queue holds no text of the id " + id);
      }
    }
    note(id + " is erased");
    return DONE;
  }
}
