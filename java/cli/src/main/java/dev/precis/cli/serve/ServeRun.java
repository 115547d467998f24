package dev.precis.cli.serve;

import dev.precis.Classifier;
import dev.precis.T5;
import dev.precis.cli.common.GracefulShutdown;
import dev.precis.server.Server;
import dev.precis.server.ServerOptions;
import dev.precis.server.http.ApiKey;
import dev.precis.server.http.Limits;
import dev.precis.server.models.ServedModels;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.logging.Level;
import java.util.logging.Logger;

/** Loads the models, starts the server, and waits for a signal. */
final class ServeRun {
  /** Held here, because a logger that nobody holds forgets its level. */
  private static final Logger WEB_SERVER = Logger.getLogger("io.helidon");

  private static final String KEY_VARIABLE = "PRECIS_API_KEY";

  private final ServeCommand command;

  ServeRun(ServeCommand command) {
    this.command = command;
  }

  int serve() {
    WEB_SERVER.setLevel(Level.WARNING); // it would print its features and its port
    ServerOptions options = options();
    CountDownLatch signal = new CountDownLatch(1);
    try (ServedModels models = new ServedModels();
        GracefulShutdown shutdown = new GracefulShutdown(signal::countDown)) {
      command.models().forEach(each -> add(models, each));
      command.adapters().forEach(each -> addAdapter(models, each));
      try (Server server = command.listen().start(() -> Server.start(models, options))) {
        command.note("Serving at %s (Ctrl-C ends it).".formatted(server.address()));
        signal.await();
        if (!server.drain(Duration.ofSeconds(command.drainTimeout()))) {
          command.note(
              "Some requests took longer than --drain-timeout, %d seconds, and were ended."
                  .formatted(command.drainTimeout()));
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    return ServeCommand.DONE;
  }

  private ServerOptions options() {
    Duration client = Duration.ofSeconds(command.clientTimeout());
    Limits limits =
        new Limits(
            command.maxBodySize(),
            command.maxConnections(),
            Limits.DEFAULT.sequences(),
            command.maxPromptTokens(),
            command.maxTokens(),
            Duration.ofSeconds(command.requestTimeout()),
            client,
            client);
    ServerOptions options =
        new ServerOptions()
            .address(command.listen().address())
            .port(command.listen().port())
            .key(key())
            .hosts(command.listen().hosts())
            .limits(limits);
    if (command.listen().certificate() != null) {
      options.tls(command.listen().certificate(), command.listen().privateKey());
    }
    if (command.template() != null) {
      options.template(command.template());
    }
    options.check();
    return options;
  }

  /** Returns the key that clients must send; null: none. */
  private ApiKey key() {
    if (command.apiKeyFile() != null) {
      return ApiKey.read(command.apiKeyFile());
    }
    String key = command.terminal().environment().getOrDefault(KEY_VARIABLE, "");
    return key.isEmpty() ? null : ApiKey.of(key, "The environment variable " + KEY_VARIABLE);
  }

  private void add(ServedModels models, String option) {
    int equals = option.indexOf('=');
    // A folder may have the sign in its name.
    boolean named = equals > 0 && !Files.isDirectory(Path.of(option));
    String model = named ? option.substring(equals + 1) : option;
    // A folder may have a plus in its name too.
    List<String> parts =
        Files.isDirectory(Path.of(model)) ? List.of(model) : List.of(model.split("\\+", -1));
    if (parts.stream().anyMatch(String::isBlank)) {
      throw command.usage("--model must be [NAME=]MODEL[+ADAPTER]..., not '" + option + "'");
    }
    Path folder = command.resolve(parts.getFirst());
    List<Path> adapters = parts.stream().skip(1).map(command::resolve).toList();
    String name = named ? option.substring(0, equals) : nameOf(parts.getFirst(), folder);
    if (Classifier.isClassifier(folder)) {
      if (!adapters.isEmpty()) {
        throw command.usage(folder + " is a classifier, which is served without adapters");
      }
      Classifier.LoadOptions options = command.common().classifierOptions();
      models.add(name, Classifier.load(folder, options), command.moderationLabels());
    } else {
      T5.LoadOptions options =
          command
              .common()
              .loadOptions()
              .adapters(adapters)
              .maxWaitingRequests(command.maxWaiting())
              .weightsCache(command.weightsCache());
      models.add(name, T5.load(folder, options));
    }
  }

  /** Returns the folder's own name; a hub ID is a name itself. */
  private static String nameOf(String model, Path folder) {
    return Files.isDirectory(Path.of(model))
        ? folder.toAbsolutePath().normalize().getFileName().toString()
        : model;
  }

  private void addAdapter(ServedModels models, String option) {
    int equals = option.indexOf('=');
    if (equals < 1) {
      throw command.usage("--adapter must be [MODEL:]NAME=ADAPTER, not '" + option + "'");
    }
    String name = option.substring(0, equals);
    int colon = name.indexOf(':');
    String base = colon < 0 ? null : name.substring(0, colon);
    Path folder = command.resolve(option.substring(equals + 1));
    models.addAdapter(base, name.substring(colon + 1), folder);
  }
}
