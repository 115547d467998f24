package dev.precis.cli.generate;

import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.options.DecodingOptions;
import dev.precis.generation.GenerationOptions;
import dev.precis.generation.GenerationOptions.EarlyStopping;
import dev.precis.io.InvalidInputException;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Decoding of {@code precis generate}: greedily, by beam search, or by */
final class GenerationFlags extends DecodingOptions.Sampling {
  @Mixin private DecodingOptions.NumBeams beams = new DecodingOptions.NumBeams();

  @Option(
      names = "--length-penalty",
      paramLabel = "X",
      defaultValue = "1",
      description = "Beam search: above 0 favors long results (default: ${DEFAULT-VALUE}).")
  private float lengthPenalty;

  @Option(
      names = "--early-stopping",
      paramLabel = "true|false|never",
      arity = "0..1",
      defaultValue = "false",
      fallbackValue = "true",
      description =
          "Beam search: stop when there are as many results as beams (default:"
              + " ${DEFAULT-VALUE}).")
  private String earlyStopping;

  @Option(
      names = "--no-repeat-ngram-size",
      paramLabel = "N",
      defaultValue = "0",
      description = "Forbid repeated N-grams; 0: off (default: ${DEFAULT-VALUE}).")
  private int noRepeatNgramSize;

  @Option(
      names = "--repetition-penalty",
      paramLabel = "X",
      defaultValue = "1",
      description = "Above 1 penalizes repeated tokens (default: ${DEFAULT-VALUE}).")
  private float repetitionPenalty;

  @Option(
      names = "--num-return-sequences",
      paramLabel = "N",
      defaultValue = "1",
      description = "Results for each prompt (default: ${DEFAULT-VALUE}).")
  private int numReturnSequences;

  @Option(
      names = "--sample",
      description = "Sample tokens, by --seed, instead of taking the likeliest.")
  private boolean sample;

  /** Returns whether there is more than one sequence for a prompt. */
  boolean severalSequences() {
    return beams.numBeams() > 1 || numReturnSequences > 1;
  }

  void check(BaseCommand command) {
    if (!sample
        && (command.given("--temperature")
            || command.given("--top-k")
            || command.given("--top-p"))) {
      throw command.usage("--temperature, --top-k and --top-p need --sample");
    }
    if (beams.numBeams() == 1
        && (command.given("--length-penalty") || command.given("--early-stopping"))) {
      throw command.usage("--length-penalty and --early-stopping need --num-beams above 1");
    }
  }

  GenerationOptions options(BaseCommand command) {
    EarlyStopping stopping =
        command.choice(
            EarlyStopping.class, "--early-stopping", earlyStopping, "true, false or never");
    try {
      return new GenerationOptions(
          maxNewTokens(),
          minNewTokens(),
          beams.numBeams(),
          lengthPenalty,
          stopping,
          noRepeatNgramSize,
          repetitionPenalty,
          numReturnSequences,
          sample,
          temperature(),
          topK(),
          topP(),
          command.common().seed());
    } catch (InvalidInputException e) {
      throw command.usage("--" + e.getMessage());
    }
  }
}
