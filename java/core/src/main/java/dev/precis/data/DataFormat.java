package dev.precis.data;

import java.util.Locale;
import java.util.Optional;

/** The formats of files, by the ends of their names. */
enum DataFormat {
  JSON_LINES("jsonl"),
  JSON_LIST("json"),
  CSV("csv"),
  TSV("tsv"),
  TEXT("txt"),
  PARQUET("parquet"),
  ARROW("arrow");

  private final String extension;

  DataFormat(String extension) {
    this.extension = extension;
  }

  String extension() {
    return extension;
  }

  /** Returns true if files of this format are also read compressed. */
  boolean isText() {
    return this != PARQUET && this != ARROW;
  }

  /**
   * Returns the compression that a name ends in, {@code gz} or {@code zst}; empty if it does not.
   */
  static String compression(String name) {
    String lower = name.toLowerCase(Locale.ROOT);
    return lower.endsWith(".gz") ? "gz" : lower.endsWith(".zst") ? "zst" : "";
  }

  /** Returns the format of a file of that name; empty if there is none. */
  static Optional<DataFormat> of(String name) {
    String compression = compression(name);
    String plain =
        compression.isEmpty() ? name : name.substring(0, name.length() - compression.length() - 1);
    DataFormat format =
        switch (plain.substring(plain.lastIndexOf('.') + 1).toLowerCase(Locale.ROOT)) {
          case "jsonl", "ndjson" -> JSON_LINES;
          case "json" -> JSON_LIST;
          case "csv" -> CSV;
          case "tsv", "tab" -> TSV;
          case "txt" -> TEXT;
          case "parquet" -> PARQUET;
          case "arrow", "feather" -> ARROW;
          default -> null;
        };
    return format == null || plain.indexOf('.') < 0 || !compression.isEmpty() && !format.isText()
        ? Optional.empty()
        : Optional.of(format);
  }

  /** Returns a file's name without the ends that tell format and compression. */
  static String baseName(String name) {
    int end = name.length() - (compression(name).isEmpty() ? 0 : compression(name).length() + 1);
    int dot = name.lastIndexOf('.', end - 1);
    return dot < 0 ? name : name.substring(0, dot);
  }
}
