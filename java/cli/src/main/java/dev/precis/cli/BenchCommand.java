package dev.precis.cli;

import picocli.CommandLine.Command;

@Command(
    name = "bench",
    header = "Measures speed and memory.",
    description = "Measures this machine; a JSON object on standard output.",
    synopsisSubcommandLabel = "WHAT",
    commandListHeading = "%nWhat:%n",
    subcommands = {BenchGenerateCommand.class, BenchSftCommand.class, BenchPpoCommand.class})
final class BenchCommand extends BaseCommand {
  @Override
  public Integer call() {
    throw usage("What to measure is missing: generate, sft or ppo");
  }
}
