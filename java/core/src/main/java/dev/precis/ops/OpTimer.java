package dev.precis.ops;

import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Supplier;

/**
 * Times the operations of an {@link Ops} and counts their work, by the section of the model that
 * they belong to. It is off unless {@link #start} was called, and then costs a test of a flag for
 * each operation.
 *
 * <p>While it is on, captured steps are not replayed but launched one operation after the other
 * from Java, so that each is seen: the sum of the times is that of the operations, while the time
 * around them is larger than that of a run that is not timed. On a GPU operations are asynchronous,
 * and the times are those of their launches.
 *
 * <p>Work is the arithmetic of products and attention, and the bytes of packed weights, KV caches
 * and optimizer states: what a roofline is made of. Everything else has a time alone.
 *
 * <p>Not thread-safe: it is started, stopped and read while no operation runs.
 */
public final class OpTimer {
  /** The part of a model, or of a step, that operations belong to. */
  public enum Section {
    /** Nothing of the following. */
    OTHER,
    /** The encoder, and the decoder's keys and values of its output. */
    ENCODER,
    /** The decoder over whole sequences. */
    DECODER,
    /** A decoding step: one token for each sequence. */
    STEP,
    /** The output layer's logits. */
    HEAD,
    /** A reward model. */
    REWARD
  }

  /**
   * The calls of one operation in one section.
   *
   * @param calls their number
   * @param seconds that they took together
   * @param multiplications multiply-adds of their products
   * @param bytes of weights, caches and optimizer states that they read and wrote
   */
  public record Total(long calls, double seconds, double multiplications, double bytes) {
    /** Returns the sum of two totals. */
    public Total plus(Total other) {
      return new Total(
          calls + other.calls,
          seconds + other.seconds,
          multiplications + other.multiplications,
          bytes + other.bytes);
    }
  }

  private final Map<Section, Map<String, Total>> totals = new EnumMap<>(Section.class);
  private volatile boolean on;
  private Section section = Section.OTHER;
  private long begin;
  private double multiplications;
  private double bytes;

  OpTimer() {}

  /** Forgets what was timed, and times every operation from now on. */
  public void start() {
    totals.clear();
    on = true;
  }

  /** Times no more operations. What was timed can still be read. */
  public void stop() {
    on = false;
  }

  /** Returns whether operations are timed. */
  public boolean isOn() {
    return on;
  }

  /** Runs work whose operations belong to a section, and returns its result. */
  public <R> R in(Section now, Supplier<R> work) {
    Section before = section;
    section = now;
    try {
      return work.get();
    } finally {
      section = before;
    }
  }

  /** Runs work whose operations belong to a section. */
  public void in(Section now, Runnable work) {
    in(
        now,
        () -> {
          work.run();
          return null;
        });
  }

  /** Returns the section that operations belong to now. */
  Section section() {
    return section;
  }

  /**
   * Returns the totals by section and by the operation's name, which is that of {@code precis.h}
   * without its prefix: {@code lora_matmul}.
   */
  public Map<Section, Map<String, Total>> totals() {
    Map<Section, Map<String, Total>> copy = new EnumMap<>(Section.class);
    totals.forEach((each, ops) -> copy.put(each, Map.copyOf(ops)));
    return copy;
  }

  /** Adds to the work of the operation that comes next. */
  void count(double moreMultiplications, double moreBytes) {
    multiplications += moreMultiplications;
    bytes += moreBytes;
  }

  /** Notes that an operation begins. */
  void begin() {
    begin = System.nanoTime();
  }

  /** Adds the operation that has begun. */
  void end(String op) {
    double seconds = (System.nanoTime() - begin) / 1e9;
    totals
        .computeIfAbsent(section, any -> new LinkedHashMap<>())
        .merge(op, new Total(1, seconds, multiplications, bytes), Total::plus);
    multiplications = 0;
    bytes = 0;
  }
}
