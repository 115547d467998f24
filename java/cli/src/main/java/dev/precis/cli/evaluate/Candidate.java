package dev.precis.cli.evaluate;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;

/**
 * A model to evaluate, with or without adapters, or a file with the summaries of one.
 *
 * @param name in reports
 * @param model folder of the model, or the file
 */
public record Candidate(String name, Path model, List<Path> adapters) {
  /** Returns true if the summaries are read from a file. */
  public boolean isFile() {
    return Files.isRegularFile(model);
  }

  /**
   * Reads {@code NAME=MODEL[+ADAPTER]...} or {@code NAME=FILE}.
   *
   * @param resolve finds the folder of a model or an adapter
   * @return null where the text is not of that form
   */
  public static Candidate parse(String text, Function<String, Path> resolve) {
    int equals = text.indexOf('=');
    Path file = Path.of(text.substring(equals + 1));
    if (equals > 0 && Files.isRegularFile(file)) {
      return new Candidate(text.substring(0, equals), file, List.of());
    }
    String[] folders = text.substring(equals + 1).split("\\+", -1);
    if (equals < 1 || Arrays.stream(folders).anyMatch(String::isBlank)) {
      return null;
    }
    List<Path> resolved = Arrays.stream(folders).map(resolve).toList();
    return new Candidate(
        text.substring(0, equals), resolved.getFirst(), resolved.subList(1, resolved.size()));
  }
}
