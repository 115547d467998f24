package dev.precis.io;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/** Reads whole files up to a limit: a wrong file name must not fill the memory. */
public final class BoundedFile {
  private BoundedFile() {}

  /**
   * Reads a file.
   *
   * @param limit the most bytes that it may have
   * @param kind what the file is, for the message, such as {@code JSON}
   * @throws InvalidInputException if it does not exist or is longer than the limit
   * @throws UncheckedIOException if it cannot be read
   */
  public static byte[] read(Path file, long limit, String kind) {
    PlainPath.require(file);
    try {
      long size = Files.size(file);
      if (size > limit) {
        throw new InvalidInputException(
            "%s is %d bytes long, more than the %d that %s may be"
                .formatted(file, size, limit, kind));
      }
      return Files.readAllBytes(file);
    } catch (NoSuchFileException e) {
      throw new InvalidInputException(file + " does not exist", e);
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot read " + file + ": " + Reason.of(e), e);
    }
  }

  /**
   * Reads a UTF-8 file; see {@link #read}.
   *
   * @throws InvalidInputException also if it is not UTF-8
   */
  public static String readText(Path file, long limit, String kind) {
    return Utf8.decode(ByteBuffer.wrap(read(file, limit, kind)), file.toString());
  }
}
