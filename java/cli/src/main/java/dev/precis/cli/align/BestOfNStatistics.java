package dev.precis.cli.align;

import tools.jackson.databind.JsonNode;

/** Adds up the lines of a file of best-of-n sampling. */
final class BestOfNStatistics {
  private int dialogues;
  private int pairs;
  private long samples;
  private double ofSamples;
  private double ofChosen;

  /** Adds a line, which was written or kept. */
  void add(JsonNode line) {
    dialogues++;
    pairs += line.has("rejected") ? 1 : 0;
    ofChosen += line.path("reward").asDouble(0);
    for (JsonNode reward : line.path("rewards")) {
      samples++;
      ofSamples += reward.asDouble(0);
    }
  }

  /** Returns the number of dialogues. */
  int dialogues() {
    return dialogues;
  }

  /** Returns how many of them have a rejected sample beside the chosen one. */
  int pairs() {
    return pairs;
  }

  /** Returns the mean reward of all samples; NaN of none. */
  double meanOfSamples() {
    return ofSamples / samples;
  }

  /** Returns the mean reward of the chosen samples; NaN of none. */
  double meanOfChosen() {
    return ofChosen / dialogues;
  }
}
