package dev.precis.data;

import dev.precis.io.InvalidInputException;
import java.nio.file.Path;
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
   * Reads all summaries of a file.
   *
   * @throws InvalidInputException if the file does not exist, is of no known kind, holds nothing or
   *     a row without a summary
   * @throws java.io.UncheckedIOException if it cannot be read
   */
  public static List<Summaries> read(Path file) {
    if (file.toString().toLowerCase(Locale.ROOT).endsWith(".txt")) {
      return DialogueReader.readLines(
          file, "summary", (line, number, where) -> new Summaries(null, null, List.of(line)));
    }
    try (Stream<Row> rows = DialogueReader.rows(file, "summary")) {
      return rows.filter(SummaryReader::isFirstResult).map(Row::toSummaries).toList();
    }
  }

  private static boolean isFirstResult(Row row) {
    return !(row.fields().get("return") instanceof Integer number) || number == 0;
  }
}
