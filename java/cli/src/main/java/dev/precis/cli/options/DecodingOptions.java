package dev.precis.cli.options;

import picocli.CommandLine.Option;

/** Declares the decoding options; each command takes the parts that it needs. */
public final class DecodingOptions {
  private DecodingOptions() {}

  /** {@code --max-new-tokens}. */
  public static class MaxNewTokens {
    @Option(
        names = "--max-new-tokens",
        paramLabel = "N",
        defaultValue = "200",
        description = "Maximum length of a generated text, in tokens (default: ${DEFAULT-VALUE}).")
    private int maxNewTokens;

    public final int maxNewTokens() {
      return maxNewTokens;
    }
  }

  /** {@code --max-new-tokens} and {@code --min-new-tokens}. */
  public static class NewTokens extends MaxNewTokens {
    @Option(
        names = "--min-new-tokens",
        paramLabel = "N",
        defaultValue = "0",
        description = "Minimum length of a generated text, in tokens (default: ${DEFAULT-VALUE}).")
    private int minNewTokens;

    public final int minNewTokens() {
      return minNewTokens;
    }
  }

  /** {@code --num-beams}. */
  public static final class NumBeams {
    @Option(
        names = "--num-beams",
        paramLabel = "N",
        defaultValue = "1",
        description = "Beams of beam search; 1: greedy decoding (default: ${DEFAULT-VALUE}).")
    private int numBeams;

    public int numBeams() {
      return numBeams;
    }
  }

  /** Declares the options of sampling and of the number of tokens. */
  public static class Sampling extends NewTokens {
    @Option(
        names = "--temperature",
        paramLabel = "X",
        defaultValue = "1",
        description =
            "Sampling: below 1 sharpens the distribution, above 1 flattens it; in align other"
                + " values than 1 bias the KL (default: ${DEFAULT-VALUE}).")
    private float temperature;

    @Option(
        names = "--top-k",
        paramLabel = "K",
        defaultValue = "50",
        description = "Sampling: only the K likeliest tokens; 0: all (default: ${DEFAULT-VALUE}).")
    private int topK;

    @Option(
        names = "--top-p",
        paramLabel = "P",
        defaultValue = "1",
        description =
            "Sampling: only the likeliest tokens whose probabilities sum to P (default:"
                + " ${DEFAULT-VALUE}).")
    private float topP;

    public final float temperature() {
      return temperature;
    }

    public final int topK() {
      return topK;
    }

    public final float topP() {
      return topP;
    }
  }
}
