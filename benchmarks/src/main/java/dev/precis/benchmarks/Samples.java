package dev.precis.benchmarks;

import java.util.Map;
import java.util.TreeMap;
import tools.jackson.databind.JsonNode;

/** The times of one line of the table, and how often each occurred. */
final class Samples {
  private final TreeMap<Double, Long> counts = new TreeMap<>();
  private final String unit;
  private final Work work;

  Samples(String unit, Work work) {
    this.unit = unit;
    this.work = work;
  }

  /** Adds the samples of a run, from the metric of JMH's JSON. */
  void add(JsonNode metric) {
    boolean histogram = metric.has("rawDataHistogram");
    for (JsonNode fork : metric.get(histogram ? "rawDataHistogram" : "rawData")) {
      for (JsonNode iteration : fork) {
        if (histogram) {
          for (JsonNode bin : iteration) {
            counts.merge(bin.get(0).asDouble(), bin.get(1).asLong(), Long::sum);
          }
        } else {
          counts.merge(iteration.asDouble(), 1L, Long::sum);
        }
      }
    }
  }

  String unit() {
    return unit;
  }

  Work work() {
    return work;
  }

  long size() {
    return counts.values().stream().mapToLong(n -> n).sum();
  }

  /** Returns the smallest time that at least this fraction of the samples does not exceed. */
  double percentile(double fraction) {
    long rank = (long) Math.ceil(fraction * size());
    for (Map.Entry<Double, Long> each : counts.entrySet()) {
      rank -= each.getValue();
      if (rank <= 0) {
        return each.getKey();
      }
    }
    return counts.lastKey();
  }

  /** Returns the median in seconds. */
  double seconds() {
    return percentile(0.5)
        * switch (unit) {
          case "ns/op" -> 1e-9;
          case "us/op" -> 1e-6;
          case "ms/op" -> 1e-3;
          default ->
              throw new IllegalArgumentException(
                  unit + " is no unit of time: run JMH in mode sample or avgt.");
        };
  }

  /** Returns the rate at the median. */
  double rate() {
    return work.amount() / seconds();
  }
}
