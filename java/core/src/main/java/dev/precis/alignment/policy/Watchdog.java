package dev.precis.alignment.policy;

import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Map;
import java.util.Optional;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Checks each step of a run for a policy that diverges from its reference, updates that are mostly
 * skipped, and a reward that collapses.
 */
final class Watchdog {
  private static final int WINDOW = 5;

  private final PpoOptions options;
  private final Deque<Double> scores = new ArrayDeque<>();
  private double best = Double.NEGATIVE_INFINITY;

  Watchdog(PpoOptions options) {
    this.options = options;
  }

  /** Returns the reason why a step is wrong; empty if it is not. */
  Optional<String> check(Map<String, Double> statistics) {
    double kl = statistics.get("objective/kl");
    if (kl > options.effectiveKlLimit()) {
      return Optional.of(
          "the KL from the reference is %.2f, above the limit of %.2f: a larger --kl-coef or a smaller --learning-rate keeps it down"
              .formatted(kl, options.effectiveKlLimit()));
    }
    double tried = statistics.get("ppo/mini_batches_left_out");
    double ratio = statistics.get("ppo/policy/ratio");
    if (options.loss().ratioThreshold() > 0
        && tried > 0
        && ratio > options.loss().ratioThreshold()) {
      return Optional.of(
          "the mean ratio of new to old probability is %.2f, above %.2f: a smaller --learning-rate or fewer --ppo-epochs keeps it down"
              .formatted(ratio, options.loss().ratioThreshold()));
    }
    scores.addLast(statistics.get("env/reward_mean"));
    if (scores.size() > WINDOW) {
      scores.removeFirst();
    }
    if (scores.size() == WINDOW) {
      double mean = scores.stream().mapToDouble(Double::doubleValue).sum() / WINDOW;
      best = Math.max(best, mean);
      if (options.watchdog().scoreDrop() > 0 && mean < best - options.watchdog().scoreDrop()) {
        return Optional.of(
            "the mean score of %d steps fell to %.3f, from %.3f at its best: the policy has degraded"
                .formatted(WINDOW, mean, best));
      }
    }
    return Optional.empty();
  }

  void writeTo(ObjectNode json) {
    ArrayNode all = json.putArray("scores");
    scores.forEach(all::add);
    if (best > Double.NEGATIVE_INFINITY) {
      json.put("best", best);
    }
  }

  void read(JsonObject json) {
    scores.clear();
    JsonNode all = json.node().path("scores");
    if (!all.isArray() || all.size() > WINDOW || all.valueStream().anyMatch(s -> !s.isNumber())) {
      throw json.wrong("scores", "a list of at most " + WINDOW + " numbers");
    }
    for (JsonNode score : all) {
      scores.addLast(score.doubleValue());
    }
    best = json.number("best", Double.NEGATIVE_INFINITY);
  }

  /** Returns a copy of the state. */
  ObjectNode state() {
    ObjectNode json = Json.mapper().createObjectNode();
    writeTo(json);
    return json;
  }
}
