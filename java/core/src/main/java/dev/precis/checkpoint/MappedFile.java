package dev.precis.checkpoint;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Reason;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;

/** Maps weight files. */
final class MappedFile {
  private static final byte[] LFS =
      "version https://git-lfs.github.com/spec/".getBytes(StandardCharsets.US_ASCII);

  private MappedFile() {}

  /** Maps the whole file, read-only. A Git LFS pointer in its place is an error that says so. */
  static MemorySegment map(Path file, Arena arena) {
    if (!Files.isRegularFile(file)) {
      throw new InvalidInputException(
          file + (Files.exists(file) ? " is not a file" : " does not exist"));
    }
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      MemorySegment bytes =
          channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena).asReadOnly();
      if (startsWith(bytes, LFS)) {
        throw new InvalidInputException(
            file
                + " is a Git LFS pointer and not the weights: run \"git lfs pull\" in its folder,"
                + " or \"precis download\"");
      }
      return bytes;
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot read " + file + ": " + Reason.of(e), e);
    }
  }

  private static boolean startsWith(MemorySegment bytes, byte[] prefix) {
    return bytes.byteSize() >= prefix.length
        && Arrays.equals(bytes.asSlice(0, prefix.length).toArray(ValueLayout.JAVA_BYTE), prefix);
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
