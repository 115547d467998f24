package dev.precis.io;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

/**
 * Loads native libraries in programs with several class loaders, such as application servers and
 * notebooks. The JVM gives a file to one class loader alone; the others load a copy of it, which
 * has no name any more once it is loaded.
 */
public final class LibraryLoader {
  private LibraryLoader() {}

  /**
   * Loads a library, or a copy of it where another class loader has loaded it already.
   *
   * @throws UnsatisfiedLinkError if the library cannot be loaded, with the reason of the first try
   */
  public static void load(Path library) {
    Path path = library.toAbsolutePath();
    try {
      System.load(path.toString());
    } catch (UnsatisfiedLinkError e) {
      if (!Files.isRegularFile(path) || !loadCopy(path)) {
        throw e;
      }
    }
  }

  private static boolean loadCopy(Path library) {
    List<Path> folders = new ArrayList<>();
    // Beside the library first, for it may look for others there.
    folders.add(library.getParent());
    folders.add(Path.of(System.getProperty("java.io.tmpdir")));
    for (Path folder : folders) {
      Path copy = folder.resolve(UUID.randomUUID() + "-" + library.getFileName());
      try {
        Files.copy(library, copy);
        System.load(copy.toString());
        return true;
      } catch (IOException | UnsatisfiedLinkError e) {
        // The other folder may be writable; a library that cannot be loaded at all fails there too.
      } finally {
        delete(copy);
      }
    }
    return false;
  }

  private static void delete(Path copy) {
    try {
      Files.deleteIfExists(copy);
    } catch (IOException e) {
      // The library stays loaded, and its file is left behind.
    }
  }
}
