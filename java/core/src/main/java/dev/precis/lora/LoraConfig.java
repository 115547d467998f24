package dev.precis.lora;

import dev.precis.io.BoundedRegex;
import dev.precis.io.InvalidInputException;
import java.io.Serializable;
import java.util.List;

/**
 * The kind of adapters to train, by PEFT's rules.
 *
 * @param rank of the update, r
 * @param alpha the update is scaled by alpha / rank
 * @param dropout of what A reads, while training
 * @param targetModules names of layers, such as {@code q} and {@code v}, each of which stands for
 *     every layer whose name is that or ends with a dot and that; or one regular expression that
 *     matches whole names; or {@code all-linear}: all but the output layer
 * @param rankStabilised scaling alpha / sqrt(rank) (Kalajdzievski 2023)
 * @param modulesToSave ends of names of modules that are trained whole and saved with the adapter:
 *     PEFT's {@code modules_to_save}, by which {@code layer_norm} is {@code final_layer_norm} too
 */
public record LoraConfig(
    int rank,
    float alpha,
    float dropout,
    List<String> targetModules,
    boolean rankStabilised,
    List<String> modulesToSave)
    implements Serializable {
  /** Ranks beyond it cost more than the layer they adapt. */
  public static final int MAX_RANK = 4096;

  /** Checks the numbers. */
  public LoraConfig {
    targetModules = List.copyOf(targetModules);
    modulesToSave = List.copyOf(modulesToSave);
    if (rank < 1 || rank > MAX_RANK) {
      throw new InvalidInputException("The rank must be 1 to " + MAX_RANK + ", not " + rank);
    }
    if (!(alpha > 0) || Float.isInfinite(alpha)) {
      throw new InvalidInputException("lora-alpha must be above 0, not " + alpha);
    }
    if (!(dropout >= 0 && dropout < 1)) {
      throw new InvalidInputException(
          "lora-dropout must be at least 0 and below 1, not " + dropout);
    }
    if (targetModules.isEmpty()) {
      throw new InvalidInputException("No target modules are named: q,v is usual");
    }
  }

  /** Makes the configuration of an adapter beside which nothing is trained whole. */
  public LoraConfig(
      int rank, float alpha, float dropout, List<String> targetModules, boolean rankStabilised) {
    this(rank, alpha, dropout, targetModules, rankStabilised, List.of());
  }

  /** Returns whether a module is to be trained whole. */
  public boolean saves(String module) {
    return modulesToSave.stream().anyMatch(module::endsWith);
  }

  /** Returns the factor of the update. */
  public float scaling() {
    return (float) (alpha / (rankStabilised ? Math.sqrt(rank) : rank));
  }

  /** Returns whether a layer is to be adapted. */
  public boolean targets(String module) {
    if (targetModules.size() == 1) {
      String only = targetModules.getFirst();
      if (only.equals("all-linear")) {
        // Tied to the embedding, the output layer bears its name.
        return !module.equals("lm_head") && !module.equals("shared");
      }
      // A bare name is no different as an expression, unless it has signs of one.
      if (!only.matches("[A-Za-z0-9_.]+")) {
        return BoundedRegex.matches(only, module, "target-modules " + only);
      }
    }
    return targetModules.stream()
        .anyMatch(target -> module.equals(target) || module.endsWith("." + target));
  }
}
