package dev.precis.data;

import dev.precis.io.InvalidInputException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/**
 * Reads summaries in the file's order: data files as {@link DialogueReader} does, but the dialogue
 * may be missing; what {@code precis generate} writes, where of several results for a dialogue the
 * first counts; and {@code .txt} with one summary a line.
 */
public final class SummaryReader {
  private SummaryReader() {}

  /**
   * All summaries of a file.
   *
   * @throws InvalidInputException where the file does not exist, is of no known kind, holds nothing
   *     or a row without a summary
   * @throws java.io.UncheckedIOException where it cannot be read
   */
  public static List<Summaries> read(Path file) {
    if (file.toString().toLowerCase(Locale.ROOT).endsWith(".txt")) {
      return readLines(file);
    }
    try (Stream<Row> rows = DialogueReader.rows(file, "summary")) {
      return rows.filter(SummaryReader::isFirstResult).map(Row::toSummaries).toList();
    }
  }

  private static boolean isFirstResult(Row row) {
    return !(row.fields().get("return") instanceof Integer number) || number == 0;
  }

  private static List<Summaries> readLines(Path file) {
    String name = DialogueReader.nameOf(file);
    List<Summaries> all = new ArrayList<>();
    try (Utf8Stream in = new Utf8Stream(Files.newInputStream(file), name)) {
      LineReader lines = new LineReader(in, name);
      for (String line = lines.next(); line != null; line = lines.next()) {
        all.add(new Summaries(null, null, List.of(line)));
      }
    } catch (NoSuchFileException e) {
      throw new InvalidInputException(file + " does not exist", e);
    } catch (IOException e) {
      throw DialogueReader.cannotRead(name, e);
    }
    if (all.isEmpty()) {
      throw new InvalidInputException(name + " holds no summary");
    }
    return all;
  }
}
