package dev.precis.cli.demo;

import dev.precis.io.Json;
import dev.precis.lora.LoraConfig;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Names of what the demo leaves in its folder, and the records of its runs. */
final class DemoRuns {
  /** The model that is fine-tuned. */
  static final String BASE = "base";

  /** The dialogues. */
  static final String DATA = "data";

  static final String LORA = "lora";
  static final String FULL = "full";
  static final String PPO = "ppo";
  static final String DPO = "dpo";

  /** The page. */
  static final String REPORT = "report.html";

  private DemoRuns() {}

  /**
   * Returns the record of a run.
   *
   * @param algorithm of the alignment; null for fine-tuning
   * @param options of the trainer
   */
  static ObjectNode config(String method, String algorithm, ObjectNode options) {
    ObjectNode config = Json.mapper().createObjectNode();
    if (algorithm != null) {
      config.put("algorithm", algorithm);
    }
    config.put("method", method);
    config.put("model", "built-in T5");
    config.put("data", "built-in dialogues");
    config.setAll(options);
    return config;
  }

  /** Returns the record of an adapter's shape. */
  static ObjectNode lora(LoraConfig lora) {
    ObjectNode json = Json.mapper().createObjectNode();
    json.put("rank", lora.rank());
    json.put("alpha", Json.shortest(lora.alpha()));
    ArrayNode modules = json.putArray("target_modules");
    lora.targetModules().forEach(modules::add);
    return json;
  }
}
