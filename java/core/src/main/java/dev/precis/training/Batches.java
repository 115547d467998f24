package dev.precis.training;

import dev.precis.random.SplitMix64;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.ToIntFunction;

/**
 * Assigns examples to the steps of a run. The assignment is a function of the seed and the step
 * alone, so that a run can resume anywhere.
 *
 * <p>With shuffling, each epoch has an order of its own. Bucketing then sorts the examples of a few
 * dozen batches by length, cuts them into batches and shuffles the batches, so that the examples of
 * a batch have about the same length. Without shuffling, batch k takes the next examples in order
 * and wraps around at the end.
 */
public final class Batches<T> {
  private static final int BUCKET_BATCHES = 64;

  private final List<T> examples;
  private final ToIntFunction<T> length;
  private final int batchSize;
  private final boolean shuffle;
  private final long seed;
  private long epoch = -1;
  private List<int[]> order;

  /**
   * Assigns these examples.
   *
   * @param length of an example, for bucketing
   * @param batchSize examples of one optimizer step
   */
  public Batches(
      List<T> examples, ToIntFunction<T> length, int batchSize, boolean shuffle, long seed) {
    if (examples.isEmpty()) {
      throw new IllegalArgumentException("There are no examples.");
    }
    this.examples = examples;
    this.length = length;
    this.batchSize = batchSize;
    this.shuffle = shuffle;
    this.seed = seed;
  }

  /** Returns the examples in batches of a size, of which the last may be smaller. */
  public static <E> List<List<E>> split(List<E> examples, int size) {
    List<List<E>> batches = new ArrayList<>();
    for (int at = 0; at < examples.size(); at += size) {
      batches.add(examples.subList(at, Math.min(examples.size(), at + size)));
    }
    return batches;
  }

  /** Returns the summed length of the longest examples: the most that a batch can have. */
  public static <E> long longest(List<E> examples, ToIntFunction<E> length, int batchSize) {
    return examples.stream()
        .map(length::applyAsInt)
        .sorted(Comparator.reverseOrder())
        .limit(batchSize)
        .mapToLong(Integer::longValue)
        .sum();
  }

  /** Returns the number of steps of one epoch. */
  public long stepsPerEpoch() {
    return Math.ceilDiv(examples.size(), batchSize);
  }

  /** Returns the examples of a step, counted from 0. */
  public List<T> batch(long step) {
    List<T> batch = new ArrayList<>();
    if (!shuffle) {
      for (int i = 0; i < batchSize; i++) {
        batch.add(examples.get((int) ((step * batchSize + i) % examples.size())));
      }
      return batch;
    }
    long itsEpoch = step / stepsPerEpoch();
    if (itsEpoch != epoch) {
      order = order(itsEpoch);
      epoch = itsEpoch;
    }
    for (int i : order.get((int) (step % stepsPerEpoch()))) {
      batch.add(examples.get(i));
    }
    return batch;
  }

  private List<int[]> order(long epoch) {
    SplitMix64 random = new SplitMix64(SplitMix64.mix(seed, 0x65706f6368L, epoch));
    int n = examples.size();
    Integer[] all = new Integer[n];
    for (int i = 0; i < n; i++) {
      all[i] = i;
    }
    shuffle(all, random);
    int bucket = BUCKET_BATCHES * batchSize;
    Comparator<Integer> byLength = Comparator.comparingInt(i -> length.applyAsInt(examples.get(i)));
    List<int[]> batches = new ArrayList<>();
    for (int from = 0; from < n; from += bucket) {
      int to = Math.min(n, from + bucket);
      Arrays.sort(all, from, to, byLength);
      for (int at = from; at < to; at += batchSize) {
        int[] batch = new int[Math.min(batchSize, to - at)];
        for (int i = 0; i < batch.length; i++) {
          batch[i] = all[at + i];
        }
        batches.add(batch);
      }
    }
    int[][] shuffled = batches.toArray(int[][]::new);
    shuffle(shuffled, random);
    return List.of(shuffled);
  }

  /** Shuffles in place (Fisher and Yates 1938). */
  private static <E> void shuffle(E[] all, SplitMix64 random) {
    for (int i = all.length - 1; i > 0; i--) {
      int j = random.below(i + 1);
      E swapped = all[i];
      all[i] = all[j];
      all[j] = swapped;
    }
  }
}
