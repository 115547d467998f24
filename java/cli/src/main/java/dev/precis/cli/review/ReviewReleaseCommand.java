package dev.precis.cli.review;

import dev.precis.cli.common.BaseCommand;
import dev.precis.data.JsonLinesWriter;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.review.Gate;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

@Command(
    name = "release",
    header = "Writes the approved texts of a queue to a file.",
    description = {
      "Writes one object a line, with id, summary, who approved it, and the model that it came"
          + " from; where it was edited, with the generated text too. A text is released once.",
      "The file must be new: it appears when it is complete."
    },
    footer = {"", "Example:", "  precis review release --queue queue.jsonl --output out.jsonl"})
final class ReviewReleaseCommand extends BaseCommand {
  @Mixin private QueueOption queue = new QueueOption();

  @Option(
      names = "--output",
      required = true,
      paramLabel = "FILE",
      description = "The file of the released texts.")
  private Path output;

  @Option(
      names = "--people",
      paramLabel = "N",
      defaultValue = "1",
      description =
          "How many different people must have approved a text; 2 is the two-person rule (default:"
              + " ${DEFAULT-VALUE}).")
  private int people;

  @Override
  public Integer call() {
    requireAtLeast(1, "--people", people);
    if (Files.exists(output)) {
      throw new InvalidInputException(output + " exists: name a new file");
    }
    int count;
    try (Gate gate = queue.open();
        JsonLinesWriter out = JsonLinesWriter.to(output)) {
      List<Gate.Item> released = gate.release(people);
      released.forEach(item -> out.write(line(item)));
      out.commit();
      count = released.size();
    }
    note("Done. %d texts are in %s".formatted(count, output));
    return DONE;
  }

  private static ObjectNode line(Gate.Item item) {
    ObjectNode line = Json.mapper().createObjectNode();
    line.put("id", item.candidate().id());
    line.put("summary", item.text());
    if (!item.text().equals(item.candidate().text())) {
      line.put("generated", item.candidate().text());
    }
    ArrayNode approved = line.putArray("approved_by");
    item.approvedBy().forEach(approved::add);
    ObjectNode model = line.putObject("model");
    item.candidate().model().forEach(model::put);
    return line;
  }
}
