package dev.precis.io;

import java.nio.file.Path;

/**
 * Paths that can be shown: a name with control characters could write to a terminal what it likes.
 */
public final class PlainPath {
  private PlainPath() {}

  /**
   * Returns the path if it has no control characters.
   *
   * @throws InvalidInputException if it has one; the sentence shows a question mark in its place
   */
  public static Path require(Path path) {
    String text = path.toString();
    for (int i = 0; i < text.length(); i++) {
      if (Character.isISOControl(text.charAt(i))) {
        throw new InvalidInputException(
            text.replaceAll("\\p{Cntrl}|[\\u0080-\\u009f]", "?")
                + " has a control character in its name, which is not supported: rename it");
      }
    }
    return path;
  }
}
