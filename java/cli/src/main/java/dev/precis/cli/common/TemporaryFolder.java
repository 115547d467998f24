package dev.precis.cli.common;

import dev.precis.io.FileTree;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** A folder that is removed when it is closed, or when a signal ends the process. */
public final class TemporaryFolder implements AutoCloseable {
  private static final int ATTEMPTS = 100;

  private final Path path;
  private final Thread hook = new Thread(this::remove);

  private TemporaryFolder(Path path) {
    this.path = path;
    Runtime.getRuntime().addShutdownHook(hook);
  }

  /** Makes a folder among the system's temporary ones; the caller must close it. */
  public static TemporaryFolder create(String prefix) {
    try {
      return new TemporaryFolder(Files.createTempDirectory(prefix));
    } catch (IOException e) {
      throw new UncheckedIOException(
          "Cannot make a folder in %s: %s"
              .formatted(System.getProperty("java.io.tmpdir"), e.getMessage()),
          e);
    }
  }

  /** Takes over a folder that exists already, hidden beside its final place. */
  static TemporaryFolder of(Path path) {
    return new TemporaryFolder(path);
  }

  /** Returns the folder. */
  public Path path() {
    return path;
  }

  /** Removes the folder; at the end of the process, another thread may still be writing to it. */
  private void remove() {
    for (int i = 0; i < ATTEMPTS && Files.exists(path); i++) {
      FileTree.delete(path);
    }
  }

  @Override
  public void close() {
    FileTree.delete(path);
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      // The process is ending, and the hook removes what another thread still writes.
    }
  }
}
