package dev.precis.io;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.JarURLConnection;
import java.net.URI;
import java.net.URL;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.jar.JarEntry;
import java.util.zip.CRC32;

/**
 * Unpacks native libraries from their jars. Each is unpacked once, below the {@link CacheFolder},
 * into a folder named after the checksum that the jar stores for it. A copy is checked against that
 * checksum each time before it is used, which takes milliseconds: a copy that a full disk or a
 * power cut has damaged would end the process, so it is unpacked again.
 */
public final class NativeCache {
  private NativeCache() {}

  /** Returns {@code linux-x86_64} or the like: the folder name below {@code /native} in a jar. */
  public static String platform() {
    return platform(System.getProperty("os.name"), System.getProperty("os.arch"));
  }

  static String platform(String osName, String osArch) {
    String os = osName.toLowerCase(Locale.ROOT);
    String arch = osArch.toLowerCase(Locale.ROOT);
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
      if (!isWhole(target, entry)) {
        Files.createDirectories(folder);
        byte[] library;
        try (InputStream in = connection.getInputStream()) {
          library = in.readAllBytes();
        }
        // Another process may be as far; the bytes are the same, and the last rename wins.
        AtomicFile.write(target, channel -> writeAll(ByteBuffer.wrap(library), channel));
        if (!isWhole(target, entry)) {
          throw new IOException("the copy does not have the checksum that the jar states");
        }
      }
      return target;
    } catch (IOException e) {
      throw cannotUnpack(file, Reason.of(e), e);
    } catch (UncheckedIOException e) {
      throw cannotUnpack(file, e.getMessage(), e.getCause());
    }
  }

  private static UncheckedIOException cannotUnpack(String file, String reason, IOException cause) {
    return new UncheckedIOException(
        "Cannot unpack "
            + file
            + " ("
            + reason
            + "); set PRECIS_CACHE_DIR to a folder that can be written to",
        cause);
  }

  private static void writeAll(ByteBuffer bytes, FileChannel channel) throws IOException {
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }

  /** Returns true if a copy has the length and the checksum of the jar's entry. */
  private static boolean isWhole(Path copy, JarEntry entry) throws IOException {
    if (!Files.isRegularFile(copy) || Files.size(copy) != entry.getSize()) {
      return false;
    }
    CRC32 checksum = new CRC32();
    byte[] buffer = new byte[1 << 20];
    try (InputStream in = Files.newInputStream(copy)) {
      for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
        checksum.update(buffer, 0, n);
      }
    }
    return checksum.getValue() == entry.getCrc();
  }
}
