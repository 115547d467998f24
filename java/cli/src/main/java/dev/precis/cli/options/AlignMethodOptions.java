package dev.precis.cli.options;

import dev.precis.cli.common.BaseCommand;
import picocli.CommandLine.Option;

/** Selects the weights that alignment trains. */
public final class AlignMethodOptions extends MethodOptions {
  @Option(
      names = "--method",
      paramLabel = "lora|full",
      defaultValue = "lora",
      description =
          "lora trains an adapter on frozen weights, full trains all weights (default:"
              + " ${DEFAULT-VALUE}).")
  private String method;

  @Override
  public String method() {
    return method;
  }

  @Override
  public void check(BaseCommand command) {
    if (!lora() && !full()) {
      throw command.usage("--method must be lora or full, not '" + method + "'");
    }
    super.check(command);
  }
}
