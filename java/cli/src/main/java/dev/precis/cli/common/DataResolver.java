package dev.precis.cli.common;

import dev.precis.hub.Hub;
import dev.precis.hub.RepositoryKind;
import dev.precis.io.InvalidInputException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.regex.Pattern;

/** Finds the data that {@code --data} and its like name. */
public final class DataResolver {
  /** A hub ID; the end of a file's name is no part of one that people use. */
  private static final Pattern ID = Pattern.compile("[A-Za-z0-9][\\w.-]*(?:/[A-Za-z0-9][\\w.-]*)?");

  private static final Pattern FILE =
      Pattern.compile(".*\\.(jsonl|ndjson|json|csv|tsv|tab|txt|parquet|arrow|feather|gz|zst)");

  private DataResolver() {}

  /**
   * Returns the file or folder of that name, or the folder of a hub data set that was downloaded. A
   * name that is none of them is returned as it is, for the reader to refuse.
   *
   * @throws InvalidInputException where a hub data set of that name was not downloaded
   */
  public static Path resolve(Path given, Terminal terminal) {
    String name = given.toString();
    if (Files.exists(given)
        || !ID.matcher(name).matches()
        || FILE.matcher(name.toLowerCase(Locale.ROOT)).matches()) {
      return given;
    }
    Hub hub = new Hub(terminal.hubConfig());
    return hub.find(name, RepositoryKind.DATASET, null)
        .orElseThrow(
            () ->
                new InvalidInputException(
                    "There is no file or folder %s and no such data set in %s: download it with 'precis download %s'"
                        .formatted(name, hub.config().cache(), name)));
  }
}
