package dev.precis.cli.serve;

import dev.precis.cli.common.BaseCommand;
import dev.precis.io.InvalidInputException;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(
    name = "serve",
    header = "Serves models over HTTP, in the form of OpenAI's API.",
    description = {
      "Answers POST /v1/completions at http://127.0.0.1:8080 until it is interrupted. The client"
          + " libraries of OpenAI work with it as they are."
    },
    footer = {
      "",
      "Examples:",
      "  precis serve --model google/flan-t5-base",
      "  precis serve --model base=google/flan-t5-base --model run/merged --port 9000",
      "  curl http://127.0.0.1:8080/v1/completions -H 'Content-Type: application/json' \\",
      "      -d '{\"prompt\": \"Translate to German: Hello!\", \"max_tokens\": 40}'"
    })
public final class ServeCommand extends BaseCommand {
  private static final int MAX_PORT = 65_535;

  @Option(
      names = "--model",
      required = true,
      paramLabel = "[NAME=]MODEL",
      description =
          "A model: a folder, or a hub ID that was downloaded. Requests choose it by NAME, which is"
              + " the folder's name unless it is given. Repeat the option to serve several.")
  private List<String> models = List.of();

  @Option(
      names = "--port",
      paramLabel = "N",
      defaultValue = "8080",
      description = "The port to listen on; 0: any that is free (default: ${DEFAULT-VALUE}).")
  private int port;

  @Override
  public Integer call() {
    if (port < 0 || port > MAX_PORT) {
      throw usage("--port must be from 0 to %d, not %d".formatted(MAX_PORT, port));
    }
    try {
      // The only class of the command line that needs the server's: they are on the class path of
      // this command alone.
      return new ServeRun(this).serve();
    } catch (NoClassDefFoundError e) {
      throw new InvalidInputException(
          "The class %s is missing: start 'precis serve' by its launcher, or add precis-server to the class path"
              .formatted(e.getMessage()),
          e);
    }
  }

  List<String> models() {
    return models;
  }

  int port() {
    return port;
  }
}
