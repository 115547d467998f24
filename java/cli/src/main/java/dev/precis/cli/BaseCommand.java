package dev.precis.cli;

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
abstract class BaseCommand implements Callable<Integer> {
  static final int DONE = 0;
  static final int FAILED = 1;

  @Spec CommandSpec spec;

  @ArgGroup(validate = false, heading = "%nCommon options:%n", order = 1000)
  private CommonOptions common = new CommonOptions();

  /** The options that every command has. */
  final CommonOptions common() {
    return common;
  }

  final Terminal terminal() {
    return ((Main) spec.root().userObject()).terminal();
  }

  /** The folder of a model or an adapter: a folder as it is, or a hub id downloaded before. */
  final Path resolve(String name) {
    return Models.resolve(name, terminal());
  }

  /** A note to the person at the terminal, on standard error; {@code --quiet} silences it. */
  final void note(String sentence) {
    if (!common.quiet()) {
      terminal().err().println(sentence);
    }
  }

  /** Wrong usage: a sentence, a pointer to the help, exit code 2. */
  final ParameterException usage(String sentence) {
    return new ParameterException(spec.commandLine(), sentence);
  }

  /** Whether an option was given on the command line. */
  final boolean given(String option) {
    return spec.commandLine().getParseResult().hasMatchedOption(option);
  }
}
