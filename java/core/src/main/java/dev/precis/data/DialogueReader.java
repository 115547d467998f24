package dev.precis.data;

import dev.precis.io.InvalidInputException;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.function.Consumer;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * Reads dialogues in the file's order. The name's end tells the format:
 *
 * <ul>
 *   <li>{@code .jsonl}: one object a line; blank lines are passed over
 *   <li>{@code .json}: a list of objects, as SAMSum's
 *   <li>{@code .csv}: RFC 4180 with a header
 *   <li>{@code .parquet}: uncompressed, Snappy, gzip or Zstandard
 *   <li>{@code .txt}: one dialogue
 *   <li>{@code -}: standard input, as {@code .jsonl}
 * </ul>
 *
 * <p>The fields are {@code dialogue}, or {@code text} or {@code prompt} for a prompt to be used as
 * it is; {@code id} or {@code fname} (else the line, or the row of a Parquet file, is the id);
 * {@code summary} (a text or a list of them) or {@code summary1} to {@code summary3}; {@code topic}
 * or {@code topic1}. Others are passed over. Ids are kept as they are, twice the same included.
 *
 * <p>Text is UTF-8, with or without a byte order mark; line ends become {@code \n}. Reading is
 * strict: the first thing wrong ends it with a sentence that names file and line. {@link #read}
 * reports it before anything is done with the dialogues, {@link #stream} where it comes to it.
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
    try (Stream<Dialogue> dialogues = stream(file)) {
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
    return rows(file, "dialogue").map(Row::toDialogue);
  }

  /**
   * Streams the rows of a file, whatever is in them.
   *
   * @param what the file should hold at least one of
   */
  static Stream<Row> rows(Path file, String what) {
    try {
      return rows(open(file), nameOf(file), what);
    } catch (IOException e) {
      throw cannotRead(nameOf(file), e);
    }
  }

  private static RowSource open(Path file) throws IOException {
    if (isStandardInput(file)) {
      InputStream unclosable =
          new FilterInputStream(System.in) {
            @Override
            public void close() {}
          };
      return new JsonSource(unclosable, nameOf(file), true);
    }
    if (Files.isDirectory(file)) {
      throw new InvalidInputException(file + " is a folder, not a file with dialogues");
    }
    String name = file.getFileName().toString().toLowerCase(Locale.ROOT);
    String extension = name.substring(name.lastIndexOf('.') + 1);
    try {
      return switch (extension) {
        case "jsonl" -> new JsonSource(Files.newInputStream(file), nameOf(file), true);
        case "json" -> new JsonSource(Files.newInputStream(file), nameOf(file), false);
        case "csv" -> new CsvSource(Files.newInputStream(file), nameOf(file));
        case "txt" -> new TextSource(Files.newInputStream(file), nameOf(file));
        case "parquet" -> new ParquetSource(file);
        default ->
            throw new InvalidInputException(
                file + " must end in .jsonl, .json, .csv, .parquet or .txt");
      };
    } catch (NoSuchFileException e) {
      throw new InvalidInputException(file + " does not exist", e);
    }
  }

  private static boolean isStandardInput(Path file) {
    return file.toString().equals("-");
  }

  private static String nameOf(Path file) {
    return isStandardInput(file) ? "standard input" : file.toString();
  }

  private static Stream<Row> rows(RowSource source, String name, String what) {
    Spliterator<Row> rows =
        new Spliterators.AbstractSpliterator<>(
            Long.MAX_VALUE, Spliterator.ORDERED | Spliterator.NONNULL) {
          private boolean any;
          private boolean ended;

          @Override
          public boolean tryAdvance(Consumer<? super Row> action) {
            if (ended) {
              return false; // an iterator over a mapped stream asks once more
            }
            Row row;
            try {
              row = source.next();
            } catch (IOException e) {
              throw cannotRead(name, e);
            }
            if (row == null && !any) {
              throw new InvalidInputException(name + " holds no " + what);
            }
            any = true;
            ended = row == null;
            if (!ended) {
              action.accept(row);
            }
            return !ended;
          }
        };
    return StreamSupport.stream(rows, false)
        .onClose(
            () -> {
              try {
                source.close();
              } catch (IOException e) {
                throw cannotRead(name, e);
              }
            });
  }

  /**
   * Reads a file that is one text a line.
   *
   * @param what the file should hold at least one of
   * @param toItem makes an item of a line, its number from 1, and its place for messages
   */
  static <T> List<T> readLines(Path file, String what, LineParser<T> toItem) {
    String name = nameOf(file);
    List<T> all = new ArrayList<>();
    try (Utf8Stream in = new Utf8Stream(Files.newInputStream(file), name)) {
      LineReader lines = new LineReader(in, name);
      for (String line = lines.next(); line != null; line = lines.next()) {
        all.add(toItem.parse(line, lines.number(), name + ", line " + lines.number()));
      }
    } catch (NoSuchFileException e) {
      throw new InvalidInputException(file + " does not exist", e);
    } catch (IOException e) {
      throw cannotRead(name, e);
    }
    if (all.isEmpty()) {
      throw new InvalidInputException(name + " holds no " + what);
    }
    return all;
  }

  /** Makes an item of a line. */
  @FunctionalInterface
  interface LineParser<T> {
    T parse(String line, long number, String where);
  }

  private static UncheckedIOException cannotRead(String name, IOException e) {
    return new UncheckedIOException("Cannot read " + name + ": " + e.getMessage(), e);
  }
}
