package dev.precis.cli.options;

import dev.precis.cli.common.BaseCommand;
import dev.precis.evaluation.Rouge;
import java.util.Arrays;
import picocli.CommandLine.Option;

/** Declares the metric that the evaluations of a training are compared by. */
public final class EvalMetricOptions {
  private static final String LOSS = "loss";

  @Option(
      names = "--eval-metric",
      paramLabel = "NAME",
      defaultValue = LOSS,
      description =
          "The metric that the best weights are kept by, and that --early-stopping-patience"
              + " watches: loss, rouge1, rouge2, rougeL or rougeLsum; rouge is rougeL. ROUGE needs"
              + " --eval-data, whose dialogues are summarized by greedy decoding in each evaluation"
              + " (default: ${DEFAULT-VALUE}).")
  private String metric;

  @Option(
      names = "--eval-max-new-tokens",
      paramLabel = "N",
      defaultValue = "128",
      description =
          "With ROUGE: the most tokens of a summary in an evaluation (default: ${DEFAULT-VALUE}).")
  private int maxNewTokens;

  @Option(
      names = "--eval-limit",
      paramLabel = "N",
      defaultValue = "200",
      description =
          "With ROUGE: summarize the first N dialogues of --eval-data; 0: all (default:"
              + " ${DEFAULT-VALUE}). The loss is always of all.")
  private int limit;

  /** Returns the metric of ROUGE; null where evaluations are compared by their loss. */
  public Rouge.Metric rouge(BaseCommand command) {
    if (metric.equals(LOSS)) {
      return null;
    }
    String id = metric.equals("rouge") ? Rouge.Metric.ROUGE_L.id() : metric;
    return Arrays.stream(Rouge.Metric.values())
        .filter(each -> each.id().equals(id))
        .findFirst()
        .orElseThrow(
            () ->
                command.usage(
                    "--eval-metric must be loss, rouge1, rouge2, rougeL or rougeLsum, not '"
                        + metric
                        + "'"));
  }

  /** Returns the most tokens of a summary. */
  public int maxNewTokens() {
    return maxNewTokens;
  }

  /** Returns the most dialogues that are summarized; 0: all. */
  public int limit() {
    return limit;
  }

  /**
   * Refuses ROUGE without evaluation data, and options of ROUGE without it.
   *
   * @param evaluates whether there is data to evaluate on
   */
  public void check(BaseCommand command, boolean evaluates) {
    if (rouge(command) != null) {
      if (!evaluates) {
        throw command.usage("--eval-metric " + metric + " needs --eval-data");
      }
      command.requireAtLeast(1, "--eval-max-new-tokens", maxNewTokens);
      command.requireAtLeast(0, "--eval-limit", limit);
      return;
    }
    for (String option : new String[] {"--eval-max-new-tokens", "--eval-limit"}) {
      if (command.given(option)) {
        throw command.usage(option + " needs --eval-metric rouge");
      }
    }
  }
}
