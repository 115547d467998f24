package dev.precis.cli.common;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.stream.Stream;

/** What Linux tells in files; elsewhere there is nothing to read. */
public final class Proc {
  private Proc() {}

  /** What the first line "name: value" says. */
  public static Optional<String> value(String file, String name) {
    return lines(file)
        .filter(line -> line.startsWith(name) && line.contains(":"))
        .map(line -> line.substring(line.indexOf(':') + 1).strip())
        .findFirst();
  }

  /** A value in kB as bytes, or 0. */
  public static long bytes(String file, String name) {
    return value(file, name)
        .filter(value -> value.matches("\\d{1,15} kB"))
        .map(value -> Long.parseLong(value.substring(0, value.length() - 3)) * 1024)
        .orElse(0L);
  }

  /** A file's first line, or nothing. */
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
