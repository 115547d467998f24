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

  /** Returns true if a file, or each of the files of a folder, holds text, by its name. */
  static boolean isText(Path data, DataOptions options) {
    return Files.isDirectory(data)
        ? DataFiles.of(data, options.withListener(DataListener.NONE)).files().stream()
            .allMatch(DataFiles::isText)
        : DataFiles.isText(data);
  }

  /**
   * Reads all lines. A line cannot be left out, because others are matched with it by its place: a
   * bad one ends the reading under every policy.
   *
   * @param kind what the file should hold at least one of
   * @param toItem makes an item of a line, its number from 1 over all files, and its place for
   *     messages
   */
  static <T> List<T> read(Path data, String kind, DataOptions options, LineParser<T> toItem) {
    List<T> all = new ArrayList<>();
    long before = 0;
    for (Path file : DataFiles.of(data, options).files()) {
      before += read(file, before, toItem, all);
    }
    if (all.isEmpty()) {
      throw new InvalidInputException(DataSource.nameOf(data) + " holds no " + kind);
    }
    options.listener().finished(data, all.size(), 0, Map.of());
    return all;
  }

  /**
   * Reads the lines of a file and returns the number of the last one.
   *
   * @param before number of the last line of the files before it
   */
  private static <T> long read(Path file, long before, LineParser<T> toItem, List<T> all) {
    String name = DataSource.nameOf(file);
    try (LineReader lines = new LineReader(DataSource.stream(file), name)) {
      long last = 0;
      for (String line = lines.next(); line != null; line = lines.next()) {
        last = lines.number();
        all.add(toItem.parse(line, before + last, name + ", line " + last));
      }
      return last;
    } catch (NoSuchFileException e) {
      throw new InvalidInputException(file + " does not exist", e);
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot read " + name + ": " + Reason.of(e), e);
    }
  }
}
