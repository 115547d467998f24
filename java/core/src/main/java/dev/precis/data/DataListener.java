package dev.precis.data;

import java.nio.file.Path;
import java.util.Map;

/** Is told what reading data found out. */
public interface DataListener {
  /** Tells nobody. */
  DataListener NONE = sentence -> {};

  /** Receives a sentence for the person who supplied the data. */
  void note(String sentence);

  /**
   * Receives the result of a file or folder that was read to its end.
   *
   * @param rows number of rows, skipped ones included
   * @param skipped number of bad rows that were skipped
   * @param columns what was read from which column, where that is not the standard one
   */
  default void finished(Path data, long rows, long skipped, Map<String, String> columns) {}
}
