package dev.precis.server.http;

import dev.precis.io.BoundedFile;
import dev.precis.io.FileDigest;
import dev.precis.io.InvalidInputException;
import java.nio.file.Path;
import java.security.MessageDigest;

/** The key that clients must send. Only its hash is kept, and nothing shows it. */
public final class ApiKey {
  private static final int MIN_LENGTH = 16;
  private static final int MAX_LENGTH = 4096;

  private final byte[] hash;

  private ApiKey(byte[] hash) {
    this.hash = hash;
  }

  /**
   * Takes a key; white space around it is no part of it.
   *
   * @param where names its source in the message
   * @throws InvalidInputException if it is too short, or has anything but visible ASCII characters
   */
  public static ApiKey of(String key, String where) {
    String stripped = key.strip();
    if (stripped.length() < MIN_LENGTH || stripped.length() > MAX_LENGTH) {
      throw new InvalidInputException(
          "%s must hold a key of %d to %,d characters, not %,d"
              .formatted(where, MIN_LENGTH, MAX_LENGTH, stripped.length()));
    }
    if (!stripped.chars().allMatch(c -> c > ' ' && c < 127)) {
      throw new InvalidInputException(
          where + " must hold a key of ASCII letters, digits and signs, without spaces");
    }
    return new ApiKey(sha256(stripped));
  }

  /**
   * Reads a key from a file.
   *
   * @throws InvalidInputException if it cannot be read, or holds no key
   */
  public static ApiKey read(Path file) {
    return of(BoundedFile.readText(file, MAX_LENGTH + 64L, "a key"), file.toString());
  }

  /** Compares a key in a time that does not depend on how much of it is right. */
  boolean matches(String key) {
    return MessageDigest.isEqual(hash, sha256(key));
  }

  private static byte[] sha256(String text) {
    return FileDigest.sha256().add(text).bytes();
  }

  @Override
  public String toString() {
    return "ApiKey";
  }
}
