package dev.precis.t5;

import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.IntStream;

/** Batches of sources of about the same length, whose results do not depend on their neighbors. */
final class LengthBatches {
  /** The most tokens of a batch; a longer source is a batch of its own. */
  private static final int TOKENS = 2048;

  private LengthBatches() {}

  /**
   * Calls for each batch, the shortest sources first.
   *
   * @param sources token ids of each source
   * @param most sources of a batch
   * @param batch receives the indices of its sources
   */
  static void forEach(List<int[]> sources, int most, Consumer<int[]> batch) {
    int[] order =
        IntStream.range(0, sources.size())
            .boxed()
            .sorted(Comparator.comparingInt(i -> sources.get(i).length))
            .mapToInt(Integer::intValue)
            .toArray();
    for (int at = 0; at < order.length; ) {
      int end = at + 1;
      for (int tokens = sources.get(order[at]).length;
          end < order.length
              && end - at < most
              && tokens + sources.get(order[end]).length <= TOKENS;
          end++) {
        tokens += sources.get(order[end]).length;
      }
      batch.accept(Arrays.copyOfRange(order, at, end));
      at = end;
    }
  }
}
