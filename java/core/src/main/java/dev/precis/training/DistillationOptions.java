package dev.precis.training;

import static dev.precis.io.InvalidInputException.require;

import dev.precis.io.Json;
import java.io.Serializable;
import tools.jackson.databind.node.ObjectNode;

/**
 * Options of generalized knowledge distillation (Agarwal et al. 2023). The loss of a target's token
 * is {@code (1 - labelWeight) divergence + labelWeight crossEntropy}, of a token that the student
 * has sampled {@code (1 - labelWeight) divergence}.
 *
 * @param beta of the generalized Jensen-Shannon divergence, in [0, 1]: 0 is the forward
 *     Kullback-Leibler divergence KL(teacher || student), 1 the reverse one
 * @param temperature divides the logits of both models in the divergence, which is not multiplied
 *     by its square
 * @param onPolicy the probability, in [0, 1], with which the student samples an example's target
 *     itself: lambda
 * @param labelWeight weight of the targets' cross-entropy, in [0, 1]; the divergence has the rest
 * @param maxNewTokens most tokens of a target that the student samples
 */
public record DistillationOptions(
    float beta, float temperature, float onPolicy, float labelWeight, int maxNewTokens)
    implements Serializable {

  /** TRL's defaults of beta and the length; off policy, at temperature 1, by the teacher alone. */
  public static final DistillationOptions DEFAULT = new DistillationOptions(0.5f, 1, 0, 0, 128);

  /** Checks the ranges. */
  public DistillationOptions {
    require(beta >= 0 && beta <= 1, "beta", "between 0 and 1", beta);
    require(
        temperature >= 0.01f && temperature <= 100,
        "temperature",
        "between 0.01 and 100",
        temperature);
    require(onPolicy >= 0 && onPolicy <= 1, "on-policy", "between 0 and 1", onPolicy);
    require(labelWeight >= 0 && labelWeight <= 1, "label-weight", "between 0 and 1", labelWeight);
    require(maxNewTokens >= 1, "max-new-tokens", "1 or more", maxNewTokens);
  }

  /** Returns every option that a run's numbers depend on, under its key in config.json. */
  public ObjectNode toJson() {
    ObjectNode json = Json.mapper().createObjectNode();
    json.put("beta", Json.shortest(beta));
    json.put("temperature", Json.shortest(temperature));
    json.put("on_policy", Json.shortest(onPolicy));
    json.put("label_weight", Json.shortest(labelWeight));
    if (onPolicy > 0) {
      json.put("max_new_tokens", maxNewTokens);
    }
    return json;
  }
}
