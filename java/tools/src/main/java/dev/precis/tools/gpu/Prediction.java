package dev.precis.tools.gpu;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A number that the model predicts, beside its target.
 *
 * @param name of the target
 * @param value predicted
 * @param target that it is held to
 * @param unit of both
 * @param atLeast true: the target is a lower bound; false: an upper one
 * @param costs the launches that it is made of, the most expensive kind first
 */
record Prediction(
    String name, double value, double target, String unit, boolean atLeast, List<Cost> costs) {
  /**
   * All launches of one kernel with one grid.
   *
   * @param launch in words
   * @param count how many there are
   * @param microseconds of all of them, with the gaps
   * @param bound what limits them
   */
  record Cost(String launch, int count, double microseconds, TimingModel.Bound bound) {}

  /** Tells whether the prediction meets the target. */
  boolean met() {
    return atLeast ? value >= target : value <= target;
  }

  /** Returns the line of the table. */
  String line() {
    return "%-32s %9.2f   %s %7.2f %-9s %s"
        .formatted(name, value, atLeast ? ">=" : "<=", target, unit, met() ? "met" : "MISSED");
  }

  /**
   * Adds up the launches by kernel and grid.
   *
   * @param launches of a case
   * @param works of each, see {@link Works#of}
   * @param inGraph whether they are replayed as a graph
   */
  static List<Cost> costs(
      TimingModel model, List<Launch> launches, List<Work> works, boolean inGraph) {
    // Launches of one grid may have unequal work: the bound is that of the longest.
    Map<String, Cost> costs = new LinkedHashMap<>();
    Map<String, Double> longest = new LinkedHashMap<>();
    for (int i = 0; i < launches.size(); i++) {
      Launch launch = launches.get(i);
      TimingModel.Time time = model.time(launch, works.get(i), inGraph);
      boolean longer = time.total() > longest.getOrDefault(launch.text(), 0.0);
      if (longer) {
        longest.put(launch.text(), time.total());
      }
      costs.merge(
          launch.text(),
          new Cost(launch.text(), 1, time.total(), time.bound()),
          (a, b) ->
              new Cost(
                  a.launch(),
                  a.count() + 1,
                  a.microseconds() + b.microseconds(),
                  longer ? b.bound() : a.bound()));
    }
    List<Cost> sorted = new ArrayList<>(costs.values());
    sorted.sort(Comparator.comparingDouble(Cost::microseconds).reversed());
    return sorted;
  }

  /** Returns the microseconds of all launches. */
  static double sum(List<Cost> costs) {
    return costs.stream().mapToDouble(Cost::microseconds).sum();
  }
}
