package dev.precis.cli.options;

import dev.precis.cli.common.BaseCommand;
import dev.precis.generation.GenerationDefaults;
import dev.precis.generation.GenerationDefaults.Applied;
import dev.precis.generation.GenerationOptions;
import dev.precis.io.InvalidInputException;
import dev.precis.t5.GenerationConfig;
import dev.precis.t5.T5Config;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Option;

/** {@code --no-generation-config}: the settings of generation in a model's folder. */
public final class GenerationConfigOption {
  @Option(
      names = "--no-generation-config",
      description =
          "Ignore the model's generation_config.json, whose settings otherwise replace the defaults"
              + " of these options.")
  private boolean ignored;

  /** Returns whether the settings of the model's folder are followed. */
  public boolean follows() {
    return !ignored;
  }

  /** Reads the settings of a model's folder; none where they are ignored. */
  public GenerationDefaults defaults(Path folder) {
    GenerationConfig config =
        ignored ? GenerationConfig.none(folder) : GenerationConfig.read(folder);
    return new GenerationDefaults(config, T5Config.of(config));
  }

  /**
   * Completes the options of the command line with the folder's, and says in one line on standard
   * error what these are.
   *
   * @param builder has the options that were given
   */
  public static GenerationOptions complete(
      BaseCommand command, GenerationDefaults defaults, GenerationOptions.Builder builder) {
    Applied applied =
        defaults.apply(
            builder,
            key ->
                key.equals("do_sample")
                    ? command.given("--sample")
                    : command.given("--" + key.replace('_', '-')));
    GenerationOptions options;
    try {
      options = builder.build();
    } catch (InvalidInputException e) {
      if (applied.followed().isEmpty()) {
        throw command.usage("--" + e.getMessage());
      }
      throw new InvalidInputException(
          "%s %s sets %s; other flags replace that, and --no-generation-config ignores it."
              .formatted(e.getMessage(), defaults.file(), String.join(", ", applied.followed())),
          e);
    }
    note(command, defaults, applied);
    return options;
  }

  private static void note(BaseCommand command, GenerationDefaults defaults, Applied applied) {
    List<String> parts = new ArrayList<>();
    if (!applied.followed().isEmpty()) {
      parts.add(
          "sets %s (flags win, and --no-generation-config ignores it)"
              .formatted(String.join(", ", applied.followed())));
    }
    if (!applied.ignored().isEmpty()) {
      parts.add("has settings that are not followed: " + String.join(", ", applied.ignored()));
    }
    if (!parts.isEmpty()) {
      command.note("%s %s.".formatted(defaults.file(), String.join("; it ", parts)));
    }
  }

  /**
   * Says which settings of a folder do not apply to what is generated during training.
   *
   * @param instead what does apply, as the second half of a sentence
   */
  public static void noteForTraining(BaseCommand command, Path folder, String instead) {
    GenerationConfig config = GenerationConfig.read(folder);
    GenerationDefaults defaults = new GenerationDefaults(config, T5Config.of(config));
    List<String> others = new ArrayList<>();
    for (String each : defaults.apply(GenerationOptions.builder(), key -> false).followed()) {
      if (!each.matches("(decoder_start|bos|eos)_token_id=.*")) {
        others.add(each);
      }
    }
    if (!others.isEmpty()) {
      command.note(
          "%s sets %s: %s.".formatted(defaults.file(), String.join(", ", others), instead));
    }
  }
}
