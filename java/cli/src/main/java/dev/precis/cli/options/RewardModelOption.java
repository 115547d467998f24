package dev.precis.cli.options;

import picocli.CommandLine.Option;

/** {@code --reward-model}. */
public class RewardModelOption {
  @Option(
      names = "--reward-model",
      required = true,
      paramLabel = "R",
      description =
          "A classifier: a folder, or a hub ID that was downloaded. It reads text with its"
              + " own tokenizer.")
  private String rewardModel;

  /** The name as given; null where none was. */
  public final String rewardModel() {
    return rewardModel;
  }
}
