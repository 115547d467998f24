package dev.precis.cli.common;

import dev.precis.hub.Hub;
import dev.precis.io.InvalidInputException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Finds the folders that {@code --model} and {@code --adapter} name. */
public final class ModelResolver {
  private ModelResolver() {}

  /**
   * Returns the folder of that name, or the folder of a hub ID that was downloaded.
   *
   * @throws InvalidInputException where there is neither
   */
  public static Path resolve(String name, Terminal terminal) {
    Path folder = Path.of(name);
    if (Files.isDirectory(folder)) {
      return folder;
    }
    if (Files.exists(folder)) {
      throw new InvalidInputException(name + " is a file; name the model's folder");
    }
    boolean path = name.startsWith("/") || name.startsWith(".") || name.startsWith("~");
    if (path || name.chars().filter(c -> c == '/').count() > 1) {
      throw new InvalidInputException("There is no folder " + name);
    }
    // Created only when needed: a hub prepares for encrypted connections.
    Hub hub = new Hub(terminal.hubConfig());
    return hub.find(name, null)
        .orElseThrow(
            () ->
                new InvalidInputException(
                    "There is no folder %s and no such model in %s: download it with 'precis download %s'"
                        .formatted(name, hub.config().cache(), name)));
  }
}
