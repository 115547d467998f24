package dev.precis.cli.compare;

import dev.precis.cli.report.Result;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/** Compares runs: their results, their costs, and the options that differ. */
record RunComparison(List<ComparedRun> runs) {
  private static final String HASH = "_sha256";

  /** Stands for what a run does not have. */
  static final String NONE = "-";

  /** Returns the names of all results, in the order of the first run that has each. */
  Set<String> resultNames() {
    Set<String> names = new LinkedHashSet<>();
    runs.forEach(run -> run.outcome().results().forEach(result -> names.add(result.name())));
    return names;
  }

  /** Returns a result of each run; null where a run does not have it. */
  List<Result> results(String name) {
    List<Result> results = new ArrayList<>();
    for (ComparedRun run : runs) {
      results.add(
          run.outcome().results().stream()
              .filter(result -> result.name().equals(name))
              .findFirst()
              .orElse(null));
    }
    return results;
  }

  /** Returns the place of the best of several results; -1 where there is no single best one. */
  static int best(List<Result> results) {
    int leader = leader(results);
    int known = 0;
    int leading = 0;
    for (Result each : results) {
      if (isKnown(each)) {
        known++;
        leading += each.after() == results.get(leader).after() ? 1 : 0;
      }
    }
    return known > 1 && leading == 1 ? leader : -1;
  }

  /** Returns the place of the first result that none is better than; -1 where none is known. */
  static int leader(List<Result> results) {
    int leader = -1;
    for (int i = 0; i < results.size(); i++) {
      Result each = results.get(i);
      if (isKnown(each) && (leader < 0 || isBetter(each, results.get(leader)))) {
        leader = i;
      }
    }
    return leader;
  }

  private static boolean isKnown(Result result) {
    return result != null && !Double.isNaN(result.after());
  }

  private static boolean isBetter(Result result, Result other) {
    return result.higherIsBetter()
        ? result.after() > other.after()
        : result.after() < other.after();
  }

  /** Returns the costs of all runs, by name; "-" where a cost is unknown. */
  Map<String, List<String>> costs() {
    Set<String> names = new LinkedHashSet<>();
    runs.forEach(run -> names.addAll(run.outcome().cost().entries().keySet()));
    Map<String, List<String>> costs = new LinkedHashMap<>();
    for (String name : names) {
      costs.put(
          name,
          runs.stream()
              .map(run -> run.outcome().cost().entries().getOrDefault(name, NONE))
              .toList());
    }
    return costs;
  }

  /**
   * Returns the options that are not the same in all runs, by name. A hash is among them only where
   * what it is of has the same name everywhere.
   */
  Map<String, List<String>> differingOptions() {
    Set<String> names = new LinkedHashSet<>();
    runs.forEach(run -> names.addAll(run.options().keySet()));
    Map<String, List<String>> differing = new LinkedHashMap<>();
    for (String name : names) {
      boolean implied =
          name.endsWith(HASH) && differs(name.substring(0, name.length() - HASH.length()));
      if (differs(name) && !implied) {
        differing.put(
            name, runs.stream().map(run -> run.options().getOrDefault(name, NONE)).toList());
      }
    }
    return differing;
  }

  private boolean differs(String option) {
    String first = runs.getFirst().options().get(option);
    return runs.stream().anyMatch(run -> !Objects.equals(first, run.options().get(option)));
  }

  /** Returns a warning where runs were measured on different data; otherwise an empty text. */
  String warning() {
    boolean differ =
        List.of("data", "pairs", "feedback", "eval_data", "data_sha256", "eval_data_sha256")
            .stream()
            .anyMatch(this::differs);
    return differ
        ? "These runs have different data: results that were measured on them cannot be compared."
            + " 'precis evaluate' measures several models on the same dialogues."
        : "";
  }
}
