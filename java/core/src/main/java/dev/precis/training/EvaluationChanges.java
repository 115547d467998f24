package dev.precis.training;

import dev.precis.evaluation.PairedBootstrap;
import dev.precis.evaluation.PairedBootstrap.Interval;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Compares the evaluations of a run with its first one, part by part of the evaluation data, and
 * gives the 95 % interval of each change. The parts of the first one are kept in {@code
 * first-evaluation.json}, so that a resumed run compares with it too.
 */
final class EvaluationChanges {
  private static final String FILE = "first-evaluation.json";

  /** A bootstrap over fewer parts has no interval that is worth its name. */
  private static final int FEWEST_PARTS = 5;

  private final RunFolder run;

  EvaluationChanges(RunFolder run) {
    this.run = run;
  }

  /**
   * Returns the intervals of the changes since the first evaluation, by metric. They are empty for
   * the first one, which is kept, and for metrics without parts.
   *
   * @param parts values of each metric on parts of the data, the same in every evaluation
   * @throws InvalidInputException where the file of the first one is damaged
   */
  Map<String, Interval> since(long step, Map<String, double[]> parts) {
    Path file = run.folder().resolve(FILE);
    JsonObject first = Files.exists(file) ? Json.readObject(file) : null;
    if (first == null || step <= first.whole("step", 0, Long.MAX_VALUE)) {
      keep(step, parts);
      return Map.of();
    }
    Map<String, Interval> changes = new LinkedHashMap<>();
    parts.forEach(
        (name, now) -> {
          double[] then = parts(first, name);
          if (then.length == now.length && now.length >= FEWEST_PARTS) {
            changes.put(name, new PairedBootstrap(0).compare(then, now).difference());
          }
        });
    return changes;
  }

  private void keep(long step, Map<String, double[]> parts) {
    if (parts.isEmpty()) {
      return;
    }
    ObjectNode json = Json.mapper().createObjectNode();
    json.put("step", step);
    parts.forEach(
        (name, values) -> {
          ArrayNode all = json.putArray(name);
          for (double value : values) {
            all.add(value);
          }
        });
    run.write(FILE, json + "\n");
  }

  private static double[] parts(JsonObject first, String name) {
    if (!(first.node().path(name) instanceof ArrayNode all)
        || !all.valueStream().allMatch(JsonNode::isNumber)) {
      throw new InvalidInputException(
          "%s is damaged: \"%s\" must be a list of numbers; remove the file to go on without it"
              .formatted(first.where(), name));
    }
    return all.valueStream().mapToDouble(JsonNode::doubleValue).toArray();
  }
}
