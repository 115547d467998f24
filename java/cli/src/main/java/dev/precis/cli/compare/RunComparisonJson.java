package dev.precis.cli.compare;

import dev.precis.cli.report.Result;
import dev.precis.io.Json;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** A comparison of runs as one JSON object, for other programs. */
record RunComparisonJson(RunComparison comparison) {
  @Override
  public String toString() {
    ObjectNode json = Json.mapper().createObjectNode();
    ArrayNode runs = json.putArray("runs");
    for (ComparedRun run : comparison.runs()) {
      ObjectNode node = run.outcome().toJson(run.title());
      ObjectNode named = Json.mapper().createObjectNode();
      named.put("name", run.name());
      named.put("folder", run.folder().toString());
      named.setAll(node);
      runs.add(named);
    }
    ObjectNode best = json.putObject("best");
    for (String name : comparison.resultNames()) {
      List<Result> results = comparison.results(name);
      int place = RunComparison.best(results);
      if (place >= 0) {
        best.put(name, comparison.runs().get(place).name());
      }
    }
    ObjectNode options = json.putObject("options");
    for (Map.Entry<String, List<String>> each : comparison.differingOptions().entrySet()) {
      ObjectNode values = options.putObject(each.getKey());
      for (int i = 0; i < comparison.runs().size(); i++) {
        values.put(comparison.runs().get(i).name(), each.getValue().get(i));
      }
    }
    if (!comparison.warning().isEmpty()) {
      json.put("warning", comparison.warning());
    }
    return json + System.lineSeparator();
  }
}
