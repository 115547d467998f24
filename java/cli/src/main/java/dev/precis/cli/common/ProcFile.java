package dev.precis.cli.common;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.stream.Stream;

/** Reads what Linux reports in {@code /proc} and {@code /sys}; elsewhere nothing is found. */
public final class ProcFile {
  private ProcFile() {}

  /** Returns the value of the first line "name: value". */
  public static Optional<String> value(String file, String name) {
    return lines(file)
        .filter(line -> line.startsWith(name) && line.contains(":"))
        .map(line -> line.substring(line.indexOf(':') + 1).strip())
        .findFirst();
  }

  /** Returns a value in kB as bytes, or 0. */
  public static long bytes(String file, String name) {
    return value(file, name)
        .filter(value -> value.matches("\\d{1,15} kB"))
        .map(value -> Long.parseLong(value.substring(0, value.length() - 3)) * 1024)
        .orElse(0L);
  }

  /** Returns a file's first line, or an empty string. */
  public static String firstLine(String file) {
    return lines(file).findFirst().orElse("");
  }

  private static Stream<String> lines(String file) {
    try {
      return Files.readAllLines(Path.of(file)).stream();
    } catch (IOException | UncheckedIOException e) {
      return Stream.empty();
    }
  }
}
