package dev.precis.cli.align;

import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.options.SamplesOption;
import picocli.CommandLine.Option;

/** Declares the rounds of sampling pairs and training on them. */
final class RoundOptions extends SamplesOption {
  /** More are a mistake in typing: each takes a folder, and hours. */
  private static final int MOST = 1000;

  @Option(
      names = "--rounds",
      paramLabel = "R",
      description = {
        "Instead of --pairs: in each of R rounds the policy samples --samples responses to each"
            + " dialogue of --data, the reward makes pairs of the best and the worst one, as"
            + " precis best-of-n does, and the policy is trained on them (--epochs or --max-steps"
            + " are those of a round). It continues from the round before, whose result is also"
            + " the reference.",
        "RUN/round-K/pairs.jsonl and RUN/round-K/run hold the pairs and the run of a round."
      })
  private Integer rounds;

  /** Returns whether there are rounds. */
  boolean given() {
    return rounds != null;
  }

  /** The number of rounds. */
  int rounds() {
    return rounds;
  }

  /** Refuses numbers that are out of range. */
  void check(BaseCommand command) {
    command.requireAtLeast(1, "--rounds", rounds);
    if (rounds > MOST) {
      throw command.usage("--rounds must be at most %d, not %d".formatted(MOST, rounds));
    }
    checkSamples(command);
  }
}
