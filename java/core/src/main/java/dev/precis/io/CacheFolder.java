package dev.precis.io;

import java.nio.file.Path;
import java.util.Map;

/** The folder in which files are kept between runs. */
public final class CacheFolder {
  private CacheFolder() {}

  /** Returns {@code PRECIS_CACHE_DIR} of an environment, or {@code ~/.cache/precis}. */
  public static Path of(Map<String, String> environment) {
    String configured = environment.get("PRECIS_CACHE_DIR");
    return configured != null
        ? Path.of(configured)
        : Path.of(System.getProperty("user.home"), ".cache", "precis");
  }
}
