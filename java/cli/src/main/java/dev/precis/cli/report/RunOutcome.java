package dev.precis.cli.report;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import dev.precis.training.StepLog;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** The results of a run and its cost, as {@code results.json} in its folder keeps it. */
public record RunOutcome(List<Result> results, Cost cost) {
  static final String FILE = "results.json";

  /**
   * Reads the options of the run in a folder.
   *
   * @throws InvalidInputException where there is no folder, or no run in it
   */
  public static ObjectNode config(Path folder) {
    if (!Files.exists(folder)) {
      throw new InvalidInputException("There is no folder " + folder);
    }
    Path config = folder.resolve("config.json");
    if (!Files.isDirectory(folder) || !Files.isRegularFile(config)) {
      throw noRun(folder);
    }
    return Json.readObject(config).node();
  }

  /** Returns the refusal of a folder that holds something else. */
  public static InvalidInputException noRun(Path folder) {
    return new InvalidInputException(
        folder + " holds no run: name the --output folder of train, align or reward");
  }

  /** Returns the outcome, and the title of its run, as JSON. */
  public ObjectNode toJson(String title) {
    ObjectNode json = Json.mapper().createObjectNode();
    json.put("title", title);
    ArrayNode all = json.putArray("results");
    results.forEach(result -> result.toJson(all.addObject()));
    cost.toJson(json.putObject("cost"));
    return json;
  }

  /** Reads the outcome of a run from its folder; see {@link #read(Path, List)}. */
  public static RunOutcome read(Path folder) {
    return read(folder, StepLog.read(folder.resolve("metrics.jsonl")));
  }

  /**
   * Reads the outcome of a run; what a run that is not over, or of an older version, did not write
   * is found in its metrics.
   *
   * @throws InvalidInputException where the file is damaged
   */
  public static RunOutcome read(Path folder, List<ObjectNode> metrics) {
    Path file = folder.resolve(FILE);
    Cost found = Cost.of(metrics);
    if (!Files.exists(file)) {
      return new RunOutcome(MetricResults.of(metrics), found);
    }
    JsonObject json = Json.readObject(file);
    JsonNode list = json.node().path("results");
    if (!list.isArray()) {
      throw json.wrong("results", "a list");
    }
    List<Result> results = new ArrayList<>();
    for (JsonNode each : list) {
      results.add(Result.of(each, file.toString()));
    }
    return new RunOutcome(results, Cost.of(json.object("cost")));
  }
}
