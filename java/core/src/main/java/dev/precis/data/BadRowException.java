package dev.precis.data;

import dev.precis.io.InvalidInputException;

/**
 * Thrown if one row cannot be used, while the rows behind it can still be read. {@link BadRows}
 * decides whether that ends the reading or the row is skipped.
 */
public final class BadRowException extends InvalidInputException {
  /** The two kinds of bad rows. */
  public enum Kind {
    /** The row is well-formed, but nothing can be learned from it, such as an empty dialogue. */
    UNUSABLE,
    /** The row is damaged: broken JSON, a wrong type, bytes that are not UTF-8. */
    UNREADABLE
  }

  private final Kind kind;

  private BadRowException(Kind kind, String message, Throwable cause) {
    super(message, cause);
    this.kind = kind;
  }

  /** Returns an exception for a row that nothing can be learned from. */
  public static BadRowException unusable(String message) {
    return new BadRowException(Kind.UNUSABLE, message, null);
  }

  /** Returns an exception for a row that is damaged. */
  public static BadRowException unreadable(String message) {
    return new BadRowException(Kind.UNREADABLE, message, null);
  }

  /** Returns an exception for a row that is damaged, with what a parser said of it. */
  static BadRowException unreadable(InvalidInputException e) {
    return new BadRowException(Kind.UNREADABLE, e.getMessage(), e);
  }

  /** Returns the kind. */
  public Kind kind() {
    return kind;
  }
}
