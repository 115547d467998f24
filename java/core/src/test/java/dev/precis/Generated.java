package dev.precis;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.precis.generation.GeneratedTokens;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/** Sources for generation tests, and the comparison of what was generated, bit by bit. */
final class Generated {
  private Generated() {}

  /** Draws a source of 1 to 40 tokens, the end token last. */
  static int[] source(Random random) {
    int[] tokens = new int[1 + random.nextInt(40)];
    Arrays.setAll(tokens, i -> i + 1 < tokens.length ? 3 + random.nextInt(400) : 1);
    return tokens;
  }

  static void assertSame(
      List<List<GeneratedTokens>> expected, List<List<GeneratedTokens>> got, String what) {
    assertEquals(expected.size(), got.size(), what);
    for (int i = 0; i < got.size(); i++) {
      assertEquals(expected.get(i).size(), got.get(i).size(), what);
      for (int j = 0; j < got.get(i).size(); j++) {
        GeneratedTokens a = expected.get(i).get(j);
        GeneratedTokens b = got.get(i).get(j);
        assertArrayEquals(a.tokens(), b.tokens(), what);
        assertEquals(a.score(), b.score(), what);
        assertArrayEquals(a.logProbabilities(), b.logProbabilities(), what);
        assertEquals(a.finished(), b.finished(), what);
      }
    }
  }
}
