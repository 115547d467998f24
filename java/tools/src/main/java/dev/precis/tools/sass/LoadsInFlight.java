package dev.precis.tools.sass;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * Counts the loads that a kernel asks for before it waits.
 *
 * <p>A load names a scoreboard, which is busy until its result is there, and an instruction that
 * needs the result names the scoreboards that it waits for. A load of 16 bytes is in flight from
 * its issue until the first wait for its scoreboard. The count is the largest number of loads in
 * flight at once on any path through the kernel's basic blocks, loops included: all loads of a path
 * belong to the same thread, and none of them waits for another one. A path that the values of the
 * predicates exclude counts too. Functions that are called count by themselves, and their callers
 * as though the call waited for nothing.
 *
 * <p>Asynchronous copies into shared memory of 16 bytes a thread are counted in the same way until
 * the next wait for a group of them.
 */
final class LoadsInFlight {
  /** Counts end here: more make no difference, and a loop that copies without a wait has no end. */
  static final int MOST = 32;

  private static final int WIDTH = 16;

  /** Branches multiply the paths; those with the most loads in flight are followed. */
  private static final int PATHS = 64;

  private final Instruction[] code;
  private final int capability;
  private final TreeSet<Integer> blocks = new TreeSet<>();
  private final TreeMap<Integer, Set<Long>> entered = new TreeMap<>();
  private final Deque<Entry> left = new ArrayDeque<>();
  private int loads;
  private int copies;
  private int early;

  /**
   * A block that is to be executed: its first instruction and the counts of the scoreboards, a byte
   * each.
   */
  private record Entry(int begin, long counts) {}

  /**
   * @param capability the compute capability that the code is for, such as 90
   */
  LoadsInFlight(Instruction[] code, int capability) {
    this.code = code;
    this.capability = capability;
    blocks.add(0);
    for (int i = 0; i < code.length; i++) {
      if (code[i].isBranch()) {
        blocks.add(target(i));
      }
      if (code[i].isBranch() || code[i].ends()) {
        blocks.add(i + 1);
      }
    }
    // Code that no branch reaches is a function, or is reached through a table of addresses.
    for (int begin : blocks) {
      if (begin < code.length && !entered.containsKey(begin)) {
        enter(begin, 0);
        run();
      }
    }
  }

  /** Returns the largest number of 16-byte loads into registers that are in flight together. */
  int loads() {
    return loads;
  }

  /** Returns the same for asynchronous copies into shared memory. */
  int copies() {
    return copies;
  }

  /**
   * Returns the largest number of 16-byte loads into registers that are in flight when a thread
   * waits for the kernels before its own.
   */
  int early() {
    return early;
  }

  private int target(int branch) {
    long at = (branch + 1L) * Instruction.BYTES + code[branch].distance(capability);
    if (at < 0 || at >= (long) code.length * Instruction.BYTES) {
      throw new IllegalArgumentException(
          "the branch at 0x%x leaves the kernel: its encoding is not that of compute capability %d"
              .formatted(branch * Instruction.BYTES, capability));
    }
    return (int) (at / Instruction.BYTES);
  }

  private void run() {
    while (!left.isEmpty()) {
      Entry entry = left.pop();
      int i = entry.begin();
      long counts = entry.counts();
      Integer end = blocks.higher(i);
      for (; i < (end == null ? code.length : Math.min(end, code.length)); i++) {
        counts = after(code[i], counts);
      }
      Instruction last = code[i - 1];
      if (last.isBranch()) {
        enter(target(i - 1), last.isCall() ? 0 : counts);
      }
      if (!last.ends() && i < code.length) {
        enter(i, counts);
      }
    }
  }

  private long after(Instruction instruction, long counts) {
    for (int s = 0; s < Instruction.SCOREBOARDS; s++) {
      if ((instruction.waits() >> s & 1) != 0) {
        counts = with(counts, s, 0);
      }
    }
    if (instruction.isBarrier()) {
      counts = with(counts, Instruction.SCOREBOARDS, 0);
    }
    if (instruction.isGlobalLoad()
        && instruction.bytes() == WIDTH
        && instruction.scoreboard() >= 0) {
      counts = more(counts, instruction.scoreboard());
    }
    if (instruction.isAsyncCopy() && instruction.bytes() == WIDTH) {
      counts = more(counts, Instruction.SCOREBOARDS);
    }
    loads = Math.max(loads, sum(counts));
    if (instruction.isWaitForPrevious()) {
      early = Math.max(early, sum(counts));
    }
    copies = Math.max(copies, count(counts, Instruction.SCOREBOARDS));
    return counts;
  }

  private void enter(int begin, long counts) {
    Set<Long> known = entered.computeIfAbsent(begin, _ -> new HashSet<>());
    for (long other : known) {
      if (isAtLeast(other, counts)) {
        return;
      }
    }
    known.removeIf(other -> isAtLeast(counts, other));
    if (known.size() >= PATHS) {
      List<Long> least = new ArrayList<>(known);
      least.sort((a, b) -> Integer.compare(sum(a), sum(b)));
      if (sum(least.getFirst()) >= sum(counts)) {
        return;
      }
      known.remove(least.getFirst());
    }
    known.add(counts);
    left.push(new Entry(begin, counts));
  }

  private static boolean isAtLeast(long a, long b) {
    for (int s = 0; s <= Instruction.SCOREBOARDS; s++) {
      if (count(a, s) < count(b, s)) {
        return false;
      }
    }
    return true;
  }

  private static int sum(long counts) {
    int sum = 0;
    for (int s = 0; s < Instruction.SCOREBOARDS; s++) {
      sum += count(counts, s);
    }
    return sum;
  }

  private static int count(long counts, int scoreboard) {
    return (int) (counts >>> 8 * scoreboard & 0xff);
  }

  private static long with(long counts, int scoreboard, int count) {
    return counts & ~(0xffL << 8 * scoreboard) | (long) count << 8 * scoreboard;
  }

  private static long more(long counts, int scoreboard) {
    return with(counts, scoreboard, Math.min(count(counts, scoreboard) + 1, MOST));
  }
}
