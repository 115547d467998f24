package dev.precis.cli.report;

import dev.precis.io.Printable;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Names a run by its method, model and data, from its {@code config.json}. */
public final class RunTitle {
  private static final Map<String, String> ALGORITHMS =
      Map.ofEntries(
          Map.entry("ppo", "PPO"),
          Map.entry("grpo", "GRPO"),
          Map.entry("rloo", "RLOO"),
          Map.entry("dpo", "DPO"),
          Map.entry("cdpo", "cDPO"),
          Map.entry("robust", "Robust DPO"),
          Map.entry("ipo", "IPO"),
          Map.entry("hinge", "Hinge-loss DPO"),
          Map.entry("orpo", "ORPO"),
          Map.entry("simpo", "SimPO"),
          Map.entry("kto", "KTO"));

  /** Names of folders that say nothing without the folder they are in. */
  private static final Set<String> GENERIC = Set.of("model", "adapter", "merged", "output", "run");

  /** Names of files, which hub IDs do not have. */
  private static final Pattern FILE =
      Pattern.compile("(?i).*\\.(jsonl?|ndjson|csv|tsv|txt|parquet|arrow|gz|zst)");

  private RunTitle() {}

  /** Returns the title of a run: "LoRA fine-tuning of google/flan-t5-base on train.csv". */
  public static String of(ObjectNode config) {
    String model = name(config, "model");
    String scratch = name(config, "init");
    String start =
        !model.isEmpty()
            ? " of " + model
            : scratch.isEmpty() ? "" : " of " + scratch + " from random weights";
    String data = name(config, config.has("pairs") ? "pairs" : "feedback");
    data = data.isEmpty() ? name(config, "data") : data;
    String teacher =
        config.get("distillation") instanceof ObjectNode taught ? name(taught, "teacher") : "";
    return method(config)
        + start
        + (data.isEmpty() ? "" : " on " + data)
        + (teacher.isEmpty() ? "" : ", taught by " + teacher);
  }

  private static String method(ObjectNode config) {
    String method = text(config, "method");
    String algorithm = text(config, "algorithm");
    if (!algorithm.isEmpty()) {
      return ALGORITHMS.getOrDefault(algorithm, Printable.of(algorithm))
          + " alignment"
          + switch (method) {
            case "lora" -> " (LoRA)";
            case "full" -> " (all weights)";
            default -> "";
          };
    }
    return switch (method) {
      case "lora" -> "LoRA fine-tuning";
      case "ia3" -> "IA3 fine-tuning";
      case "prompt-tuning" -> "Prompt tuning";
      case "full" -> "Full fine-tuning";
      case "reward" -> (config.has("pairs") ? "Reward model training" : "Classifier training");
      case "" -> "Training run";
      default -> Printable.of(method);
    };
  }

  private static String text(ObjectNode config, String key) {
    JsonNode value = config.get(key);
    return value != null && value.isString() ? value.stringValue() : "";
  }

  private static String name(ObjectNode config, String key) {
    return shortName(text(config, key));
  }

  /**
   * Returns a model or a file as people call it: a hub ID as it is, of a path the last name, and
   * the one before it where the last is as general as "model".
   */
  public static String shortName(String path) {
    String[] parts = path.split("/+");
    if (parts.length == 0) {
      return Printable.of(path);
    }
    String last = parts[parts.length - 1];
    boolean hub =
        parts.length == 2 && !parts[0].matches("|\\.+|~") && !FILE.matcher(last).matches();
    if (parts.length > 1 && (hub || GENERIC.contains(last)) && !parts[parts.length - 2].isEmpty()) {
      last = parts[parts.length - 2] + "/" + last;
    }
    return Printable.of(last);
  }
}
