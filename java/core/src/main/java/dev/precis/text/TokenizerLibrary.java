package dev.precis.text;

import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.JarURLConnection;
import java.net.URL;
import java.net.URLConnection;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Locale;

/**
 * Loads the native tokenizers out of their jar, once in a process.
 *
 * <p>The jar's own loader first asks the CUDA run time for devices, downloads another build of the
 * library where it finds one, and reports its use over the network. This one unpacks the file for
 * the processor into the user's cache and loads it: a third of the time, and no network.
 */
final class TokenizerLibrary {
  private TokenizerLibrary() {}

  /** The loaded library: touching it loads it. */
  static TokenizersLibrary get() {
    return Holder.LIBRARY;
  }

  private static final class Holder {
    static final TokenizersLibrary LIBRARY = load();

    private static TokenizersLibrary load() {
      try {
        System.load(unpack().toString());
        return TokenizersLibrary.LIB;
      } catch (IOException e) {
        throw new UncheckedIOException("Cannot unpack the native tokenizers: " + e.getMessage(), e);
      }
    }
  }

  private static Path unpack() throws IOException {
    String file = System.mapLibraryName("tokenizers");
    String resource = "/native/lib/" + platform() + "/cpu/" + file;
    URL url = TokenizersLibrary.class.getResource(resource);
    if (url == null) {
      throw new FileNotFoundException("there is no build of them for " + platform());
    }
    URLConnection connection = url.openConnection();
    long size = connection.getContentLengthLong();
    long checksum = connection instanceof JarURLConnection jar ? jar.getJarEntry().getCrc() : 0;
    Path folder = cache().resolve("tokenizers-%08x-%d".formatted(checksum, size));
    Path library = folder.resolve(file);
    if (!Files.isRegularFile(library) || Files.size(library) != size) {
      Files.createDirectories(folder);
      Path temporary = Files.createTempFile(folder, "unpacking", ".tmp");
      try (InputStream in = connection.getInputStream()) {
        Files.copy(in, temporary, StandardCopyOption.REPLACE_EXISTING);
        Files.move(temporary, library, StandardCopyOption.ATOMIC_MOVE);
      } finally {
        Files.deleteIfExists(temporary);
      }
    }
    return library.toAbsolutePath();
  }

  private static String platform() {
    String system = System.getProperty("os.name").toLowerCase(Locale.ROOT);
    String processor = System.getProperty("os.arch");
    return (system.startsWith("mac") ? "osx" : system.split(" ")[0])
        + "-"
        + (processor.equals("amd64") ? "x86_64" : processor);
  }

  private static Path cache() {
    String own = System.getenv("PRECIS_CACHE_DIR");
    if (own != null && !own.isBlank()) {
      return Path.of(own);
    }
    String users = System.getenv("XDG_CACHE_HOME");
    return users != null && !users.isBlank()
        ? Path.of(users, "precis")
        : Path.of(System.getProperty("user.home"), ".cache", "precis");
  }
}
