package dev.precis.tools.sass;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

/** Listings of a few instructions, each on the scoreboards that a case is about. */
class LoadsInFlightTest {
  private static final long ALWAYS = 7L << 12;
  private static final long IF_P0 = 0;
  private static final int NONE = 7;

  private static Instruction of(long low, int scoreboard, int waits, long high) {
    return new Instruction(low, high | (long) scoreboard << 46 | (long) waits << 52);
  }

  private static Instruction load(int scoreboard) {
    return of(0x981 | ALWAYS, scoreboard, 0, 6L << 9);
  }

  private static Instruction waitFor(int... scoreboards) {
    int waits = 0;
    for (int each : scoreboards) {
      waits |= 1 << each;
    }
    return of(0x221 | ALWAYS, NONE, waits, 0);
  }

  private static Instruction copy() {
    return of(0xfae | ALWAYS, NONE, 0, 6L << 9);
  }

  private static Instruction copiesWait() {
    return of(0x91a | ALWAYS, NONE, 0, 0);
  }

  private static Instruction exit() {
    return of(0x94d | ALWAYS, NONE, 0, 0);
  }

  /** A branch over so many instructions, or back. */
  private static Instruction branch(long predicate, int instructions) {
    long distance = 16L * instructions;
    long upper = distance >> 10;
    long low = 0x947 | predicate | (distance >> 2 & 0xff) << 16 | upper << 34;
    return of(low, NONE, 0, upper >> 30 & 0x3ffff | 7L << 23);
  }

  private static int loads(Instruction... code) {
    return new LoadsInFlight(code, 90).loads();
  }

  private static int early(Instruction... code) {
    return new LoadsInFlight(code, 90).early();
  }

  private static int copies(Instruction... code) {
    return new LoadsInFlight(code, 90).copies();
  }

  @Test
  void loadsAreInFlightUntilTheFirstWait() {
    assertEquals(3, loads(load(2), load(2), load(3), waitFor(2), waitFor(3), exit()));
    assertEquals(1, loads(load(2), waitFor(2), load(2), waitFor(2), exit()));
    // The wait for one scoreboard leaves the other's loads in flight.
    assertEquals(3, loads(load(0), load(1), waitFor(0), load(0), load(0), waitFor(0, 1), exit()));
    assertEquals(0, loads(waitFor(1), exit()));
  }

  @Test
  void earlyLoadsAreInFlightWhenTheKernelBeforeIsWaitedFor() {
    Instruction wait = of(0x82e | ALWAYS, NONE, 0, 0);
    Instruction waitWithLoads = of(0x82e | ALWAYS, NONE, 1 << 2, 0);
    assertEquals(2, early(load(1), load(2), wait, load(1), waitFor(1, 2), exit()));
    assertEquals(1, early(load(1), load(2), waitWithLoads, waitFor(1), exit()));
    assertEquals(0, early(wait, load(1), waitFor(1), exit()));
    assertEquals(0, early(load(1), waitFor(1), exit()));
  }

  @Test
  void otherWidthsDoNotCount() {
    assertEquals(1, loads(of(0x981 | ALWAYS, 0, 0, 5L << 9), load(1), waitFor(0, 1), exit()));
  }

  @Test
  void branchesAreFollowedBothWays() {
    // Two loads are jumped over: the other way has three.
    assertEquals(
        3, loads(load(0), branch(IF_P0, 2), load(1), load(1), waitFor(0, 1), exit(), exit()));
    // Loads behind a jump that is always taken are on no path with those before it.
    assertEquals(
        1, loads(load(0), branch(ALWAYS, 2), load(1), exit(), waitFor(0), load(2), exit()));
    // A jump ahead joins the loads of both blocks.
    assertEquals(2, loads(load(0), branch(ALWAYS, 1), exit(), load(1), waitFor(0, 1), exit()));
  }

  @Test
  void aLoopThatWaitsForItsOwnLoadsHasThoseOfOneTurn() {
    assertEquals(2, loads(load(0), load(0), waitFor(0), branch(IF_P0, -4), exit()));
    // Asked for in one turn and waited for in the next.
    assertEquals(2, loads(load(0), waitFor(0), load(0), load(0), branch(IF_P0, -4), exit()));
  }

  @Test
  void copiesAreInFlightUntilTheyAreWaitedFor() {
    assertEquals(2, copies(copy(), copy(), copiesWait(), copy(), exit()));
    assertEquals(0, loads(copy(), copy(), copiesWait(), exit()));
    // A loop that never waits copies as much as it likes.
    assertEquals(LoadsInFlight.MOST, copies(copy(), branch(IF_P0, -2), copiesWait(), exit()));
  }

  @Test
  void anotherEncodingIsNotMistakenForABranch() {
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> loads(branch(ALWAYS, 9), exit()));
    assertEquals(
        "the branch at 0x0 leaves the kernel: its encoding is not that of compute capability 90",
        e.getMessage());
  }
}
