package dev.precis.cli.bench;

import dev.precis.cli.common.BaseCommand;
import picocli.CommandLine.Command;

@Command(
    name = "bench",
    header = "Measures speed and memory.",
    description =
        "Measures this machine. generate, sft and ppo print one JSON object, roofline a table.",
    synopsisSubcommandLabel = "WHAT",
    commandListHeading = "%nWhat:%n",
    footer = {
      "",
      "Examples:",
      "  precis bench generate --model google/flan-t5-base --batch 1",
      "  precis bench roofline --quick"
    },
    subcommands = {
      BenchGenerateCommand.class,
      BenchSftCommand.class,
      BenchPpoCommand.class,
      BenchRooflineCommand.class
    })
public final class BenchCommand extends BaseCommand {
  @Override
  public Integer call() {
    throw usage("What to measure is missing: generate, sft, ppo or roofline");
  }
}
