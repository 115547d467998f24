package dev.precis.data.arrow;

import java.io.IOException;
import java.io.InputStream;

/** Opens the decompression of Zstandard. */
@FunctionalInterface
public interface Decompressor {
  /** Returns a stream of the decompressed bytes. */
  InputStream open(InputStream compressed) throws IOException;
}
