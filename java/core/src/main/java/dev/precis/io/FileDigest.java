package dev.precis.io;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;

/** A checksum over texts and files, in the order in which they are added. */
public final class FileDigest {
  private static final int BUFFER_BYTES = 1 << 20;

  private final MessageDigest digest;

  private FileDigest(String algorithm) {
    try {
      digest = MessageDigest.getInstance(algorithm);
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("Every Java has " + algorithm, e);
    }
  }

  /** Starts a SHA-256. */
  public static FileDigest sha256() {
    return new FileDigest("SHA-256");
  }

  /** Starts a SHA-1, which Git names contents by. */
  public static FileDigest sha1() {
    return new FileDigest("SHA-1");
  }

  /**
   * Returns the SHA-256 of the files' contents one after the other, as {@code cat FILE... |
   * sha256sum} prints it.
   *
   * @throws UncheckedIOException if a file cannot be read
   */
  public static String sha256(List<Path> files) {
    FileDigest digest = sha256();
    files.forEach(digest::add);
    return digest.hex();
  }

  /** Adds bytes. */
  public FileDigest add(byte[] bytes) {
    digest.update(bytes);
    return this;
  }

  /** Adds a text, in UTF-8. */
  public FileDigest add(String text) {
    return add(text.getBytes(StandardCharsets.UTF_8));
  }

  /**
   * Adds the content of a file.
   *
   * @throws UncheckedIOException if it cannot be read
   */
  public FileDigest add(Path file) {
    byte[] buffer = new byte[BUFFER_BYTES];
    try (InputStream in = Files.newInputStream(file)) {
      for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
        digest.update(buffer, 0, n);
      }
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot read " + file + ": " + Reason.of(e), e);
    }
    return this;
  }

  /** Returns the checksum, and starts again. */
  public byte[] bytes() {
    return digest.digest();
  }

  /** Returns the checksum in lower-case hexadecimal digits, and starts again. */
  public String hex() {
    return HexFormat.of().formatHex(bytes());
  }
}
