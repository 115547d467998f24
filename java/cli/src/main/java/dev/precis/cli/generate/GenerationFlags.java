package dev.precis.cli.generate;

import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.options.DecodingOptions;
import dev.precis.cli.options.GenerationConfigOption;
import dev.precis.generation.GenerationDefaults;
import dev.precis.generation.GenerationOptions;
import dev.precis.generation.GenerationOptions.Draft;
import dev.precis.generation.GenerationOptions.EarlyStopping;
import java.time.Duration;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * Declares the options of decoding in {@code precis generate}: greedily, by beam search, or by
 * sampling.
 */
final class GenerationFlags extends DecodingOptions.Sampling {
  private static final int MAX_SECONDS = 1_000_000;

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
      negatable = true,
      description = "Sample tokens, by --seed, instead of taking the likeliest.")
  private boolean sample;

  @Option(
      names = "--draft",
      paramLabel = "lookup|none",
      defaultValue = "none",
      description =
          "Draft tokens, several of which a step verifies: lookup copies them from the prompt and"
              + " from the text so far. The result is the same, faster where few dialogues are"
              + " decoded at a time and their texts repeat them (default: ${DEFAULT-VALUE}).")
  private String draft;

  @Option(
      names = "--timeout",
      paramLabel = "SECONDS",
      description = "End with exit code 1 if generation takes longer; what is done is kept.")
  private double timeout;

  @Mixin private GenerationConfigOption folder = new GenerationConfigOption();

  /** Returns the settings of the model's folder, and whether they are followed. */
  GenerationConfigOption folder() {
    return folder;
  }

  /** Refuses values that are out of range. */
  void check(BaseCommand command) {
    if (command.given("--timeout") && !(timeout > 0 && timeout <= MAX_SECONDS)) {
      throw command.usage(
          "--timeout must be above 0 and at most %d seconds".formatted(MAX_SECONDS));
    }
  }

  /**
   * Returns the options: those of the command line, otherwise those of the model's folder, of which
   * a note says what it asks for.
   *
   * @param defaults the folder's
   * @param maxSourceTokens the longest source that the command lets pass
   */
  GenerationOptions options(BaseCommand command, GenerationDefaults defaults, int maxSourceTokens) {
    GenerationOptions.Builder builder = GenerationOptions.builder();
    builder.seed(command.common().seed()).maxSourceTokens(maxSourceTokens);
    given(command, "--max-new-tokens", () -> builder.maxNewTokens(maxNewTokens()));
    given(command, "--min-new-tokens", () -> builder.minNewTokens(minNewTokens()));
    given(command, "--num-beams", () -> builder.numBeams(beams.numBeams()));
    given(command, "--length-penalty", () -> builder.lengthPenalty(lengthPenalty));
    given(
        command,
        "--early-stopping",
        () ->
            builder.earlyStopping(
                command.choice(
                    EarlyStopping.class,
                    "--early-stopping",
                    earlyStopping,
                    "true, false or never")));
    given(command, "--no-repeat-ngram-size", () -> builder.noRepeatNgramSize(noRepeatNgramSize));
    given(command, "--repetition-penalty", () -> builder.repetitionPenalty(repetitionPenalty));
    given(command, "--num-return-sequences", () -> builder.numReturnSequences(numReturnSequences));
    given(command, "--sample", () -> builder.sample(sample));
    given(command, "--temperature", () -> builder.temperature(temperature()));
    given(command, "--top-k", () -> builder.topK(topK()));
    given(command, "--top-p", () -> builder.topP(topP()));
    given(
        command,
        "--draft",
        () -> builder.draft(command.choice(Draft.class, "--draft", draft, "lookup or none")));
    given(
        command, "--timeout", () -> builder.timeout(Duration.ofMillis(Math.round(timeout * 1000))));
    GenerationOptions options = GenerationConfigOption.complete(command, defaults, builder);
    checkUse(command, options);
    return options;
  }

  /** Refuses options that the others leave without effect. */
  private static void checkUse(BaseCommand command, GenerationOptions options) {
    if (!options.sample()
        && (command.given("--temperature")
            || command.given("--top-k")
            || command.given("--top-p"))) {
      throw command.usage("--temperature, --top-k and --top-p need --sample");
    }
    if (options.numBeams() == 1
        && (command.given("--length-penalty") || command.given("--early-stopping"))) {
      throw command.usage("--length-penalty and --early-stopping need --num-beams above 1");
    }
  }

  private static void given(BaseCommand command, String option, Runnable take) {
    if (command.given(option)) {
      take.run();
    }
  }
}
