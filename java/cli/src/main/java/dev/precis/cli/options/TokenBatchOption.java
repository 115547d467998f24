package dev.precis.cli.options;

import dev.precis.cli.common.BaseCommand;
import picocli.CommandLine.Option;

/** {@code --max-tokens-per-batch}. */
public final class TokenBatchOption {
  @Option(
      names = "--max-tokens-per-batch",
      paramLabel = "N",
      description =
          "Fill each batch with as many examples of similar length as have N tokens together,"
              + " sources and targets, in place of a number of examples: batches then take about"
              + " the same time and memory, whatever the lengths.")
  private Integer tokens;

  /** Most tokens of a batch; 0: batches have a number of examples. */
  public int tokens() {
    return tokens == null ? 0 : tokens;
  }

  /**
   * Refuses a batch of no token, or of a number of examples too.
   *
   * @param examples the option of that number
   */
  public void check(BaseCommand command, String examples) {
    if (tokens == null) {
      return;
    }
    command.requireAtLeast(1, "--max-tokens-per-batch", tokens);
    if (command.given(examples)) {
      throw command.usage(
          "--max-tokens-per-batch takes the place of " + examples + ": give one of them");
    }
  }
}
