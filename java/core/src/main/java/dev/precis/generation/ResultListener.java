package dev.precis.generation;

import java.util.List;

/** Receives the results of each source once they are complete, in the order of completion. */
@FunctionalInterface
public interface ResultListener {
  /**
   * Receives the results of one source.
   *
   * @param source index of the source
   * @param results numReturnSequences results, the best first
   */
  void done(int source, List<GeneratedTokens> results);
}
