package dev.precis.data;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;

/**
 * A file format that needs a library which not every program wants, such as Parquet. Providers are
 * found with {@link java.util.ServiceLoader}.
 */
public interface TableFormat {
  /** Returns the end of the names of its files, without the dot. */
  String extension();

  /**
   * Opens a file.
   *
   * @throws java.nio.file.NoSuchFileException if it does not exist
   * @throws IOException if it cannot be read; a damaged file says so in an {@link
   *     dev.precis.io.InvalidInputException}
   */
  Rows open(Path file) throws IOException;

  /** The rows of an open file. */
  interface Rows extends AutoCloseable {
    /**
     * Returns the fields of the next row, in the file's order, or {@code null} at the end: texts,
     * numbers, booleans, lists, maps with texts as keys, {@code null}, and objects of any other
     * class for what is none of them.
     *
     * @throws dev.precis.io.InvalidInputException if the file is damaged
     */
    Map<String, Object> next() throws IOException;

    @Override
    void close() throws IOException;
  }
}
