package dev.precis.data;

import dev.precis.io.InvalidInputException;
import java.nio.file.Path;
import java.util.List;

/**
 * Reads summaries in the file's order: data files as {@link DialogueReader} does, but the dialogue
 * may be missing; what {@code precis generate} writes, where of several results for a dialogue the
 * first counts; and {@code .txt} with one summary a line, by itself or as files of a folder.
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
    return read(file, DataOptions.STRICT);
  }

  /** Reads all summaries of a file or folder; see {@link #read(Path)}. */
  public static List<Summaries> read(Path data, DataOptions options) {
    return TextLines.isText(data, options)
        ? TextLines.read(
            data,
            "summary",
            options,
            (line, number, where) -> new Summaries(null, null, List.of(line)))
        : DataRows.read(
            data,
            "summary",
            options,
            (row, reader) -> isFirstResult(row) ? reader.summaries(row) : null);
  }

  private static boolean isFirstResult(Row row) {
    return !(row.fields().get("return") instanceof Integer number) || number == 0;
  }
}
