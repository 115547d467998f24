package dev.precis.checkpoint;

import dev.precis.io.AtomicFile;
import dev.precis.io.CacheFolder;
import dev.precis.io.InvalidInputException;
import java.io.IOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A folder in which {@link PackedWeights} are kept between runs, one file for each model and type.
 * The files that were used least recently go when all of them take more than the limit.
 */
public final class WeightsCache {
  /** End of the names of files with packed weights. */
  static final String SUFFIX = ".safetensors";

  /** The limit by default, in bytes. */
  public static final long DEFAULT_LIMIT = 16L << 30;

  /** Bytes of weights that are packed about as fast as they are found. */
  private static final long SMALLEST = 32 << 20;

  private static final Duration ABANDONED = Duration.ofHours(1);

  private final Path folder;
  private final long limit;
  private final long smallest;

  /**
   * Makes a cache in a folder, which is created when it is needed.
   *
   * @param limit bytes of all files together, at most
   * @param smallest bytes below which weights are not kept
   */
  public WeightsCache(Path folder, long limit, long smallest) {
    this.folder = folder;
    this.limit = limit;
    this.smallest = smallest;
  }

  /**
   * Returns the cache that the environment describes: {@code PRECIS_WEIGHTS_CACHE} is {@code off}
   * or the limit, such as {@code 500M} or {@code 40G}; the folder is {@code weights} below {@code
   * PRECIS_CACHE_DIR} (default {@code ~/.cache/precis}).
   *
   * @throws InvalidInputException if the variable is neither
   */
  public static Optional<WeightsCache> of(Map<String, String> environment) {
    String limit = environment.getOrDefault("PRECIS_WEIGHTS_CACHE", "").strip();
    if (limit.equalsIgnoreCase("off")) {
      return Optional.empty();
    }
    Path home = CacheFolder.of(environment);
    return Optional.of(
        new WeightsCache(
            home.resolve("weights"), limit.isEmpty() ? DEFAULT_LIMIT : bytes(limit), SMALLEST));
  }

  private static long bytes(String size) {
    int unit = "MG".indexOf(Character.toUpperCase(size.charAt(size.length() - 1)));
    String digits = size.substring(0, size.length() - 1);
    if (unit < 0 || !digits.matches("\\d{1,9}")) {
      throw new InvalidInputException(
          "PRECIS_WEIGHTS_CACHE must be off or a size such as 500M or 40G, not '" + size + "'");
    }
    return Long.parseLong(digits) << (unit == 0 ? 20 : 30);
  }

  /** Returns the folder of the files. */
  public Path folder() {
    return folder;
  }

  /** Returns the bytes that all files may take together. */
  public long limit() {
    return limit;
  }

  /** Returns the bytes that all files take together. */
  public long size() {
    long size = 0;
    for (Kept each : kept()) {
      size += each.bytes;
    }
    return size;
  }

  /** Makes the folder, for its owner alone: a model may be nobody else's business. */
  void create() throws IOException {
    if (Files.isDirectory(folder)) {
      return;
    }
    Files.createDirectories(folder.toAbsolutePath().getParent());
    try {
      Files.createDirectory(
          folder,
          PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    } catch (UnsupportedOperationException e) {
      Files.createDirectory(folder);
    }
  }

  /**
   * Returns true if so many bytes are worth keeping and leave at least as much free on the disk.
   */
  boolean admits(long bytes) throws IOException {
    return bytes >= smallest
        && bytes <= limit
        && Files.getFileStore(folder).getUsableSpace() / 2 >= bytes;
  }

  /** Marks a file as used now. */
  static void touch(Path file) {
    try {
      Files.setLastModifiedTime(file, FileTime.from(Instant.now()));
    } catch (IOException e) {
      // A cache that cannot be written to can still be read.
    }
  }

  /**
   * Removes what is too much, the file that was just written last, and what writers left behind.
   */
  void evict(Path written) throws IOException {
    List<Kept> all = kept();
    all.sort(Comparator.comparing(Kept::used));
    Instant abandoned = Instant.now().minus(ABANDONED);
    long size = size();
    for (Kept each : all) {
      boolean partial = each.path.toString().endsWith(AtomicFile.TEMPORARY);
      if (partial
          ? each.used.toInstant().isBefore(abandoned)
          : size > limit && !each.path.equals(written)) {
        // Who has mapped it keeps it.
        Files.deleteIfExists(each.path);
        size -= each.bytes;
      }
    }
  }

  private record Kept(Path path, long bytes, FileTime used) {}

  private List<Kept> kept() {
    List<Kept> all = new ArrayList<>();
    String ours = "*{" + SUFFIX + "," + AtomicFile.TEMPORARY + "}";
    try (DirectoryStream<Path> paths = Files.newDirectoryStream(folder, ours)) {
      for (Path path : paths) {
        try {
          all.add(new Kept(path, Files.size(path), Files.getLastModifiedTime(path)));
        } catch (IOException e) {
          // Another process has removed it meanwhile.
        }
      }
    } catch (IOException | DirectoryIteratorException e) {
      // No folder that can be read, no files.
    }
    return all;
  }
}
