package dev.precis.cli.common;

import dev.precis.io.AtomicFile;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Reason;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.stream.Stream;

/**
 * A folder that a command writes. It must be new or empty, and its files appear when all of them
 * are complete: until then they have a hidden name beside it, which a command that fails or is
 * ended by a signal removes.
 */
public final class OutputFolder implements AutoCloseable {
  private final Path folder;
  private final boolean exists;
  private final TemporaryFolder temporary;

  private OutputFolder(Path folder) {
    this.folder = folder;
    exists = Files.exists(folder);
    // A folder that exists may be a mount, which cannot be replaced.
    Path hidden = AtomicFile.temporary(exists ? folder.resolve("output") : folder.toAbsolutePath());
    try {
      Files.createDirectories(hidden);
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot write " + folder + ": " + Reason.of(e), e);
    }
    temporary = TemporaryFolder.of(hidden);
  }

  /**
   * Begins to write a folder. The caller must close it.
   *
   * @throws InvalidInputException where it holds something, or is a file
   */
  public static OutputFolder create(Path folder) {
    requireNewOrEmpty(folder);
    return new OutputFolder(folder);
  }

  /**
   * Refuses a folder that holds something, and a file.
   *
   * @throws InvalidInputException where it is one of them
   */
  public static void requireNewOrEmpty(Path folder) {
    if (Files.exists(folder) && !(Files.isDirectory(folder) && entries(folder).isEmpty())) {
      throw new InvalidInputException(folder + " already exists: name a new or an empty folder");
    }
  }

  private static List<Path> entries(Path folder) {
    try (Stream<Path> all = Files.list(folder)) {
      return all.sorted().toList();
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot read " + folder + ": " + Reason.of(e), e);
    }
  }

  /** Returns the folder to write to until {@link #commit}. */
  public Path path() {
    return temporary.path();
  }

  /** Gives the files their place. */
  public void commit() {
    try {
      AtomicFile.syncFolder(path());
      if (exists) {
        for (Path file : entries(path())) {
          Files.move(file, folder.resolve(file.getFileName()), StandardCopyOption.ATOMIC_MOVE);
        }
        AtomicFile.syncFolder(folder);
      } else {
        Files.move(path(), folder, StandardCopyOption.ATOMIC_MOVE);
        AtomicFile.syncFolder(folder.toAbsolutePath().getParent());
      }
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot write " + folder + ": " + Reason.of(e), e);
    }
  }

  /** Removes what was written and not committed. */
  @Override
  public void close() {
    temporary.close();
  }
}
