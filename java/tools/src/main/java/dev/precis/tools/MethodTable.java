package dev.precis.tools;

import dev.precis.io.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import tools.jackson.databind.JsonNode;

/**
 * Prints what {@code benchmarks/methods} measured as a table in Markdown: a row for each method, as
 * it is trained and as it is aligned.
 *
 * <p>Usage: {@code MethodTable WORK}: a folder that holds each run under its candidate's name, and
 * their evaluation.
 */
public final class MethodTable {
  private MethodTable() {}

  public static void main(String[] args) throws IOException {
    Locale.setDefault(Locale.ROOT);
    System.out.print(table(Path.of(args[0])));
  }

  /** Returns the table of the runs in a folder. */
  static String table(Path work) throws IOException {
    Map<String, JsonNode> scores = new LinkedHashMap<>();
    for (JsonNode each : read(work.resolve("evaluation/evaluation.json")).path("candidates")) {
      scores.put(each.path("name").asString(), each.path("scores"));
    }
    StringBuilder table = new StringBuilder();
    table.append("| method | parameters trained | seconds | peak memory, MB | ROUGE-1 [95 %] ");
    table.append("| ROUGE-L [95 %] | toxicity [95 %] |\n|---|---|---|---|---|---|---|\n");
    for (Map.Entry<String, JsonNode> each : scores.entrySet()) {
      String costs = each.getKey().equals("base") ? "| | | " : costs(work.resolve(each.getKey()));
      table.append("| ").append(each.getKey()).append(' ').append(costs);
      for (String measure : List.of("rouge1", "rougeL", "toxicity")) {
        JsonNode score = each.getValue().path(measure);
        table.append(
            "| %.3f [%.3f, %.3f] "
                .formatted(
                    score.path("mean").asDouble(),
                    score.path("low").asDouble(),
                    score.path("high").asDouble()));
      }
      table.append("|\n");
    }
    return table.toString();
  }

  private static String costs(Path run) throws IOException {
    JsonNode cost = read(run.resolve("results.json")).path("cost");
    return "| %,d | %.0f | %,d "
        .formatted(
            cost.path("trained_parameters").asLong(),
            cost.path("seconds").asDouble(),
            cost.path("memory_bytes").asLong() / 1_000_000);
  }

  private static JsonNode read(Path file) throws IOException {
    return Json.mapper().readTree(Files.readString(file));
  }
}
