package dev.precis.alignment.policy;

import dev.precis.io.JsonObject;
import tools.jackson.databind.node.ObjectNode;

/** Mean and deviation of all scores so far, batch after batch (Chan et al. 1979). */
public final class RunningMoments {
  private double mean;
  private double deviation = 1;
  private double variance = 1;
  private double count = 1e-24;

  /** Takes a batch in. */
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

  public double mean() {
    return mean;
  }

  /** The unbiased standard deviation. */
  public double deviation() {
    return deviation;
  }

  /** To be saved. */
  void writeTo(ObjectNode json) {
    json.put("mean", mean);
    json.put("variance", variance);
    json.put("deviation", deviation);
    json.put("count", count);
  }

  /** Goes on where a run was. */
  void read(JsonObject json) {
    mean = json.number("mean");
    variance = json.number("variance");
    deviation = json.number("deviation");
    count = json.number("count");
  }
}
