package dev.precis.ffi;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.JarURLConnection;
import java.net.URI;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.jar.JarEntry;

/**
 * Native libraries out of their jars. Each is unpacked once, below {@code PRECIS_CACHE_DIR}
 * (default {@code ~/.cache/precis}), into a folder named after the checksum that the jar keeps of
 * it: to find it again takes no reading of it, at the start of every run.
 */
public final class NativeCache {
  private NativeCache() {}

  /**
   * The file of a resource: itself where the class path holds it as a file, else its unpacked copy.
   *
   * @param file the name that the copy has
   * @throws UncheckedIOException where it cannot be unpacked
   */
  public static Path unpack(URL resource, String file) {
    String configured = System.getenv("PRECIS_CACHE_DIR");
    return unpack(
        resource,
        file,
        configured != null
            ? Path.of(configured)
            : Path.of(System.getProperty("user.home"), ".cache", "precis"));
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
