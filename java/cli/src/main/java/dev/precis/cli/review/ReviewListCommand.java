package dev.precis.cli.review;

import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.options.FileOptions;
import dev.precis.io.Json;
import dev.precis.review.Gate;
import dev.precis.review.Gate.State;
import java.util.List;
import java.util.Locale;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

@Command(
    name = "list",
    header = "Lists the texts of a queue.",
    description = "Prints one line for each text: its state, its id, and how it begins.",
    footer = {"", "Example:", "  precis review list --queue queue.jsonl --state held"})
final class ReviewListCommand extends BaseCommand {
  private static final int WIDTH = 80;

  @Mixin private QueueOption queue = new QueueOption();

  @Option(
      names = "--state",
      paramLabel = "STATE",
      description = "Only held, approved, rejected or released texts (default: all).")
  private String state;

  @Mixin private FileOptions.JsonOutput json = new FileOptions.JsonOutput();

  @Override
  public Integer call() {
    State only =
        state == null
            ? null
            : choice(State.class, "--state", state, "held, approved, rejected or released");
    List<Gate.Item> items = queue.read();
    List<Gate.Item> listed =
        items.stream().filter(item -> only == null || item.state() == only).toList();
    if (json.json()) {
      ObjectNode all = Json.mapper().createObjectNode();
      ArrayNode texts = all.putArray("texts");
      listed.forEach(item -> texts.add(line(item)));
      terminal().println(all.toString());
      return DONE;
    }
    listed.forEach(item -> terminal().println(row(item)));
    long held = items.stream().filter(item -> item.state() == State.HELD).count();
    note("texts: %d, held: %d".formatted(items.size(), held));
    return DONE;
  }

  private static String row(Gate.Item item) {
    String row =
        "%-9s %s  %s%s"
            .formatted(
                item.state().toString().toLowerCase(Locale.ROOT),
                item.candidate().id(),
                item.candidate().reasons().isEmpty() ? "" : "! ",
                item.text().replaceAll("\\s+", " "));
    return row.length() <= WIDTH ? row : row.substring(0, WIDTH - 3) + "...";
  }

  static ObjectNode line(Gate.Item item) {
    ObjectNode line = Json.mapper().createObjectNode();
    line.put("id", item.candidate().id());
    line.put("state", item.state().toString().toLowerCase(Locale.ROOT));
    line.put("source", item.candidate().source());
    line.put("generated", item.candidate().text());
    line.put("text", item.text());
    ArrayNode reasons = line.putArray("reasons");
    item.candidate().reasons().forEach(reasons::add);
    ArrayNode people = line.putArray("approved_by");
    item.approvedBy().forEach(people::add);
    if (item.rejection() != null) {
      line.put("rejection", item.rejection());
    }
    ObjectNode model = line.putObject("model");
    item.candidate().model().forEach(model::put);
    return line;
  }
}
