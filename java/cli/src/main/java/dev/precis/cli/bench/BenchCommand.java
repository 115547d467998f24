package dev.precis.cli.bench;

import dev.precis.cli.common.BaseCommand;
import picocli.CommandLine.Command;

@Command(
    name = "bench",
    header = "Measures speed and memory.",
    description = "Measures this machine and prints one JSON object.",
    synopsisSubcommandLabel = "WHAT",
    commandListHeading = "%nWhat:%n",
    footer = {"", "Example:", "  precis bench generate --model google/flan-t5-base --batch 1"},
    subcommands = {BenchGenerateCommand.class, BenchSftCommand.class, BenchPpoCommand.class})
public final class BenchCommand extends BaseCommand {
  @Override
  public Integer call() {
    throw usage("What to measure is missing: generate, sft or ppo");
  }
}
