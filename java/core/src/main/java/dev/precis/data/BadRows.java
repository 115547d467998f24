package dev.precis.data;

/** The policy for rows that cannot be used. */
public enum BadRows {
  /** The first bad row ends the reading. */
  FAIL,
  /** Bad rows are skipped, counted and reported. */
  SKIP,
  /**
   * Rows that nothing can be learned from are skipped; a damaged row ends the reading. It is the
   * default for training data.
   */
  SKIP_UNUSABLE;

  boolean skips(BadRowException e) {
    return this == SKIP || this == SKIP_UNUSABLE && e.kind() == BadRowException.Kind.UNUSABLE;
  }
}
