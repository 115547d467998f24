package dev.precis.generation;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Prompt lookup finds what follows the newest tokens, and its credit bounds what it wastes. */
class PromptLookupTest {
  private static final int VOCABULARY = 100;

  private static PromptLookup lookup(int[] source, int limit, int... tokens) {
    PromptLookup lookup = new PromptLookup(source, limit, VOCABULARY, List.of(1));
    lookup.step(2, 2); // a credit that is not what ends a draft
    for (int token : tokens) {
      lookup.append(token);
    }
    return lookup;
  }

  private static int[] tokens(int... tokens) {
    return tokens;
  }

  @Test
  void copiesAsManyTokensAsMatch() {
    int[] source = {10, 11, 12, 13, 14, 15, 16, 17, 18, 1};
    assertArrayEquals(tokens(12), lookup(source, 50, 11).propose(9));
    assertArrayEquals(tokens(13, 14), lookup(source, 50, 20, 11, 12).propose(9));
    assertArrayEquals(tokens(13, 14, 15), lookup(source, 50, 10, 11, 12).propose(9));
    assertArrayEquals(tokens(15, 16, 17, 18), lookup(source, 50, 10, 11, 12, 13, 14).propose(9));
    assertArrayEquals(tokens(15, 16), lookup(source, 50, 10, 11, 12, 13, 14).propose(2));
    assertArrayEquals(tokens(), lookup(source, 50, 10, 11, 12, 13, 14).propose(0));
  }

  @Test
  void onlyTokensOfTheSequenceMatch() {
    int[] source = {10, 11, 12, 13, 1};
    assertArrayEquals(tokens(), lookup(source, 50).propose(4));
    assertArrayEquals(tokens(), lookup(source, 50, 20).propose(4));
    // Two tokens would match if the source's end counted as the sequence's past.
    assertArrayEquals(tokens(7), lookup(tokens(6, 5, 7, 8, 6), 50, 5).propose(4));
  }

  @Test
  void theLongestMatchCountsAndTheFirstAmongEquals() {
    int[] source = {10, 11, 12, 40, 20, 11, 12, 50, 51, 52, 30, 11, 12, 60, 1};
    assertArrayEquals(tokens(50, 51, 52), lookup(source, 50, 20, 11, 12).propose(4));
    assertArrayEquals(tokens(40, 20), lookup(source, 50, 21, 11, 12).propose(4));
  }

  @Test
  void copiesFromTheSequenceItself() {
    assertArrayEquals(tokens(7, 8), lookup(tokens(1), 50, 5, 6, 7, 8, 5, 6).propose(4));
    assertArrayEquals(tokens(5), lookup(tokens(1), 50, 5, 5, 5).propose(4));
  }

  @Test
  void endTokensAndThoseOutsideTheVocabularyEndADraft() {
    assertArrayEquals(tokens(), lookup(tokens(10, 11, 1, 12), 50, 10, 11).propose(4));
    assertArrayEquals(tokens(12), lookup(tokens(10, 11, 12, 100, 13), 50, 10, 11).propose(4));
  }

  @Test
  void aDraftLeavesRoomForTheTokenBehindIt() {
    int[] source = {10, 11, 12, 13, 14, 15, 1};
    assertArrayEquals(tokens(13, 14, 15), lookup(source, 7, 10, 11, 12).propose(4));
    assertArrayEquals(tokens(13), lookup(source, 5, 10, 11, 12).propose(4));
    assertArrayEquals(tokens(), lookup(source, 4, 10, 11, 12).propose(4));
  }

  @Test
  void draftsThatFailBecomeRare() {
    Random random = new Random(3);
    int[] source = {10, 11, 12, 13, 14, 15, 1};
    PromptLookup lookup = new PromptLookup(source, 100_000, VOCABULARY, List.of(1));
    lookup.append(10);
    lookup.append(11);
    int rejected = 0;
    int accepted = 0;
    for (int step = 1; step <= 1000; step++) {
      int drafted = lookup.propose(4).length;
      int right = step % 50 == 0 ? drafted : 0;
      lookup.step(drafted, right);
      lookup.append(random.nextBoolean() ? 10 : 20);
      lookup.append(10);
      lookup.append(11);
      accepted += right;
      rejected += drafted - right;
      assertTrue(rejected <= 2 + step / 8.0 + 4 * accepted, step + " " + rejected);
    }
    assertTrue(rejected > 100, "it never tries again: " + rejected);
    assertEquals(0, lookup.propose(0).length);
  }
}
