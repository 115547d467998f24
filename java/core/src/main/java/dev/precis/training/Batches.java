package dev.precis.training;

import dev.precis.io.InvalidInputException;
import dev.precis.random.SplitMix64;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.function.ToIntFunction;

/**
 * Assigns examples to the steps of a run, and to the batches of each step. The assignment is a
 * function of the seed and the step alone, so that a run can resume anywhere.
 *
 * <p>With shuffling, each epoch has an order of its own. Bucketing then sorts the examples of a few
 * dozen steps by length, cuts them and shuffles the pieces, so that the examples of a batch have
 * about the same length. Without shuffling, batch k takes the next examples in order.
 *
 * <p>A batch has a number of examples, or as many as fit into a number of tokens. Of such batches
 * an epoch may have a few more or less than another, and no batch has examples of two epochs.
 */
public final class Batches<T> {
  private static final int BUCKET_STEPS = 64;

  /** Epochs that {@link #largest} looks at. */
  private static final int MEASURED_EPOCHS = 64;

  /**
   * The size of a batch.
   *
   * @param examples in a batch; a number where maxTokens is 0
   * @param maxTokens most tokens of a batch, in place of a number of examples; 0: no limit
   * @param perStep batches in a step
   */
  public record Size(int examples, int maxTokens, int perStep) {
    /** Returns the size of batches of so many examples, one of which is a step. */
    public static Size ofExamples(int examples) {
      return new Size(examples, 0, 1);
    }

    /** Returns the size of batches of so many tokens at most, one of which is a step. */
    public static Size ofTokens(int maxTokens) {
      return new Size(0, maxTokens, 1);
    }

    /** Returns the size that the options of a run ask for. */
    public static Size of(TrainingOptions options) {
      return new Size(
          options.batchSize(), options.maxTokensPerBatch(), options.gradientAccumulation());
    }

    private int step() {
      return Math.multiplyExact(examples, perStep);
    }
  }

  private final List<T> examples;
  private final ToIntFunction<T> length;
  private final Size size;
  private final boolean shuffle;
  private final long seed;
  private final long perEpoch; // steps of an epoch; 0: each epoch has a number of its own
  private final List<Long> ends = new ArrayList<>(); // where each has: steps until the epochs' ends
  private long epoch = -1;
  private List<List<List<Integer>>> order; // of that epoch: the batches of each step

  /**
   * Assigns these examples.
   *
   * @param length of an example in tokens, for bucketing and for the limit of a batch
   * @throws InvalidInputException if an example alone exceeds the limit
   */
  public Batches(List<T> examples, ToIntFunction<T> length, Size size, boolean shuffle, long seed) {
    if (examples.isEmpty()) {
      throw new IllegalArgumentException("There are no examples.");
    }
    this.examples = examples;
    this.length = length;
    this.size = size;
    this.shuffle = shuffle;
    this.seed = seed;
    if (size.maxTokens > 0) {
      int longest = examples.stream().mapToInt(length).max().orElseThrow();
      if (longest > size.maxTokens) {
        throw new InvalidInputException(
            ("The longest example has %d tokens, more than the %d of a batch: set"
                    + " max-tokens-per-batch to %1$d at least, or shorten the examples.")
                .formatted(longest, size.maxTokens));
      }
    }
    if (size.maxTokens == 0) {
      perEpoch = Math.ceilDiv(examples.size(), size.step());
    } else {
      perEpoch = shuffle ? 0 : order(0).size();
    }
  }

  /** Returns the examples in batches of a size, of which the last may be smaller. */
  public static <E> List<List<E>> split(List<E> examples, int size) {
    List<List<E>> batches = new ArrayList<>();
    for (int at = 0; at < examples.size(); at += size) {
      batches.add(examples.subList(at, Math.min(examples.size(), at + size)));
    }
    return batches;
  }

  /** Returns other examples in their order, in batches of this size. */
  public List<List<T>> split(List<T> others) {
    return size.maxTokens == 0
        ? split(others, size.examples)
        : split(others, length, size.maxTokens);
  }

  /** Returns the examples in batches of so many tokens at most, but of one example at least. */
  private static <E> List<List<E>> split(List<E> examples, ToIntFunction<E> length, int maxTokens) {
    List<List<E>> batches = new ArrayList<>();
    int from = 0;
    long tokens = 0;
    for (int at = 0; at < examples.size(); at++) {
      int next = length.applyAsInt(examples.get(at));
      if (at > from && tokens + next > maxTokens) {
        batches.add(examples.subList(from, at));
        from = at;
        tokens = 0;
      }
      tokens += next;
    }
    if (from < examples.size()) {
      batches.add(examples.subList(from, examples.size()));
    }
    return batches;
  }

  /** Returns items that stand for the examples of some batches, one each, in the same batches. */
  static <E, I> List<List<I>> regroup(List<List<E>> batches, List<I> items) {
    List<List<I>> groups = new ArrayList<>();
    int at = 0;
    for (List<E> batch : batches) {
      groups.add(items.subList(at, at + batch.size()));
      at += batch.size();
    }
    return groups;
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

  /**
   * Returns the largest sum over the examples of a batch. With a number of examples it is that of
   * the largest ones; with a limit of tokens, that of the batches of the first epochs, which later
   * ones hardly exceed.
   *
   * @param epochs of the run
   */
  public long largest(ToIntFunction<T> measure, double epochs) {
    if (size.maxTokens == 0) {
      return longest(examples, measure, size.examples);
    }
    long largest = 0;
    long last = shuffle ? (long) Math.clamp(Math.ceil(epochs), 1, MEASURED_EPOCHS) : 1;
    for (long each = 0; each < last; each++) {
      for (List<List<Integer>> step : order(each)) {
        for (List<Integer> batch : step) {
          long sum = batch.stream().mapToLong(i -> measure.applyAsInt(examples.get(i))).sum();
          largest = Math.max(largest, sum);
        }
      }
    }
    return largest;
  }

  /** Returns the number of steps of so many epochs; one at least. */
  public long steps(double epochs) {
    if (perEpoch > 0) {
      return Math.max(1, Math.round(epochs * perEpoch));
    }
    long whole = (long) epochs;
    long begin = begin(whole);
    double part = epochs - whole;
    long rest = part > 0 ? Math.round(part * (begin(whole + 1) - begin)) : 0;
    return Math.max(1, begin + rest);
  }

  /** Returns how many epochs so many steps are. */
  double epochs(long steps) {
    if (perEpoch > 0) {
      return (double) steps / perEpoch;
    }
    long whole = epochOf(steps);
    long begin = begin(whole);
    return whole + (double) (steps - begin) / (begin(whole + 1) - begin);
  }

  /** Returns true if so many steps end an epoch. */
  boolean endsEpoch(long steps) {
    return begin(epochOf(steps)) == steps;
  }

  /** Returns the first step of an epoch. */
  private long begin(long number) {
    if (perEpoch > 0) {
      return number * perEpoch;
    }
    while (ends.size() < number) {
      ends.add((ends.isEmpty() ? 0 : ends.getLast()) + order(ends.size()).size());
    }
    return number == 0 ? 0 : ends.get(Math.toIntExact(number - 1));
  }

  /** Returns the epoch that a step belongs to. */
  private long epochOf(long step) {
    if (perEpoch > 0) {
      return step / perEpoch;
    }
    while (ends.isEmpty() || ends.getLast() <= step) {
      begin(ends.size() + 1L);
    }
    int at = Collections.binarySearch(ends, step);
    return at >= 0 ? at + 1 : -at - 1;
  }

  /** Returns the examples of a step, counted from 0, batch by batch. */
  public List<List<T>> batches(long step) {
    if (!shuffle && size.maxTokens == 0) {
      List<T> all = new ArrayList<>();
      for (int i = 0; i < size.step(); i++) {
        all.add(examples.get((int) ((step * size.step() + i) % examples.size())));
      }
      return split(all, size.examples);
    }
    long itsEpoch = epochOf(step);
    if (itsEpoch != epoch) {
      order = order(itsEpoch);
      epoch = itsEpoch;
    }
    List<List<T>> batches = new ArrayList<>();
    for (List<Integer> batch : order.get((int) (step - begin(itsEpoch)))) {
      batches.add(batch.stream().map(examples::get).toList());
    }
    return batches;
  }

  /** Returns the examples of batches, one after the other. */
  public static <E> List<E> join(List<List<E>> batches) {
    return batches.stream().flatMap(List::stream).toList();
  }

  /** Returns an epoch's steps, each of which has the batches of its examples' numbers. */
  private List<List<List<Integer>>> order(long number) {
    int n = examples.size();
    Integer[] all = new Integer[n];
    for (int i = 0; i < n; i++) {
      all[i] = i;
    }
    ToIntFunction<Integer> itsLength = i -> length.applyAsInt(examples.get(i));
    List<Integer> numbers = Arrays.asList(all);
    if (!shuffle) {
      return split(split(numbers, itsLength, size.maxTokens), size.perStep);
    }
    SplitMix64 random = new SplitMix64(SplitMix64.mix(seed, 0x65706f6368L, number));
    shuffle(numbers, random);
    List<List<Integer>> pieces = new ArrayList<>();
    for (List<Integer> bucket : split(numbers, bucket())) {
      bucket.sort(Comparator.comparingInt(itsLength));
      pieces.addAll(
          size.maxTokens == 0
              ? split(bucket, size.step())
              : split(bucket, itsLength, size.maxTokens));
    }
    shuffle(pieces, random);
    return size.maxTokens == 0
        ? pieces.stream().map(step -> split(step, size.examples)).toList()
        : split(pieces, size.perStep);
  }

  /** Returns the number of examples that are sorted together. */
  private int bucket() {
    if (size.maxTokens == 0) {
      return BUCKET_STEPS * size.step();
    }
    long tokens = examples.stream().mapToLong(length::applyAsInt).sum();
    double inBatch = Math.max(1, (double) size.maxTokens * examples.size() / Math.max(1, tokens));
    return (int) Math.clamp(BUCKET_STEPS * inBatch * size.perStep, 1, examples.size());
  }

  /** Shuffles in place (Fisher and Yates 1938). */
  private static <E> void shuffle(List<E> all, SplitMix64 random) {
    for (int i = all.size() - 1; i > 0; i--) {
      Collections.swap(all, i, random.below(i + 1));
    }
  }
}
