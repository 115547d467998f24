package dev.precis.data;

import dev.precis.io.InvalidInputException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Reads dialogues in the file's order. The name's end tells the format:
 *
 * <ul>
 *   <li>{@code .jsonl}, {@code .ndjson}: one object a line; blank lines are passed over
 *   <li>{@code .json}: a list of objects, as SAMSum's
 *   <li>{@code .csv}: RFC 4180 with a header; semicolons or tabs are detected; {@code .tsv}: tabs
 *   <li>{@code .txt}: one dialogue; in a folder of such files its id is the name of the file
 *   <li>each of these also with {@code .gz} or {@code .zst} behind it
 *   <li>{@code .parquet}: uncompressed, Snappy, gzip or Zstandard
 *   <li>{@code .arrow}: Arrow's IPC stream or file
 *   <li>a folder: see {@link DataFiles}
 *   <li>{@code -}: standard input, as {@code .jsonl}
 * </ul>
 *
 * <p>Parquet and Zstandard need the module {@code dev.precis:precis-data-parquet}.
 *
 * <p>The fields are {@code dialogue}, or {@code text} or {@code prompt} for a prompt to be used as
 * it is; {@code id} or {@code fname} (else the line, or the row of a table, is the id); {@code
 * summary} (a text or a list of them) or {@code summary1} to {@code summary3}; {@code topic} or
 * {@code topic1}. Where they are missing, the names of published data sets are tried in a fixed
 * order, such as {@code article} with {@code highlights} and {@code instruction} (with {@code
 * input}) with {@code output}, and {@code messages}; {@link Columns} names others. Further fields
 * are passed over. Ids are kept as they are, twice the same included.
 *
 * <p>Text is UTF-8, with or without a byte order mark; line ends become {@code \n}. What happens to
 * a bad row is a matter of {@link DataOptions}; the methods without them are strict: the first
 * thing wrong ends the reading with a sentence that names file and line. {@link #read} reports it
 * before anything is done with the dialogues, {@link #stream} where it comes to it.
 */
public final class DialogueReader {
  /** The longest dialogue that is read, in characters: about a thousand printed pages. */
  public static final int MAX_CHARACTERS = Row.MAX_CHARACTERS;

  private DialogueReader() {}

  /**
   * Reads all dialogues of a file.
   *
   * @throws InvalidInputException if the file does not exist, is of no known kind, holds nothing or
   *     anything wrong
   * @throws UncheckedIOException if it cannot be read
   */
  public static List<Dialogue> read(Path file) {
    return read(file, DataOptions.STRICT);
  }

  /**
   * Reads all dialogues of a file or folder.
   *
   * @throws InvalidInputException as {@link #read(Path)}, or if all rows were skipped
   * @throws UncheckedIOException if it cannot be read
   */
  public static List<Dialogue> read(Path data, DataOptions options) {
    try (Stream<Dialogue> dialogues = stream(data, options)) {
      return dialogues.toList();
    }
  }

  /**
   * Streams the dialogues of a file, one in memory at a time (a Parquet file's row group excepted).
   * The stream has to be closed.
   *
   * @throws InvalidInputException as {@link #read}, while the stream is used
   * @throws UncheckedIOException if the file cannot be read
   */
  public static Stream<Dialogue> stream(Path file) {
    return stream(file, DataOptions.STRICT);
  }

  /** Streams the dialogues of a file or folder; see {@link #stream(Path)}. */
  public static Stream<Dialogue> stream(Path data, DataOptions options) {
    return DataRows.stream(data, "dialogue", options, (row, reader) -> reader.dialogue(row, false));
  }

  /**
   * Streams dialogues that have at least one summary; a row without one is a bad row. Columns that
   * come with a summary go before others.
   */
  public static Stream<Dialogue> streamSummarized(Path data, DataOptions options) {
    return DataRows.stream(data, "dialogue", options, (row, reader) -> reader.dialogue(row, true));
  }

  /**
   * Reads dialogues with all their reference summaries: rows with the same dialogue are one
   * dialogue, at the place of the first.
   *
   * @throws InvalidInputException as {@link #read(Path, DataOptions)}
   * @throws UncheckedIOException if it cannot be read
   */
  public static List<Dialogue> readReferences(Path data, DataOptions options) {
    return together(readSummarized(data, options));
  }

  /** Reads all dialogues that {@link #streamSummarized} streams. */
  public static List<Dialogue> readSummarized(Path data, DataOptions options) {
    try (Stream<Dialogue> rows = streamSummarized(data, options)) {
      return rows.toList();
    }
  }

  /** Makes one dialogue of rows with the same dialogue, with all their summaries. */
  public static List<Dialogue> together(List<Dialogue> rows) {
    Map<String, Dialogue> byText = new LinkedHashMap<>();
    rows.forEach(row -> byText.merge(row.dialogue(), row, DialogueReader::together));
    return List.copyOf(byText.values());
  }

  private static Dialogue together(Dialogue first, Dialogue other) {
    List<String> summaries = new ArrayList<>(first.summaries());
    summaries.addAll(other.summaries());
    return new Dialogue(first.id(), first.dialogue(), summaries, first.topic(), first.raw());
  }
}
