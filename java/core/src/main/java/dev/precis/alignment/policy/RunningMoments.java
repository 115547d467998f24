package dev.precis.alignment.policy;

import dev.precis.io.JsonObject;
import tools.jackson.databind.node.ObjectNode;

/** Mean and standard deviation of all scores so far, updated batch by batch (Chan et al. 1979). */
public final class RunningMoments {
  private double mean;
  private double deviation = 1;
  private double variance = 1;
  private double count = 1e-24;

  /** Updates the moments with a batch. */
  public void update(double[] batch) {
    double batchMean = 0;
    for (double value : batch) {
      batchMean += value / batch.length;
    }
    double batchVariance = 0;
    for (double value : batch) {
      batchVariance += (value - batchMean) * (value - batchMean) / batch.length;
    }
    double delta = batchMean - mean;
    double total = count + batch.length;
    double squares =
        variance * count
            + batchVariance * batch.length
            + delta * delta * count * batch.length / total;
    mean += delta * batch.length / total;
    variance = squares / total;
    deviation = total > 1 ? Math.sqrt(variance * total / (total - 1)) : 1;
    count = total;
  }

  /**
   * Returns the scores as they are trained. Scaling takes them into the moments first:
   *
   * <pre>
   *   score' = clip((score - mean) / (deviation + epsilon), -scoreClip, scoreClip)
   * </pre>
   */
  double[] normalized(double[] scores, RewardShaping options) {
    double[] normalized = scores.clone();
    if (options.scaleScores()) {
      update(scores);
      double divisor = deviation + Math.ulp(1f);
      for (int i = 0; i < normalized.length; i++) {
        normalized[i] = (scores[i] - (options.centerScores() ? mean : 0)) / divisor;
      }
    }
    if (options.scoreClip() > 0) {
      for (int i = 0; i < normalized.length; i++) {
        normalized[i] = Math.clamp(normalized[i], -options.scoreClip(), options.scoreClip());
      }
    }
    return normalized;
  }

  /** Returns the mean of all scores so far. */
  public double mean() {
    return mean;
  }

  /** Returns the unbiased standard deviation of all scores so far. */
  public double deviation() {
    return deviation;
  }

  /** Writes the moments into a checkpoint. */
  void writeTo(ObjectNode json) {
    json.put("mean", mean);
    json.put("variance", variance);
    json.put("deviation", deviation);
    json.put("count", count);
  }

  /** Reads the moments from a checkpoint. */
  void read(JsonObject json) {
    mean = json.number("mean");
    variance = positive(json, "variance");
    deviation = positive(json, "deviation");
    count = positive(json, "count");
  }

  private static double positive(JsonObject json, String key) {
    double value = json.number(key);
    if (value < 0) {
      throw json.wrong(key, "0 or more");
    }
    return value;
  }
}
