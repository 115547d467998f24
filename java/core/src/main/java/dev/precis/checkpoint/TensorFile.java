package dev.precis.checkpoint;

import dev.precis.io.InvalidInputException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;

/** One file of weights, checked when it was opened; safe to use from several threads. */
interface TensorFile {
  Path path();

  /** Names in the file's order. */
  Set<String> names();

  /** A name from {@link #names}; its data aligned to its element. */
  TensorView get(String name);

  /** The texts stored beside the tensors. */
  Map<String, String> metadata();

  /**
   * "FILE WHAT", fit for a terminal: names that come from the file can hold control characters and
   * be of any length.
   */
  static InvalidInputException invalid(Path file, String what) {
    String shown = what.replaceAll("\\p{Cntrl}", "?");
    if (shown.length() > 600) {
      shown = shown.substring(0, 600) + "...";
    }
    return new InvalidInputException(file + " " + shown);
  }
}
