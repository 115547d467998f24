package dev.precis.text;

import dev.precis.io.BoundedFile;
import dev.precis.io.Json;
import java.nio.file.Path;

/** Reads the files of a tokenizer, within the limit of JSON documents. */
final class TokenizerFile {
  private TokenizerFile() {}

  static byte[] read(Path file) {
    return BoundedFile.read(file, Json.MAX_BYTES, "a tokenizer's file");
  }
}
