package dev.precis.cli.serve;

import dev.precis.T5;
import dev.precis.cli.common.GracefulShutdown;
import dev.precis.io.InvalidInputException;
import dev.precis.server.Server;
import dev.precis.server.ServerOptions;
import dev.precis.server.http.Limits;
import dev.precis.server.models.ServedModels;
import java.net.BindException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;
import java.util.logging.Level;
import java.util.logging.Logger;

/** Loads the models, starts the server, and waits for a signal. */
final class ServeRun {
  /** Held here, because a logger that nobody holds forgets its level. */
  private static final Logger WEB_SERVER = Logger.getLogger("io.helidon");

  private final ServeCommand command;

  ServeRun(ServeCommand command) {
    this.command = command;
  }

  int serve() {
    WEB_SERVER.setLevel(Level.WARNING); // it would print its features and its port
    CountDownLatch signal = new CountDownLatch(1);
    try (ServedModels models = new ServedModels();
        GracefulShutdown shutdown = new GracefulShutdown(signal::countDown)) {
      command.models().forEach(each -> add(models, each));
      try (Server server = start(models)) {
        command.note("Serving at %s (Ctrl-C ends it).".formatted(server.address()));
        signal.await();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    return ServeCommand.DONE;
  }

  private Server start(ServedModels models) {
    try {
      return Server.start(models, new ServerOptions(null, command.port(), Limits.DEFAULT));
    } catch (RuntimeException e) {
      for (Throwable cause = e; cause != null; cause = cause.getCause()) {
        if (cause instanceof BindException) {
          throw new InvalidInputException(
              "Cannot listen on port %d: %s; choose another one with --port"
                  .formatted(command.port(), cause.getMessage()),
              e);
        }
      }
      throw e;
    }
  }

  private void add(ServedModels models, String option) {
    int equals = option.indexOf('=');
    // A folder may have the sign in its name.
    boolean named = equals > 0 && !Files.isDirectory(Path.of(option));
    Path folder = command.resolve(named ? option.substring(equals + 1) : option);
    String name = named ? option.substring(0, equals) : nameOf(option, folder);
    models.add(name, T5.load(folder, command.common().loadOptions()));
  }

  /** Returns the folder's own name; a hub ID is a name itself. */
  private static String nameOf(String option, Path folder) {
    return Files.isDirectory(Path.of(option))
        ? folder.toAbsolutePath().normalize().getFileName().toString()
        : option;
  }
}
