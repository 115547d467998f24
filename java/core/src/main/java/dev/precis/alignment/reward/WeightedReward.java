package dev.precis.alignment.reward;

import dev.precis.io.InvalidInputException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Weighted sum of rewards. A score's terms are the unweighted values of the parts. */
public final class WeightedReward implements Reward {
  /**
   * Part of the sum.
   *
   * @param name name of the term in the log
   */
  public record Part(String name, double weight, Reward reward) {}

  private final List<Part> parts;

  /**
   * Creates a sum, which owns its parts.
   *
   * @throws InvalidInputException where there is no part, two have the same name, or a weight is
   *     not finite
   */
  public WeightedReward(List<Part> parts) {
    this.parts = List.copyOf(parts);
    if (parts.isEmpty()) {
      throw new InvalidInputException("A weighted reward needs a part.");
    }
    Set<String> names = new HashSet<>();
    for (Part part : parts) {
      if (!names.add(part.name)) {
        throw new InvalidInputException(
            "Two parts of the reward are named '" + part.name + "': give them names of their own");
      }
      if (!Double.isFinite(part.weight)) {
        throw new InvalidInputException(
            "The weight of the reward's part '" + part.name + "' is " + part.weight);
      }
    }
  }

  /** Returns the parts, in the order of the terms. */
  public List<Part> parts() {
    return parts;
  }

  @Override
  public List<Score> score(List<Completion> completions) {
    List<List<Score>> scores = new ArrayList<>();
    for (Part part : parts) {
      scores.add(ScoreValidation.complete(part.reward.score(completions), completions));
    }
    List<Score> sums = new ArrayList<>();
    for (int i = 0; i < completions.size(); i++) {
      double sum = 0;
      Map<String, Double> terms = new LinkedHashMap<>();
      for (int p = 0; p < parts.size(); p++) {
        double value = scores.get(p).get(i).value();
        terms.put(parts.get(p).name, value);
        sum += parts.get(p).weight * value;
      }
      sums.add(new Score(sum, terms));
    }
    return sums;
  }

  /**
   * Returns the sanity checks of the parts with weighted scores, so that a label with a negative
   * weight is checked in the right direction. A part of weight 0 is only logged and has none.
   */
  @Override
  public List<Probe> probes() {
    List<Probe> all = new ArrayList<>();
    for (Part part : parts) {
      for (Probe probe : part.weight == 0 ? List.<Probe>of() : part.reward.probes()) {
        all.add(
            new Probe(
                part.name,
                probe.better(),
                part.weight * probe.value(),
                probe.worse(),
                part.weight * probe.worseValue()));
      }
    }
    return all;
  }

  @Override
  public void close() {
    parts.forEach(part -> part.reward.close());
  }
}
