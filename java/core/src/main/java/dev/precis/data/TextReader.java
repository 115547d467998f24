package dev.precis.data;

import dev.precis.io.InvalidInputException;
import java.nio.file.Path;
import java.util.List;

/**
 * Reads texts to evaluate, in the file's order: data files as {@link DialogueReader} reads them,
 * what {@code precis generate} writes, and {@code .txt} with one text a line, by itself or as files
 * of a folder.
 */
public final class TextReader {
  /** The fields that the text can be in; the first that is present counts. */
  static final List<String> FIELDS = List.of("text", "summary", "completion");

  private TextReader() {}

  /** Reads all texts of a file; see {@link #read(Path, String, DataOptions)}. */
  public static List<TextRow> read(Path file, String field) {
    return read(file, field, DataOptions.STRICT);
  }

  /**
   * Reads all texts of a file or folder.
   *
   * @param field the one that the text is in; null: {@code text}, {@code summary} or {@code
   *     completion}, whichever comes first in this list
   * @throws InvalidInputException if the file does not exist, is of no known kind, holds nothing or
   *     a row without a text
   * @throws java.io.UncheckedIOException if it cannot be read
   */
  public static List<TextRow> read(Path data, String field, DataOptions options) {
    return read(data, field, List.of("prompt"), options);
  }

  /**
   * Reads all texts of a file or folder, and what each answers; see the method without fields for
   * that.
   *
   * @param promptFields fields that what a text answers can be in; the first that is present counts
   */
  public static List<TextRow> read(
      Path data, String field, List<String> promptFields, DataOptions options) {
    return TextLines.isText(data, options)
        ? TextLines.read(
            data,
            "text",
            options,
            (line, number, where) -> new TextRow(Long.toString(number), line, null, where))
        : DataRows.read(
            data, "text", options, (row, reader) -> reader.text(row, fields(field), promptFields));
  }

  /** Reads all texts of a file that have a label; see the method with options. */
  public static List<LabelledText> readLabelled(Path file, String field) {
    return readLabelled(file, field, DataOptions.STRICT);
  }

  /**
   * Reads all texts that have a label: {@code label}, a name or a whole number.
   *
   * @param field as for {@link #read}
   * @throws InvalidInputException as {@link #read}, and if a label is missing
   * @throws java.io.UncheckedIOException if the file cannot be read
   */
  public static List<LabelledText> readLabelled(Path data, String field, DataOptions options) {
    return DataRows.read(
        data, "text", options, (row, reader) -> reader.labelled(row, fields(field)));
  }

  private static List<String> fields(String field) {
    return field == null ? FIELDS : List.of(field);
  }
}
