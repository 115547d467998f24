package dev.precis.io;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.JarURLConnection;
import java.net.URI;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Locale;
import java.util.jar.JarEntry;

/**
 * Unpacks native libraries from their jars. Each is unpacked once, below the {@link CacheFolder},
 * into a folder named after the checksum that the jar stores for it: later runs find it without
 * reading the library.
 */
public final class NativeCache {
  private NativeCache() {}

  /** Returns {@code linux-x86_64} or the like: the folder name below {@code /native} in a jar. */
  public static String platform() {
    String os = System.getProperty("os.name").toLowerCase(Locale.ROOT);
    String arch = System.getProperty("os.arch").toLowerCase(Locale.ROOT);
    return (os.startsWith("mac") ? "macos" : os.startsWith("windows") ? "windows" : os)
        + "-"
        + (arch.equals("amd64") ? "x86_64" : arch.equals("arm64") ? "aarch64" : arch);
  }

  /**
   * Returns the file of a resource: the resource itself if the class path holds it as a file, else
   * its unpacked copy.
   *
   * @param file the name that the copy has
   * @throws UncheckedIOException if it cannot be unpacked
   */
  public static Path unpack(URL resource, String file) {
    return unpack(resource, file, CacheFolder.of(System.getenv()));
  }

  static Path unpack(URL resource, String file, Path cache) {
    try {
      if (!(resource.openConnection() instanceof JarURLConnection connection)) {
        return Path.of(URI.create(resource.toString()));
      }
      JarEntry entry = connection.getJarEntry();
      Path folder = cache.resolve(Long.toHexString(entry.getCrc()) + "-" + entry.getSize());
      Path target = folder.resolve(file).toAbsolutePath();
      if (!Files.isRegularFile(target) || Files.size(target) != entry.getSize()) {
        Files.createDirectories(folder);
        Path part = Files.createTempFile(folder, file, ".part");
        try (InputStream in = connection.getInputStream()) {
          Files.copy(in, part, StandardCopyOption.REPLACE_EXISTING);
          // Another process may have been faster; the bytes are the same.
          Files.move(part, target, StandardCopyOption.ATOMIC_MOVE);
        } finally {
          Files.deleteIfExists(part);
        }
      }
      return target;
    } catch (IOException e) {
      throw new UncheckedIOException(
          "Cannot unpack "
              + file
              + " ("
              + e.getMessage()
              + "); set PRECIS_CACHE_DIR to a folder that can be written to",
          e);
    }
  }
}
