package dev.precis.benchmarks;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.bytedeco.pytorch.global.torch;

/**
 * The build of libtorch in this process, which is loaded once: PyTorch's own, which people install,
 * or bytedeco's. Both have the same C++ interface, so that bytedeco's binding runs on either.
 */
final class TorchLibrary {
  /** The environment variable with the folder of PyTorch's own build. */
  static final String FOLDER = "PRECIS_TORCH";

  private static final String VERSION = "2.13";
  private static final Pattern VERSION_LINE =
      Pattern.compile("^__version__ = '(.*)'$", Pattern.MULTILINE);

  private static String loaded;

  private TorchLibrary() {}

  /**
   * Loads PyTorch's own build, on MKL and oneDNN.
   *
   * @param folder of PyTorch ({@code .../site-packages/torch}) or its {@code lib}; null: unknown
   * @throws IllegalArgumentException where there is none, or another version or build
   */
  static synchronized void loadPyTorch(String folder) {
    if (folder == null || folder.isEmpty()) {
      throw new IllegalArgumentException(
          "torch needs PyTorch's own build: set "
              + FOLDER
              + " to the folder .../site-packages/torch of PyTorch "
              + VERSION
              + ", or choose torch-openblas.");
    }
    Path given = Path.of(folder).toAbsolutePath();
    Path lib = Files.exists(given.resolve("lib/libtorch_cpu.so")) ? given.resolve("lib") : given;
    if (!Files.exists(lib.resolve("libtorch_cpu.so"))) {
      throw new IllegalArgumentException(
          given
              + " holds no PyTorch: set "
              + FOLDER
              + " to a folder .../site-packages/torch, which has lib/libtorch_cpu.so.");
    }
    String version = version(lib.resolveSibling("version.py"));
    if (!version.startsWith(VERSION + ".")) {
      throw new IllegalArgumentException(
          "%s has PyTorch %s, but the binding is of %s: install torch==%s.0, and set %s to it."
              .formatted(given, version, VERSION, VERSION, FOLDER));
    }
    // JavaCPP reads these when it loads its first library, and would else take bytedeco's own.
    System.setProperty("org.bytedeco.javacpp.pathsFirst", "true");
    System.setProperty("org.bytedeco.javacpp.platform.preloadpath", lib.toString());
    System.setProperty("org.bytedeco.javacpp.platform.linkpath", lib.toString());
    // Its cache gets links to the libraries, which the other build would follow.
    Path cache = Path.of(System.getProperty("user.home"), ".javacpp", "cache-of-pytorch");
    System.setProperty("org.bytedeco.javacpp.cachedir", cache.toString());
    load("torch", "mkl", "Install the wheel of torch from PyTorch's index, and set PRECIS_TORCH.");
  }

  /** Loads the build that is in bytedeco's jars, on OpenBLAS. */
  static synchronized void loadBundled() {
    load(
        "torch-openblas",
        "open",
        "Remove what sets org.bytedeco.javacpp.pathsFirst, and try again.");
  }

  private static void load(String name, String blas, String advice) {
    if (loaded != null && !loaded.equals(name)) {
      throw new IllegalArgumentException(
          "This process runs " + loaded + " already: run " + name + " in a process of its own.");
    }
    loaded = name;
    String config = torch.show_config().getString();
    Matcher found = Pattern.compile("BLAS_INFO=(\\w+)").matcher(config);
    String actual = found.find() ? found.group(1) : "unknown";
    if (!actual.equals(blas)) {
      throw new IllegalArgumentException(
          "%s must run on the BLAS library %s, but this libtorch was built with %s. %s"
              .formatted(name, blas, actual, advice));
    }
  }

  /** Returns the version in PyTorch's version.py, such as 2.13.0+cpu. */
  private static String version(Path file) {
    try {
      Matcher line = VERSION_LINE.matcher(Files.readString(file));
      return line.find() ? line.group(1) : "of an unknown version";
    } catch (IOException e) {
      throw new IllegalArgumentException(
          file + ", which tells PyTorch's version, cannot be read: install PyTorch again.", e);
    }
  }
}
