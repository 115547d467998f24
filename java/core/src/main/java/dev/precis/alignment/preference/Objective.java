package dev.precis.alignment.preference;

import dev.precis.alignment.preference.PreferenceLoss.Answer;
import dev.precis.io.InvalidInputException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Training objective of preference optimization: the loss of an item and its gradients. */
sealed interface Objective {
  boolean needsReference();

  /** Returns the number of an item's completions that have a gradient: the first ones. */
  int trainedCompletions();

  /**
   * Returns true if each step first estimates the policy's KL from the reference on the other
   * completions.
   */
  boolean measuresDivergence();

  /**
   * Computes the loss of an item and adds it to the metrics.
   *
   * @param policy summed log-probabilities of the trained completions
   * @param reference the reference's, likewise; null if none is needed
   * @param divergence KL estimate of the step; 0 if it is not estimated
   * @return the loss's derivatives with respect to policy
   */
  double[] cost(
      TokenizedPair item,
      double[] policy,
      double[] reference,
      double divergence,
      PreferenceMetrics metrics);

  /** Throws if the prompt or a completion is empty. */
  private static void check(int[] source, int[][] answers, String what) {
    if (source.length == 0 || answers[0].length == 0 || answers[1].length == 0) {
      throw new InvalidInputException(
          what + " has an empty " + (source.length == 0 ? "prompt" : "answer"));
    }
  }

  /** Loss of pairs: the first completion is the chosen one. */
  record Pairs(PreferenceLoss loss) implements Objective {
    static List<TokenizedPair> items(List<PreferenceExample> examples, int firstIndex) {
      List<TokenizedPair> items = new ArrayList<>();
      for (PreferenceExample each : examples) {
        int[][] answers = {each.chosen(), each.rejected()};
        check(each.source(), answers, "Pair " + (items.size() + 1));
        if (Arrays.equals(answers[0], answers[1])) {
          throw new InvalidInputException(
              "Both answers of pair " + (items.size() + 1) + " are the same: nothing is preferred");
        }
        items.add(new TokenizedPair(firstIndex + items.size(), each.source(), answers, true));
      }
      return items;
    }

    @Override
    public boolean needsReference() {
      return loss.kind().needsReference();
    }

    @Override
    public int trainedCompletions() {
      return 2;
    }

    @Override
    public boolean measuresDivergence() {
      return false;
    }

    @Override
    public double[] cost(
        TokenizedPair item,
        double[] policy,
        double[] reference,
        double divergence,
        PreferenceMetrics metrics) {
      int chosenTokens = item.answers()[0].length;
      int rejectedTokens = item.answers()[1].length;
      PreferenceLoss.Cost cost =
          loss.of(
              new Answer(policy[0], reference == null ? 0 : reference[0], chosenTokens),
              new Answer(policy[1], reference == null ? 0 : reference[1], rejectedTokens));
      boolean mean = loss.kind().averages();
      metrics.cost(cost.loss());
      metrics.chosen(cost.chosenReward(), policy[0] / (mean ? chosenTokens : 1));
      metrics.rejected(cost.rejectedReward(), policy[1] / (mean ? rejectedTokens : 1));
      metrics.pair(cost.right());
      return new double[] {cost.chosenGradient(), cost.rejectedGradient()};
    }
  }

  /**
   * KTO's loss of single completions, each beside a completion of another prompt, on which the KL
   * is estimated.
   */
  record Unpaired(UnpairedLoss loss) implements Objective {
    /**
     * Pairs each example with the completion of the next example that has another prompt, wrapping
     * around at the end. The pairs depend on the data alone, not on the batches.
     */
    static List<TokenizedPair> items(List<FeedbackExample> examples, int firstIndex) {
      List<TokenizedPair> items = new ArrayList<>();
      int n = examples.size();
      // Index of the next example with another prompt; equal prompts often follow each other.
      int other = 0;
      for (int i = 0; i < n; i++) {
        other = Math.max(other, i + 1);
        while (Arrays.equals(examples.get(i).source(), examples.get(other % n).source())) {
          if (++other - i >= n) {
            throw new InvalidInputException(
                "All examples have the same prompt: how far the policy moves is measured with"
                    + " answers to other prompts");
          }
        }
        int[][] answers = {examples.get(i).completion(), examples.get(other % n).completion()};
        check(examples.get(i).source(), answers, "Example " + (i + 1));
        items.add(
            new TokenizedPair(
                firstIndex + i, examples.get(i).source(), answers, examples.get(i).desirable()));
      }
      return items;
    }

    @Override
    public boolean needsReference() {
      return true;
    }

    @Override
    public int trainedCompletions() {
      return 1;
    }

    @Override
    public boolean measuresDivergence() {
      return true;
    }

    @Override
    public double[] cost(
        TokenizedPair item,
        double[] policy,
        double[] reference,
        double divergence,
        PreferenceMetrics metrics) {
      UnpairedLoss.Cost cost = loss.of(item.desirable(), policy[0], reference[0], divergence);
      metrics.cost(cost.loss());
      if (item.desirable()) {
        metrics.chosen(cost.reward(), policy[0]);
      } else {
        metrics.rejected(cost.reward(), policy[0]);
      }
      metrics.feedback(item.desirable(), cost.reward());
      metrics.divergence(divergence);
      return new double[] {cost.gradient()};
    }
  }
}
