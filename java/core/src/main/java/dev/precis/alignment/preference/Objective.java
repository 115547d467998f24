package dev.precis.alignment.preference;

import dev.precis.alignment.preference.PreferenceLoss.Answer;
import dev.precis.io.InvalidInputException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** What is learnt of items: how many of their answers take part, and what they cost. */
sealed interface Objective {
  boolean needsReference();

  /** How many answers of an item have a gradient: the first ones. */
  int trainedCompletions();

  /** Whether a step begins with how far the policy is from the reference on the others. */
  boolean measuresDivergence();

  /**
   * What an item costs.
   *
   * @param policy the sums of the answers that are learnt from
   * @param reference likewise; null where none is needed
   * @param divergence of the step; 0 where it is not measured
   * @return the cost's derivatives with respect to policy
   */
  double[] cost(
      TokenizedPair item,
      double[] policy,
      double[] reference,
      double divergence,
      PreferenceMetrics metrics);

  /** Refuses what nothing can be learnt from. */
  private static void check(int[] source, int[][] answers, String what) {
    if (source.length == 0 || answers[0].length == 0 || answers[1].length == 0) {
      throw new InvalidInputException(
          what + " has an empty " + (source.length == 0 ? "prompt" : "answer"));
    }
  }

  /** Pairs: the first answer is the chosen one. */
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

  /** Judged answers; beside each an answer to another prompt, which measures the divergence. */
  record Unpaired(UnpairedLoss loss) implements Objective {
    /**
     * The other answer is that of the next example with another prompt, the last one's that of the
     * first: a matter of the data alone, whatever batch an example comes to be in.
     */
    static List<TokenizedPair> items(List<FeedbackExample> examples, int firstIndex) {
      List<TokenizedPair> items = new ArrayList<>();
      int n = examples.size();
      // Where the run of equal prompts that an example is in ends; prompts often follow themselves.
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
