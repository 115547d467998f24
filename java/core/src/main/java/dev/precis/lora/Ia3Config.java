package dev.precis.lora;

import dev.precis.io.InvalidInputException;
import java.io.Serializable;
import java.util.List;

/**
 * The layers that IA3 (Liu et al. 2022) scales, by PEFT's rules.
 *
 * @param targetModules names of layers, such as {@code k} and {@code v}, each of which stands for
 *     every layer whose name is that or ends with a dot and that
 * @param feedForwardModules those of them whose inputs are scaled rather than their outputs
 */
public record Ia3Config(List<String> targetModules, List<String> feedForwardModules)
    implements Serializable {
  /** The layers of the paper: keys, values, and what the feed-forward layer's output reads. */
  public static final Ia3Config T5 = new Ia3Config(List.of("k", "v", "wo"), List.of("wo"));

  /** Checks the names. */
  public Ia3Config {
    targetModules = List.copyOf(targetModules);
    feedForwardModules = List.copyOf(feedForwardModules);
    if (targetModules.isEmpty()) {
      throw new InvalidInputException("No target modules are named: k,v,wo is usual for IA3");
    }
    for (String name : feedForwardModules) {
      if (!targetModules.contains(name)) {
        throw new InvalidInputException(
            "The feed-forward module %s is not one of the target modules %s"
                .formatted(name, String.join(",", targetModules)));
      }
    }
  }

  /** Returns whether a layer is scaled. */
  public boolean targets(String module) {
    return matches(targetModules, module);
  }

  /** Returns whether a layer's inputs are scaled. */
  public boolean scalesInput(String module) {
    return targets(module) && matches(feedForwardModules, module);
  }

  private static boolean matches(List<String> names, String module) {
    return names.stream().anyMatch(name -> module.equals(name) || module.endsWith("." + name));
  }
}
