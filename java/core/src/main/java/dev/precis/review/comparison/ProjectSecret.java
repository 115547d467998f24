package dev.precis.review.comparison;

import dev.precis.io.BoundedFile;
import dev.precis.io.InvalidInputException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.security.SecureRandom;
import java.util.Arrays;
import java.util.HexFormat;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * The secret of a project, from which the annotators' tokens and the ids of their tasks are
 * derived. Its file can be read by its owner alone.
 */
final class ProjectSecret {
  private static final String NAME = "secret";
  private static final String HMAC = "HmacSHA256";
  private static final int BYTES = 32;

  private final byte[] key;

  private ProjectSecret(byte[] key) {
    this.key = key;
  }

  /** Draws a secret and writes it into a new file of a folder. */
  static void create(Path folder) throws IOException {
    byte[] key = new byte[BYTES];
    new SecureRandom().nextBytes(key);
    FileAttribute<?>[] owner =
        FileSystems.getDefault().supportedFileAttributeViews().contains("posix")
            ? new FileAttribute<?>[] {
              PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"))
            }
            : new FileAttribute<?>[0];
    Path file = Files.createFile(folder.resolve(NAME), owner);
    Files.writeString(file, HexFormat.of().formatHex(key) + "\n");
  }

  /**
   * Reads the secret of a folder.
   *
   * @throws InvalidInputException if there is none
   */
  static ProjectSecret read(Path folder) {
    Path file = folder.resolve(NAME);
    String text = BoundedFile.readText(file, 1000, "a secret").strip();
    if (!text.matches("[0-9a-f]{%d}".formatted(2 * BYTES))) {
      throw new InvalidInputException(
          file + " must hold " + 2 * BYTES + " hexadecimal digits, as it was made");
    }
    return new ProjectSecret(HexFormat.of().parseHex(text));
  }

  /** Returns bytes that only who has the secret can compute, different for different parts. */
  byte[] derive(int length, String... parts) {
    try {
      Mac mac = Mac.getInstance(HMAC);
      mac.init(new SecretKeySpec(key, HMAC));
      for (String part : parts) {
        byte[] bytes = part.getBytes(StandardCharsets.UTF_8);
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        mac.update((bytes.length + ":").getBytes(StandardCharsets.UTF_8));
        mac.update(bytes);
      }
      return Arrays.copyOf(mac.doFinal(), length);
    } catch (GeneralSecurityException e) {
      throw new AssertionError("every Java platform has " + HMAC, e);
    }
  }
}
