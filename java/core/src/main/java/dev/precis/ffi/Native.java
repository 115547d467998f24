package dev.precis.ffi;

import dev.precis.io.LibraryLoader;
import dev.precis.io.NativeCache;
import java.io.UncheckedIOException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Finds libprecis and loads it once, never from the network:
 *
 * <ol>
 *   <li>the folder or file that the property {@code precis.native.path} or else the environment
 *       variable {@code PRECIS_NATIVE_PATH} names,
 *   <li>the class path's or module path's {@code /native/<os>-<arch>/libprecis.so} ({@code .dylib}
 *       on macOS), unpacked once into a folder named after its checksum below {@code
 *       PRECIS_CACHE_DIR} (default {@code ~/.cache/precis}),
 *   <li>{@code java.library.path}.
 * </ol>
 */
public final class Native {
  private static final String LIBRARY = System.mapLibraryName("precis");

  private Native() {}

  private static final class Holder {
    static final Path PATH;
    static final Throwable FAILURE; // kept, so that whoever asks later hears the same

    static {
      Path path = null;
      Throwable failure = null;
      try {
        path = load();
      } catch (UncheckedIOException | UnsatisfiedLinkError e) {
        failure = e;
      }
      PATH = path;
      FAILURE = failure;
    }
  }

  /**
   * Loads the library unless it is loaded already, and returns the file that it came from.
   *
   * @throws UnsatisfiedLinkError if there is none that can be loaded
   */
  public static Path library() {
    if (Holder.FAILURE != null) {
      UnsatisfiedLinkError error = new UnsatisfiedLinkError(Holder.FAILURE.getMessage());
      error.initCause(Holder.FAILURE);
      throw error;
    }
    return Holder.PATH;
  }

  private static Path load() {
    List<String> tried = new ArrayList<>();
    String named = System.getProperty("precis.native.path");
    if (named == null) {
      named = System.getenv("PRECIS_NATIVE_PATH");
    }
    if (named != null) {
      Path path = Path.of(named).toAbsolutePath();
      if (Files.isDirectory(path)) {
        path = path.resolve(LIBRARY);
      }
      // A path that was asked for is not silently replaced by another library.
      return loadFile(path, "precis.native.path or PRECIS_NATIVE_PATH");
    }
    String resource = "native/" + NativeCache.platform() + "/" + LIBRARY;
    // The library may be in a jar of its own. In a named module, the class would look for it in its
    // own module alone; its loader looks everywhere.
    URL url = Native.class.getClassLoader().getResource(resource);
    if (url != null) {
      return loadFile(NativeCache.unpack(url, LIBRARY), "class path");
    }
    tried.add("class path " + resource);
    try {
      System.loadLibrary("precis");
      return Path.of(LIBRARY);
    } catch (UnsatisfiedLinkError e) {
      tried.add("java.library.path " + System.getProperty("java.library.path"));
    }
    throw new UnsatisfiedLinkError(
        "No "
            + LIBRARY
            + " for "
            + NativeCache.platform()
            + " in "
            + String.join(", ", tried)
            + "; set PRECIS_NATIVE_PATH to the folder that holds it.");
  }

  private static Path loadFile(Path path, String source) {
    try {
      LibraryLoader.load(path);
      return path;
    } catch (UnsatisfiedLinkError e) {
      UnsatisfiedLinkError error =
          new UnsatisfiedLinkError(
              "Cannot load " + path + " (from " + source + "): " + e.getMessage());
      error.initCause(e);
      throw error;
    }
  }
}
