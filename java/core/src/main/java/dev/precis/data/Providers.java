package dev.precis.data;

import dev.precis.io.InvalidInputException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.function.Predicate;

/** Finds the readers of formats that are in modules of their own. */
final class Providers {
  private static final String MODULE = "dev.precis:precis-data-parquet";

  private Providers() {}

  /** Returns the reader of Parquet. */
  static TableFormat table(String extension, Path file) {
    return find(TableFormat.class, format -> format.extension().equals(extension))
        .orElseThrow(() -> missing(file, "Parquet"));
  }

  /** Returns the decompression of Zstandard. */
  static CompressionFormat compression(String extension, Path file) {
    return find(CompressionFormat.class, format -> format.extension().equals(extension))
        .orElseThrow(() -> missing(file, "Zstandard"));
  }

  private static InvalidInputException missing(Path file, String format) {
    return new InvalidInputException(
        "%s needs a reader of %s: add the dependency %s".formatted(file, format, MODULE));
  }

  /** Looks where this class comes from, and then where the program's own classes come from. */
  private static <S> Optional<S> find(Class<S> service, Predicate<S> wanted) {
    return ServiceLoader.load(service, Providers.class.getClassLoader()).stream()
        .map(ServiceLoader.Provider::get)
        .filter(wanted)
        .findFirst()
        .or(
            () ->
                ServiceLoader.load(service).stream()
                    .map(ServiceLoader.Provider::get)
                    .filter(wanted)
                    .findFirst());
  }
}
