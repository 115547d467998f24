package dev.precis.cli;

import dev.precis.cli.common.BaseCommand;
import picocli.AutoComplete;
import picocli.CommandLine.Command;

@Command(
    name = "completion",
    header = "Prints a completion script for bash and zsh.",
    description =
        "Prints a script with which bash or zsh completes the commands and options of precis.",
    footer = {
      "",
      "Examples:",
      "  source <(precis completion)               in this shell",
      "  precis completion >> ~/.bash_completion   in every new bash"
    })
public final class CompletionCommand extends BaseCommand {
  @Override
  public Integer call() {
    terminal().println(AutoComplete.bash("precis", spec.root().commandLine()));
    return DONE;
  }
}
