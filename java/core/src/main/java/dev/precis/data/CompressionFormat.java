package dev.precis.data;

import java.io.IOException;
import java.io.InputStream;

/**
 * A compression that needs a library which not every program wants, such as Zstandard. Providers
 * are found with {@link java.util.ServiceLoader}.
 */
public interface CompressionFormat {
  /** Returns the end of the names of its files, without the dot. */
  String extension();

  /**
   * Returns a stream of the decompressed bytes, which closes the other stream.
   *
   * @throws IOException if the stream cannot be read, or is damaged
   */
  InputStream open(InputStream compressed) throws IOException;
}
