package dev.precis.cli.common;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Printable;
import java.util.List;
import java.util.Map;
import java.util.Set;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Reads the {@code config.json} of a run as names of options and their values: a run started from
 * it does the same again.
 */
final class RunRecord {
  /** Keys of the record that the options call otherwise. */
  private static final Map<String, String> RENAMED =
      Map.of(
          "kl-coefficient", "kl-coef",
          "kl-target", "target-kl",
          "value-coefficient", "value-coef",
          "entropy-coefficient", "entropy-coef",
          "data-split", "split",
          "pairs-split", "split",
          "feedback-split", "split");

  /** Keys of the object of what is trained beside the model, by its name. */
  private static final Map<String, Map<String, String>> ADAPTERS =
      Map.of(
          "lora",
          Map.of(
              "rank", "rank",
              "alpha", "lora-alpha",
              "target-modules", "target-modules",
              "modules-to-save", "modules-to-save",
              "rslora", "rslora",
              "dropout", "lora-dropout",
              "init-adapter", "init-adapter"),
          "ia3",
          Map.of(
              "target-modules", "target-modules",
              "feedforward-modules", "feedforward-modules",
              "init-adapter", "init-adapter"),
          "prompt-tuning",
          Map.of(
              "tokens", "prompt-tokens",
              "text", "prompt-text",
              "init-adapter", "init-adapter"));

  /** Values by which the record says that an option was not given. */
  private static final Map<String, String> NOT_GIVEN =
      Map.of(
          "template", "default",
          "text-field", "default",
          "dropout", "config.json",
          "reward-label", "the only one",
          "reference", "none",
          "max-steps", "0",
          "eval-every", "0");

  /** Options of the critic, which only ppo has. */
  private static final Set<String> CRITIC =
      Set.of(
          "mode",
          "gamma",
          "lambda",
          "clip-range-value",
          "value-coef",
          "value-learning-rate",
          "value-warmup-steps",
          "whiten-rewards");

  /** The alignments that have label smoothing. */
  private static final Set<String> SMOOTHED = Set.of("cdpo", "robust");

  private static final List<String> DATA = List.of("data", "pairs", "feedback", "eval-data");

  private final String file;
  private final ObjectNode options;

  private RunRecord(ObjectNode options, String file) {
    this.options = options;
    this.file = file;
  }

  /**
   * Returns settings by the names of options, with hyphens. What only describes a run is left out:
   * hashes, counts, and what its other settings imply.
   *
   * @throws InvalidInputException if two keys are the same but for hyphens
   */
  static ObjectNode options(ObjectNode settings, String file) {
    RunRecord record = new RunRecord(settings.objectNode(), file);
    boolean ofRun = settings.propertyNames().stream().anyMatch(key -> key.endsWith("_sha256"));
    settings.properties().forEach(each -> record.take(each.getKey(), each.getValue()));
    if (ofRun) {
      record.leaveOutImplied();
    }
    return record.options;
  }

  private void take(String key, JsonNode value) {
    String name = key.replace('_', '-');
    if (name.endsWith("-sha256")
        || value.isObject() && name.matches("reward-(classifier|judge)-\\d+")
        || name.equals("eval-data-split")
        || DATA.stream().anyMatch(data -> name.equals(data + "-skipped-rows"))
        || name.equals("eval-data-columns")) {
      return;
    }
    if (value.asString("").equals(NOT_GIVEN.get(name))) {
      return;
    }
    if (ADAPTERS.containsKey(name) && value.isObject()) {
      value.properties().forEach(each -> takeAdapter(name, each.getKey(), each.getValue()));
    } else if (value.isObject() && DATA.stream().anyMatch(data -> name.equals(data + "-columns"))) {
      takeColumns(value);
    } else if (name.equals("shuffle") && value.isBoolean()) {
      put("no-shuffle", options.booleanNode(!value.booleanValue()));
    } else if (name.equals("adaptive-kl") && value.isBoolean()) {
      put("fixed-kl", options.booleanNode(!value.booleanValue()));
    } else {
      put(RENAMED.getOrDefault(name, name), value);
    }
  }

  private void takeAdapter(String kind, String key, JsonNode value) {
    String name = key.replace('_', '-');
    if (!name.endsWith("-sha256")) {
      put(ADAPTERS.get(kind).getOrDefault(name, kind + "." + name), value);
    }
  }

  /** Names the columns that were read, unless several were: those are found again. */
  private void takeColumns(JsonNode columns) {
    boolean several =
        columns.valueStream().anyMatch(each -> each.asString("").matches("(?s).*(, | \\+ ).*"));
    for (String role : List.of("dialogue", "prompt", "summary", "chosen", "rejected")) {
      if (!several && columns.has(role)) {
        put(role + "-column", columns.get(role));
      }
    }
  }

  private void put(String name, JsonNode value) {
    if (options.has(name)) {
      throw new InvalidInputException(
          "%s has '%s' twice: keep one".formatted(file, Printable.of(name)));
    }
    options.set(name, value);
  }

  private String text(String name) {
    return options.has(name) ? options.get(name).asString("") : "";
  }

  /** Leaves out what a run records but its command refuses, because other options imply it. */
  private void leaveOutImplied() {
    if (options.has("rounds")) {
      options.remove("reference");
    }
    if (options.has("max-steps")) {
      options.remove("epochs");
    }
    if (options.has("init-adapter")) {
      options.remove(List.of("rank", "lora-alpha"));
    }
    if (text("method").equals("full")) {
      options.remove("lora-dropout");
    }
    if (text("method").equals("reward")) {
      options.remove(List.of("method", "label-smoothing"));
      if (options.has("pairs")) {
        options.remove("labels");
      }
    }
    if (options.has("fixed-kl") && options.get("fixed-kl").booleanValue()) {
      options.remove(List.of("target-kl", "kl-horizon"));
    }
    String algorithm = text("algorithm");
    if (!algorithm.equals("ppo")) {
      options.remove(CRITIC);
    }
    if (!algorithm.isEmpty() && !SMOOTHED.contains(algorithm)) {
      options.remove("label-smoothing");
    }
    if (algorithm.equals("grpo")) {
      options.remove("kl-penalty");
    }
    if (text("mode").equals("lab")) {
      options.remove("ratio-threshold");
    }
  }
}
