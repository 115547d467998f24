package dev.precis.cli.report;

import dev.precis.alignment.policy.Comparison;
import dev.precis.alignment.policy.Comparison.Paired;
import dev.precis.alignment.policy.Comparison.Row;
import dev.precis.cli.common.TextLayout;
import dev.precis.io.Json;
import dev.precis.training.RunFolder;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Compares baseline and aligned responses for the terminal and for other programs. */
public record ComparisonTable(Comparison comparison) {
  private static final int WIDTH = 66;
  private static final int NAME = 9;

  /** Returns lines for a terminal: measures, guard, and the rows with the largest gains. */
  public List<String> text(int rows) {
    List<String> lines = new ArrayList<>();
    lines.add("");
    lines.add(
        "%-20s%-20s%s".formatted("  baseline", "  aligned", "  difference, 95 %, of ")
            + comparison.rows().size()
            + " prompts");
    comparison
        .measures()
        .forEach(
            (name, paired) -> {
              lines.add(name);
              lines.add(line(paired));
            });
    comparison.guard().ifPresent(lines::add);
    for (Row row : comparison.rows().subList(0, Math.min(rows, comparison.rows().size()))) {
      lines.add("");
      lines.add(
          format("%s: reward %.3f -> %.3f", row.id(), row.baselineReward(), row.alignedReward()));
      wrapped("baseline", row.baselineResponse(), lines);
      wrapped("aligned", row.alignedResponse(), lines);
    }
    return lines;
  }

  private static void wrapped(String name, String text, List<String> lines) {
    TextLayout.hanging(name, NAME, text, WIDTH).forEach(line -> lines.add("  " + line));
  }

  private static String line(Paired paired) {
    return format(
        "  %8.4f +- %-6.4f  %8.4f +- %-6.4f  %+.4f (%+.4f to %+.4f)",
        paired.baselineMean(),
        paired.baselineDeviation(),
        paired.alignedMean(),
        paired.alignedDeviation(),
        paired.difference().mean(),
        paired.difference().low(),
        paired.difference().high());
  }

  private static String format(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }

  /** Writes comparison.json, the measures, and comparison.jsonl, all rows. */
  public void writeTo(RunFolder run) {
    run.write("comparison.json", toJson().toPrettyString() + "\n");
    StringBuilder lines = new StringBuilder();
    for (Row row : comparison.rows()) {
      ObjectNode line = Json.mapper().createObjectNode();
      line.put("id", row.id());
      line.put("query", row.query());
      line.put("response_before", row.baselineResponse());
      line.put("response_after", row.alignedResponse());
      line.put("reward_before", row.baselineReward());
      line.put("reward_after", row.alignedReward());
      line.put("gain", row.gain());
      lines.append(line).append('\n');
    }
    run.write("comparison.jsonl", lines.toString());
  }

  /** Returns the measures. */
  public ObjectNode toJson() {
    ObjectNode json = Json.mapper().createObjectNode();
    json.put("prompts", comparison.rows().size());
    ObjectNode measures = json.putObject("measures");
    for (Map.Entry<String, Paired> each : comparison.measures().entrySet()) {
      Paired paired = each.getValue();
      ObjectNode node = measures.putObject(each.getKey());
      node.put("mean_before", paired.baselineMean());
      node.put("deviation_before", paired.baselineDeviation());
      node.put("mean_after", paired.alignedMean());
      node.put("deviation_after", paired.alignedDeviation());
      node.put("difference", paired.difference().mean());
      ArrayNode interval = node.putArray("interval_95");
      interval.add(paired.difference().low()).add(paired.difference().high());
      node.put("p_value", paired.pValue());
    }
    comparison.guard().ifPresent(sentence -> json.put("guard", sentence));
    return json;
  }
}
