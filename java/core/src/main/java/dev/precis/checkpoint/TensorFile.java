package dev.precis.checkpoint;

import dev.precis.io.InvalidInputException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;

/** One file of weights, checked when it was opened; safe to use from several threads. */
interface TensorFile {
  Path path();

  /** Returns the names in the file's order. */
  Set<String> names();

  /** Returns the tensor of a name from {@link #names}; its data are aligned to its element. */
  TensorView get(String name);

  /**
   * Makes sure that the file is as it was when it was opened.
   *
   * @throws InvalidInputException if another program changed it
   */
  void requireUnchanged();

  /** Returns the texts stored beside the tensors. */
  Map<String, String> metadata();

  /**
   * Makes an exception "FILE WHAT", fit for a terminal: names that come from the file can hold
   * control characters and be of any length.
   */
  static InvalidInputException invalid(Path file, String what) {
    String shown = what.replaceAll("\\p{Cntrl}", "?");
    if (shown.length() > 600) {
      shown = shown.substring(0, 600) + "...";
    }
    return new InvalidInputException(file + " " + shown);
  }
}
