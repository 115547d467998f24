package dev.precis.data;

import java.io.IOException;

/** Rows of a file, one after the other. */
interface RowSource extends AutoCloseable {
  /**
   * Returns the next row, or {@code null} at the end.
   *
   * @throws BadRowException if a row cannot be read, but the next one can
   * @throws dev.precis.io.InvalidInputException if nothing more can be read
   */
  Row next() throws IOException;

  @Override
  void close() throws IOException;
}
