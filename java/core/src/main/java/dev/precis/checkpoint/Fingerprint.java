package dev.precis.checkpoint;

import dev.precis.io.FileDigest;
import java.io.UncheckedIOException;
import java.nio.file.Path;

/**
 * Identifies the weights of a folder by the SHA-256 of its weight files, in the order of their
 * names, as {@code cat model*.safetensors | sha256sum} prints it.
 */
public final class Fingerprint {
  private Fingerprint() {}

  /**
   * Returns the fingerprint of a model's folder.
   *
   * @throws dev.precis.io.InvalidInputException if it holds no weights
   * @throws UncheckedIOException if reading fails
   */
  public static String ofModel(Path folder) {
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      return FileDigest.sha256(checkpoint.files());
    }
  }

  /**
   * Returns the fingerprint of an adapter's folder.
   *
   * @throws dev.precis.io.InvalidInputException if it is no adapter
   * @throws UncheckedIOException if reading fails
   */
  public static String ofAdapter(Path folder) {
    try (PeftAdapter adapter = PeftAdapter.open(folder)) {
      return FileDigest.sha256(adapter.files());
    }
  }
}
