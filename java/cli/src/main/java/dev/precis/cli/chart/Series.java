package dev.precis.cli.chart;

import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A curve.
 *
 * @param name in the legend
 * @param x ascending
 * @param y finite, as many as there are of {@code x}
 */
public record Series(String name, double[] x, double[] y) {
  private static final int BUCKETS = 300;
  private static final int SMOOTHED = 100;

  /** A fiftieth of a curve halves the weight of a point in the smoothed one. */
  private static final double HALF_LIFE = 0.02;

  /**
   * Takes a curve from the lines of a run's metrics.
   *
   * @param key lines without a finite number under it are passed over
   */
  public static Series of(String name, List<ObjectNode> lines, String key) {
    List<double[]> points = new ArrayList<>();
    for (ObjectNode line : lines) {
      JsonNode value = line.get(key);
      if (value != null && value.isNumber() && Double.isFinite(value.doubleValue())) {
        points.add(new double[] {line.get("step").doubleValue(), value.doubleValue()});
      }
    }
    return of(name, points);
  }

  private static Series of(String name, List<double[]> points) {
    double[] x = points.stream().mapToDouble(point -> point[0]).toArray();
    double[] y = points.stream().mapToDouble(point -> point[1]).toArray();
    return new Series(name, x, y);
  }

  /** Returns the number of points. */
  public int size() {
    return x.length;
  }

  /** Returns the last value. */
  public double last() {
    return y[y.length - 1];
  }

  /** Returns whether the curve is long and goes up and down, so that a smoothed one says more. */
  boolean isNoisy() {
    int turns = 0;
    for (int i = 2; i < size(); i++) {
      turns += (y[i] - y[i - 1]) * (y[i - 1] - y[i - 2]) < 0 ? 1 : 0;
    }
    return size() >= SMOOTHED && turns > size() / 4;
  }

  /**
   * Returns the smoothed curve: the mean of all values so far, whose weights halve with every
   * fiftieth of the curve.
   */
  Series smoothed() {
    double keep = Math.pow(0.5, 1 / (HALF_LIFE * size()));
    double[] smooth = new double[size()];
    double sum = 0;
    double weight = 0;
    for (int i = 0; i < size(); i++) {
      sum = keep * sum + y[i];
      weight = keep * weight + 1;
      smooth[i] = sum / weight;
    }
    return new Series(name, x, smooth);
  }

  /** Returns the curve with at most some hundred points, its peaks among them. */
  Series thinned() {
    if (size() <= 2 * BUCKETS) {
      return this;
    }
    List<double[]> points = new ArrayList<>();
    for (int bucket = 0; bucket < BUCKETS; bucket++) {
      int from = (int) ((long) bucket * size() / BUCKETS);
      int to = (int) ((long) (bucket + 1) * size() / BUCKETS);
      int low = from;
      int high = from;
      for (int i = from; i < to; i++) {
        low = y[i] < y[low] ? i : low;
        high = y[i] > y[high] ? i : high;
      }
      points.add(new double[] {x[Math.min(low, high)], y[Math.min(low, high)]});
      if (low != high) {
        points.add(new double[] {x[Math.max(low, high)], y[Math.max(low, high)]});
      }
    }
    return of(name, points);
  }
}
