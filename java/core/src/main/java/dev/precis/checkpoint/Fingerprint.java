package dev.precis.checkpoint;

import dev.precis.io.Reason;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;

/**
 * Which weights a folder holds: the SHA-256 of its weight files, in the order of their names, as
 * {@code cat model*.safetensors | sha256sum} prints it.
 */
public final class Fingerprint {
  private Fingerprint() {}

  /**
   * The fingerprint of a model's folder.
   *
   * @throws dev.precis.io.InvalidInputException where it holds no weights
   * @throws UncheckedIOException where reading fails
   */
  public static String ofModel(Path folder) {
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      return sha256(checkpoint.files());
    }
  }

  /**
   * The fingerprint of an adapter's folder.
   *
   * @throws dev.precis.io.InvalidInputException where it is no adapter
   * @throws UncheckedIOException where reading fails
   */
  public static String ofAdapter(Path folder) {
    try (PeftAdapter adapter = PeftAdapter.open(folder)) {
      return sha256(adapter.files());
    }
  }

  private static String sha256(List<Path> files) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      byte[] buffer = new byte[1 << 20];
      for (Path file : files) {
        try (InputStream in = Files.newInputStream(file)) {
          int count;
          while ((count = in.read(buffer)) >= 0) {
            digest.update(buffer, 0, count);
          }
        } catch (IOException e) {
          throw new UncheckedIOException("Cannot read " + file + ": " + Reason.of(e), e);
        }
      }
      return HexFormat.of().formatHex(digest.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }
}
