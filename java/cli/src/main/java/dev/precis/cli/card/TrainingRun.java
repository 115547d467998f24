package dev.precis.cli.card;

import dev.precis.checkpoint.ModelFolder;
import dev.precis.cli.report.RunOutcome;
import dev.precis.cli.report.RunTitle;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A run as its folder tells it: what went in, with hashes, and what came out.
 *
 * @param config its {@code config.json}
 * @param inputs models, adapters and data that the run read, in the order of the options
 * @param results hashes of the weights that it left, by the name of their folder
 */
record TrainingRun(
    Path folder, ObjectNode config, RunOutcome outcome, List<Input> inputs, List<Output> results) {
  private static final String HASH = "_sha256";

  /** Folders in which a run leaves weights, and the name of each for people. */
  private static final List<String> WEIGHTS = List.of("adapter", "model");

  /**
   * Something that a run read.
   *
   * @param role the option, such as {@code reward_model}
   * @param name as it was given: a path, or the ID of a hub model
   * @param sha256 of its contents at that time
   */
  record Input(String role, String name, String sha256) {
    /** Returns whether it is what the run started from, rather than data or a judge. */
    boolean isStart() {
      return role.equals("model") || role.equals("adapter") || role.endsWith("init_adapter");
    }
  }

  /** Weights that a run left. */
  record Output(String name, String sha256) {}

  /** Returns whether a folder is that of a run. */
  static boolean isRun(Path folder) {
    Path config = folder.resolve("config.json");
    return Files.isRegularFile(config) && isRun(Json.readObject(config).node());
  }

  private static boolean isRun(ObjectNode config) {
    return !config.has("model_type") && (config.has("method") || config.has("algorithm"));
  }

  /**
   * Reads a run.
   *
   * @throws InvalidInputException where the folder holds none, or one that has not ended
   */
  static TrainingRun read(Path folder) {
    ObjectNode config = RunOutcome.config(folder);
    if (!isRun(config)) {
      throw RunOutcome.noRun(folder);
    }
    List<Output> results = new ArrayList<>();
    for (String name : WEIGHTS) {
      Path weights = folder.resolve(name);
      if (Files.isDirectory(weights)) {
        results.add(new Output(name, ModelFolder.weightsHash(weights)));
      }
    }
    if (results.isEmpty()) {
      throw new InvalidInputException(
          folder + " has no result yet: write the card when the run is over");
    }
    if (!Files.isRegularFile(folder.resolve("metrics.jsonl"))) {
      throw new InvalidInputException(folder + " has no metrics.jsonl: the run is not whole");
    }
    List<Input> inputs = new ArrayList<>();
    find("", config, inputs);
    return new TrainingRun(folder, config, RunOutcome.read(folder), inputs, results);
  }

  /** Finds each option that stands beside the hash of its contents. */
  private static void find(String prefix, JsonNode node, List<Input> found) {
    for (String key : node.propertyNames()) {
      JsonNode value = node.get(key);
      String hash = node.path(key + HASH).asString("");
      if (value.isString() && !hash.isEmpty()) {
        found.add(new Input(prefix + key, value.stringValue(), hash));
      }
      find(prefix + key + ".", value, found);
    }
    for (int i = 0; node.isArray() && i < node.size(); i++) {
      find(prefix, node.get(i), found);
    }
  }

  /** Returns the title of the run. */
  String title() {
    return RunTitle.of(config);
  }

  /** Returns whether its result judges texts instead of writing them. */
  boolean isJudge() {
    return config.path("method").asString("").equals("reward");
  }

  /** Returns whether its result is an adapter. */
  boolean leavesAdapter() {
    return results.stream().anyMatch(each -> each.name().equals("adapter"));
  }

  /** Returns whether it left weights of this hash. */
  boolean left(String sha256) {
    return results.stream().anyMatch(each -> each.sha256().equals(sha256));
  }

  /** Returns what was given for an option. */
  Optional<String> option(String key) {
    return config.path(key).stringValueOpt();
  }
}
