package dev.precis.cli.common;

import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** What every subcommand has: the common options and the terminal. */
@Command(
    sortOptions = false,
    sortSynopsis = false,
    descriptionHeading = "%n",
    parameterListHeading = "%n",
    optionListHeading = "%nOptions:%n",
    abbreviateSynopsis = true,
    usageHelpWidth = 100)
public abstract class BaseCommand implements Callable<Integer> {
  public static final int DONE = 0;
  public static final int FAILED = 1;

  @Spec protected CommandSpec spec;

  /** The command that all others are subcommands of. */
  public interface Root {
    Terminal terminal();
  }

  @ArgGroup(validate = false, heading = "%nCommon options:%n", order = 1000)
  private CommonOptions common = new CommonOptions();

  /** The options that every command has. */
  public final CommonOptions common() {
    return common;
  }

  public final Terminal terminal() {
    return ((Root) spec.root().userObject()).terminal();
  }

  /** The folder of a model or an adapter: a folder as it is, or a hub id downloaded before. */
  public final Path resolve(String name) {
    return Models.resolve(name, terminal());
  }

  /** A note to the person at the terminal, on standard error; {@code --quiet} silences it. */
  public final void note(String sentence) {
    if (!common.quiet()) {
      terminal().err().println(sentence);
    }
  }

  /** Wrong usage: a sentence, a pointer to the help, exit code 2. */
  public final ParameterException usage(String sentence) {
    return new ParameterException(spec.commandLine(), sentence);
  }

  /** Whether an option was given on the command line. */
  public final boolean given(String option) {
    return spec.commandLine().getParseResult().hasMatchedOption(option);
  }
}
