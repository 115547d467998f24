package dev.precis.cli.report;

import dev.precis.cli.common.MemoryFormat;
import dev.precis.cli.page.Numbers;
import dev.precis.io.JsonObject;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The cost of a run. Numbers that are unknown are 0, the divergence NaN.
 *
 * @param steps optimizer steps
 * @param seconds time of the steps, all processes of the run together
 * @param memory most bytes that the last process had in memory
 * @param deviceMemory bytes that the plan of the run has on the GPU
 * @param trained parameters that were trained
 * @param parameters all parameters
 * @param kl KL divergence from the reference policy at the end, in nats per response
 */
public record Cost(
    long steps,
    double seconds,
    long memory,
    long deviceMemory,
    long trained,
    long parameters,
    double kl) {
  /** The names under which runs report their divergence from the reference. */
  private static final List<String> KL = List.of("objective/kl", "kl");

  /** Computes from a run's metrics what they tell. */
  static Cost of(List<ObjectNode> metrics) {
    long steps = 0;
    double seconds = 0;
    double kl = Double.NaN;
    for (ObjectNode line : metrics) {
      steps = Math.max(steps, line.get("step").longValue());
      double perSecond = number(line, "tokens_per_second", 0);
      seconds += perSecond > 0 ? number(line, "tokens", 0) / perSecond : 0;
      seconds += number(line, "time/ppo/total", 0);
      for (String key : KL) {
        kl = number(line, key, kl);
      }
    }
    return new Cost(steps, seconds, 0, 0, 0, 0, kl);
  }

  private static double number(ObjectNode line, String key, double otherwise) {
    JsonNode value = line.get(key);
    return value != null && value.isNumber() && Double.isFinite(value.doubleValue())
        ? value.doubleValue()
        : otherwise;
  }

  /** Returns the cost with the memory of this process. */
  Cost withMemory(long memory, long deviceMemory) {
    return new Cost(steps, seconds, memory, deviceMemory, trained, parameters, kl);
  }

  /** Returns the cost with numbers of parameters. */
  Cost withParameters(long trained, long parameters) {
    return new Cost(steps, seconds, memory, deviceMemory, trained, parameters, kl);
  }

  /** Returns what is known, by name, for people. */
  public Map<String, String> entries() {
    Map<String, String> all = new LinkedHashMap<>();
    if (steps > 0) {
      all.put("Steps", "%,d".formatted(steps));
    }
    if (seconds > 0) {
      all.put("Time of the steps", Numbers.time(seconds));
    }
    if (memory > 0) {
      all.put("Peak memory", MemoryFormat.of(memory));
    }
    if (deviceMemory > 0) {
      all.put("GPU memory", MemoryFormat.of(deviceMemory));
    }
    if (trained > 0) {
      all.put("Parameters trained", "%,d".formatted(trained));
    }
    if (parameters > 0) {
      all.put("All parameters", "%,d".formatted(parameters));
    }
    if (!Double.isNaN(kl)) {
      all.put("KL from the reference, nats", Numbers.of(kl));
    }
    return all;
  }

  /** Writes what is known. */
  ObjectNode toJson(ObjectNode json) {
    json.put("steps", steps);
    json.put("seconds", seconds);
    json.put("memory_bytes", memory);
    json.put("device_memory_bytes", deviceMemory);
    json.put("trained_parameters", trained);
    json.put("parameters", parameters);
    if (!Double.isNaN(kl)) {
      json.put("kl", kl);
    }
    return json;
  }

  /** Reads what {@link #toJson} wrote. */
  static Cost of(JsonObject json) {
    return new Cost(
        whole(json, "steps"),
        json.number("seconds", 0),
        whole(json, "memory_bytes"),
        whole(json, "device_memory_bytes"),
        whole(json, "trained_parameters"),
        whole(json, "parameters"),
        json.number("kl", Double.NaN));
  }

  private static long whole(JsonObject json, String key) {
    return json.has(key) ? json.whole(key, 0, Long.MAX_VALUE) : 0;
  }
}
