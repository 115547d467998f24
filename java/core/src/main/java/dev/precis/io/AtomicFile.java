package dev.precis.io;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.UUID;

/** Files that are either completely there or as they were before. */
public final class AtomicFile {
  /** End of the names from {@link #temporary}. */
  public static final String TEMPORARY = ".tmp";

  private AtomicFile() {}

  /** Writes a file's content to a channel. */
  @FunctionalInterface
  public interface Content {
    void writeTo(FileChannel channel) throws IOException;
  }

  /**
   * Writes to a temporary name in the same folder, syncs it to the disk and renames it to {@code
   * file}, replacing what was there. Killed or failing at any moment, it leaves {@code file} as it
   * was; failing, it also removes the temporary file.
   *
   * @throws UncheckedIOException if writing fails, for example because the disk is full
   */
  public static void write(Path file, Content content) {
    write(file, true, content);
  }

  /**
   * Writes a file as {@link #write(Path, Content)} does; without {@code sync}, a file after a power
   * cut may have the right length and wrong bytes.
   */
  public static void write(Path file, boolean sync, Content content) {
    Path folder = PlainPath.require(file).toAbsolutePath().getParent();
    Path temporary = temporary(file);
    try {
      try (FileChannel channel =
          FileChannel.open(temporary, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
        content.writeTo(channel);
        if (sync) {
          channel.force(true);
        }
      }
      Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE);
      if (sync) {
        syncFolder(folder);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(
          "Cannot write " + file + ", which stays as it was: " + Reason.of(e), e);
    } finally {
      try {
        Files.deleteIfExists(temporary);
      } catch (IOException e) {
        // The file itself is right or its error is on its way; a leftover is no second error.
      }
    }
  }

  /** Writes a text as UTF-8, as {@link #write(Path, Content)} does. */
  public static void writeText(Path file, String text) {
    write(
        file,
        channel -> {
          ByteBuffer bytes = ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
          while (bytes.hasRemaining()) {
            channel.write(bytes);
          }
        });
  }

  /** Returns a hidden name in the same folder that nobody else uses. */
  public static Path temporary(Path file) {
    return file.resolveSibling("." + file.getFileName() + "." + UUID.randomUUID() + TEMPORARY);
  }

  /** Makes a rename in the folder survive a power cut, on systems where folders can be synced. */
  public static void syncFolder(Path folder) {
    try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
      channel.force(true);
    } catch (IOException e) {
      // Windows has no such call; the rename itself is atomic all the same.
    }
  }
}
