package dev.precis.data;

import java.util.List;

/**
 * Options of reading data.
 *
 * @param badRows the policy for rows that cannot be used
 * @param columns names of columns
 * @param split the split of a data set to read, or {@code null}
 * @param preferredSplits the splits to look for, in this order, where none is named
 * @param listener is told what was found out
 */
public record DataOptions(
    BadRows badRows,
    Columns columns,
    String split,
    List<String> preferredSplits,
    DataListener listener) {
  /** Splits for training, in the order in which they are looked for. */
  public static final List<String> TRAINING_SPLITS = List.of("train");

  /** Splits for evaluation during training. */
  public static final List<String> VALIDATION_SPLITS =
      List.of("validation", "valid", "dev", "eval", "test");

  /** Splits for evaluation after training, and for generation. */
  public static final List<String> TEST_SPLITS =
      List.of("test", "validation", "valid", "dev", "eval");

  /** The first bad row ends the reading, columns have well-known names, nobody is told. */
  public static final DataOptions STRICT =
      new DataOptions(BadRows.FAIL, Columns.WELL_KNOWN, null, TRAINING_SPLITS, DataListener.NONE);

  /** Copies the list. */
  public DataOptions {
    preferredSplits = List.copyOf(preferredSplits);
  }

  /** Returns the same with another policy. */
  public DataOptions withBadRows(BadRows other) {
    return new DataOptions(other, columns, split, preferredSplits, listener);
  }

  /** Returns the same with other columns. */
  public DataOptions withColumns(Columns other) {
    return new DataOptions(badRows, other, split, preferredSplits, listener);
  }

  /** Returns the same with other splits. */
  public DataOptions withSplit(String other, List<String> preferred) {
    return new DataOptions(badRows, columns, other, preferred, listener);
  }

  /** Returns the same with another listener. */
  public DataOptions withListener(DataListener other) {
    return new DataOptions(badRows, columns, split, preferredSplits, other);
  }
}
