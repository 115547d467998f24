package dev.precis.random;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

final class SplitMix64Test {
  /** The first numbers that the reference implementation in C gives for this seed. */
  @Test
  void givesThePublishedNumbers() {
    SplitMix64 random = new SplitMix64(1234567);
    long[] expected = {
      6457827717110365317L,
      3203168211198807973L,
      Long.parseUnsignedLong("9817491932198370423"),
      4593380528125082431L,
      Long.parseUnsignedLong("16408922859458223821")
    };
    assertArrayEquals(expected, Arrays.stream(expected).map(any -> random.next()).toArray());
  }

  @Test
  void boundedNumbersAreEven() {
    SplitMix64 random = new SplitMix64(5);
    int[] counts = new int[7];
    for (int i = 0; i < 70_000; i++) {
      counts[random.below(7)]++;
    }
    for (int count : counts) {
      assertEquals(10_000, count, 5 * Math.sqrt(10_000));
    }
    assertThrows(IllegalArgumentException.class, () -> random.below(0));
  }

  @Test
  void shufflesEveryNumberToEveryPlace() {
    SplitMix64 random = new SplitMix64(6);
    boolean[][] seen = new boolean[5][5];
    for (int i = 0; i < 200; i++) {
      int[] values = IntStream.range(0, 5).toArray();
      random.shuffle(values);
      for (int place = 0; place < 5; place++) {
        seen[values[place]][place] = true;
      }
      Arrays.sort(values);
      assertArrayEquals(IntStream.range(0, 5).toArray(), values);
    }
    for (boolean[] places : seen) {
      for (boolean place : places) {
        assertTrue(place);
      }
    }
  }
}
