package dev.precis.data;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Reason;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Reads files that hold one text a line. */
final class TextLines {
  private TextLines() {}

  /** Makes an item of a line. */
  @FunctionalInterface
  interface LineParser<T> {
    T parse(String line, long number, String where);
  }

  /** Returns true if a file holds text, by its name. */
  static boolean isText(Path file) {
    return !Files.isDirectory(file)
        && file.getFileName() != null
        && DataFormat.of(file.getFileName().toString())
            .filter(format -> format == DataFormat.TEXT)
            .isPresent();
  }

  /**
   * Reads all lines. A line cannot be left out, because others are matched with it by its place: a
   * bad one ends the reading under every policy.
   *
   * @param kind what the file should hold at least one of
   * @param toItem makes an item of a line, its number from 1, and its place for messages
   */
  static <T> List<T> read(Path file, String kind, DataOptions options, LineParser<T> toItem) {
    String name = DataSource.nameOf(file);
    List<T> all = new ArrayList<>();
    try (LineReader lines = new LineReader(DataSource.stream(file), name)) {
      for (String line = lines.next(); line != null; line = lines.next()) {
        all.add(toItem.parse(line, lines.number(), name + ", line " + lines.number()));
      }
    } catch (NoSuchFileException e) {
      throw new InvalidInputException(file + " does not exist", e);
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot read " + name + ": " + Reason.of(e), e);
    }
    if (all.isEmpty()) {
      throw new InvalidInputException(name + " holds no " + kind);
    }
    options.listener().finished(file, all.size(), 0, Map.of());
    return all;
  }
}
