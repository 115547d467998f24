package dev.precis.checkpoint;

import dev.precis.io.InvalidInputException;
import dev.precis.io.PlainPath;
import dev.precis.io.Reason;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.util.Arrays;

/**
 * A weight file that is mapped, read-only.
 *
 * <p>The file must stay as it is while it is in use: a page that another program cuts off is a
 * signal that ends the process where a kernel reads it. So whatever is small is read with Java's
 * own calls, which turn such a fault into an exception, {@link #requireUnchanged} compares size and
 * time of change before and after the weights are packed, and nothing of the file is read later.
 * The rest of the risk, a file that shrinks while one of its tensors is being packed, remains:
 * programs that replace a model's file should write a new one and rename it, as this one does.
 */
final class MappedFile {
  private static final byte[] LFS =
      "version https://git-lfs.github.com/spec/".getBytes(StandardCharsets.US_ASCII);

  private final Path file;
  private final MemorySegment bytes;
  private final long size;
  private final FileTime modified;

  private MappedFile(Path file, MemorySegment bytes, long size, FileTime modified) {
    this.file = file;
    this.bytes = bytes;
    this.size = size;
    this.modified = modified;
  }

  /** Maps the whole file, read-only. A Git LFS pointer in its place is an error that says so. */
  static MappedFile map(Path file, Arena arena) {
    PlainPath.require(file);
    if (!Files.isRegularFile(file)) {
      throw new InvalidInputException(
          file + (Files.exists(file) ? " is not a file" : " does not exist"));
    }
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      FileTime modified = Files.getLastModifiedTime(file);
      long size = channel.size();
      ByteBuffer start = ByteBuffer.allocate(LFS.length);
      channel.read(start, 0);
      if (Arrays.equals(start.array(), LFS)) {
        throw new InvalidInputException(
            file
                + " is a Git LFS pointer and not the weights: run \"git lfs pull\" in its folder,"
                + " or \"precis download\"");
      }
      MemorySegment bytes = channel.map(FileChannel.MapMode.READ_ONLY, 0, size, arena).asReadOnly();
      return new MappedFile(file, bytes, size, modified);
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot read " + file + ": " + Reason.of(e), e);
    }
  }

  /** Returns the whole file's bytes. */
  MemorySegment bytes() {
    return bytes;
  }

  /**
   * Makes sure that the file is as it was when it was mapped.
   *
   * @throws InvalidInputException if it has another size or time of change
   */
  void requireUnchanged() {
    try {
      if (Files.size(file) == size && Files.getLastModifiedTime(file).equals(modified)) {
        return;
      }
    } catch (NoSuchFileException e) {
      return; // removed or renamed: the mapping keeps what it had
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot read " + file + ": " + Reason.of(e), e);
    }
    throw changed(file);
  }

  /** Returns the exception for a file that another program changed. */
  static InvalidInputException changed(Path file) {
    return new InvalidInputException(
        file + " was changed while it was read: wait until it is complete and start again");
  }

  /**
   * Returns the same bytes at an address that is a multiple of {@code alignment}: the segment
   * itself or a copy.
   */
  static MemorySegment aligned(MemorySegment data, long alignment, Arena arena) {
    if (data.address() % alignment == 0) {
      return data;
    }
    return arena.allocate(data.byteSize(), alignment).copyFrom(data).asReadOnly();
  }
}
