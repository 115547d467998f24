package dev.precis.cli.common;

import dev.precis.checkpoint.WeightsCache;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.IDefaultValueProvider;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Base of every subcommand, with the common options and the terminal. */
@Command(
    sortOptions = false,
    sortSynopsis = false,
    descriptionHeading = "%n",
    parameterListHeading = "%n",
    optionListHeading = "%nOptions:%n",
    abbreviateSynopsis = true,
    usageHelpWidth = 80,
    defaultValueProvider = BaseCommand.Defaults.class)
public abstract class BaseCommand implements Callable<Integer> {
  /** The exit code of success. */
  public static final int DONE = 0;

  /** The exit code of a failure that is neither wrong usage nor bad input. */
  public static final int FAILED = 1;

  @Spec protected CommandSpec spec;

  @ArgGroup(validate = false, heading = "%nCommon options:%n", order = 1000)
  private CommonOptions common = new CommonOptions();

  /** The command that all others are subcommands of. */
  public interface Root {
    /** Returns the terminal that all commands print to. */
    Terminal terminal();
  }

  /** Asks the command for its own defaults. */
  static final class Defaults implements IDefaultValueProvider {
    @Override
    public String defaultValue(ArgSpec argument) {
      return argument instanceof OptionSpec option
              && argument.command() != null
              && argument.command().userObject() instanceof BaseCommand command
          ? command.defaults().get(option.longestName())
          : null;
    }
  }

  /**
   * Returns this command's own defaults, by the options' names, where they differ from those that
   * the shared options declare.
   */
  protected Map<String, String> defaults() {
    return Map.of();
  }

  /** Returns the options that every command has. */
  public final CommonOptions common() {
    return common;
  }

  /** Returns where to print. */
  public final Terminal terminal() {
    return ((Root) spec.root().userObject()).terminal();
  }

  /** Finds the folder of a model or an adapter: a folder, or a hub ID that was downloaded. */
  public final Path resolve(String name) {
    return ModelResolver.resolve(name, terminal());
  }

  /** Returns where packed weights are kept between runs; null: nowhere. */
  public final WeightsCache weightsCache() {
    return WeightsCache.of(terminal().environment()).orElse(null);
  }

  /** Prints a note to the person at the terminal; {@code --quiet} silences it. */
  public final void note(String sentence) {
    if (!common.quiet()) {
      terminal().err().println(sentence);
    }
  }

  /** Returns the error of wrong usage: a sentence, a pointer to the help, exit code 2. */
  public final ParameterException usage(String sentence) {
    return new ParameterException(spec.commandLine(), sentence);
  }

  /** Returns whether an option was given on the command line. */
  public final boolean given(String option) {
    return spec.commandLine().getParseResult().hasMatchedOption(option);
  }

  /** Refuses neither and both of two options; null stands for an option that was not given. */
  public final void requireOneOf(String option, Object value, String other, Object otherValue) {
    if (value == null && otherValue == null) {
      throw usage(option + " or " + other + " is missing");
    }
    if (value != null && otherValue != null) {
      throw exclusive(option, other);
    }
  }

  /** Returns the error of two options that were given together. */
  public final ParameterException exclusive(String option, String other) {
    return usage(option + " and " + other + " are mutually exclusive");
  }

  /** Refuses a number that is too small. */
  public final void requireAtLeast(long least, String option, long value) {
    if (value < least) {
      throw usage("%s must be %d or more, not %d".formatted(option, least, value));
    }
  }

  /** Returns the constant that an option names; hyphens stand for underscores. */
  public final <E extends Enum<E>> E choice(
      Class<E> kind, String option, String value, String names) {
    try {
      return Enum.valueOf(kind, value.toUpperCase(Locale.ROOT).replace('-', '_'));
    } catch (IllegalArgumentException e) {
      throw usage(option + " must be " + names + ", not '" + value + "'");
    }
  }
}
