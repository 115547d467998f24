package dev.precis.data;

import dev.precis.io.InvalidInputException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/**
 * Reads texts to evaluate, in the file's order: data files as {@link DialogueReader} reads them,
 * what {@code precis generate} writes, and {@code .txt} with one text a line.
 */
public final class TextReader {
  /** The fields that the text can be in; the first that is present counts. */
  static final List<String> FIELDS = List.of("text", "summary", "completion");

  private TextReader() {}

  /**
   * Reads all texts of a file.
   *
   * @param field the one that the text is in; null: {@code text}, {@code summary} or {@code
   *     completion}, whichever comes first in this list
   * @throws InvalidInputException if the file does not exist, is of no known kind, holds nothing or
   *     a row without a text
   * @throws java.io.UncheckedIOException if it cannot be read
   */
  public static List<TextRow> read(Path file, String field) {
    if (file.toString().toLowerCase(Locale.ROOT).endsWith(".txt")) {
      return DialogueReader.readLines(
          file,
          "text",
          (line, number, where) -> new TextRow(Long.toString(number), line, null, where));
    }
    try (Stream<Row> rows = DialogueReader.rows(file, "text")) {
      return rows.map(row -> row.toText(field == null ? FIELDS : List.of(field))).toList();
    }
  }

  /**
   * Reads all texts of a file that have a label: {@code label}, a name or a whole number.
   *
   * @param field as for {@link #read}
   * @throws InvalidInputException as {@link #read}, and if a label is missing
   * @throws java.io.UncheckedIOException if the file cannot be read
   */
  public static List<LabelledText> readLabelled(Path file, String field) {
    try (Stream<Row> rows = DialogueReader.rows(file, "text")) {
      return rows.map(row -> row.toLabelledText(field == null ? FIELDS : List.of(field))).toList();
    }
  }
}
