package dev.precis.data;

import java.io.IOException;

/** Rows of a file, one after the other. */
interface RowSource extends AutoCloseable {
  /** Returns the next row, or {@code null} at the end. */
  Row next() throws IOException;

  @Override
  void close() throws IOException;
}
