package dev.precis.training;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.random.SplitMix64;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class BatchesTest {
  private static List<Example> examples(int count) {
    SplitMix64 random = new SplitMix64(4);
    List<Example> examples = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      examples.add(new Example(new int[1 + random.below(200)], new int[1 + random.below(40)]));
    }
    return examples;
  }

  private static int length(Example example) {
    return example.source().length + example.target().length;
  }

  private static Batches<Example> batches(
      List<Example> examples, int batchSize, boolean shuffle, long seed) {
    return new Batches<>(examples, BatchesTest::length, batchSize, shuffle, seed);
  }

  @Test
  void anEpochHasEachExampleOnce() {
    List<Example> examples = examples(1003);
    Batches<Example> batches = batches(examples, 8, true, 1);
    assertEquals(126, batches.stepsPerEpoch());
    for (int epoch = 0; epoch < 2; epoch++) {
      Map<Example, Integer> seen = new IdentityHashMap<>();
      for (int i = 0; i < 126; i++) {
        batches.batch(epoch * 126L + i).forEach(e -> seen.merge(e, 1, Integer::sum));
      }
      assertEquals(1003, seen.size());
      assertTrue(seen.values().stream().allMatch(n -> n == 1));
    }
  }

  @Test
  void aStepIsAFunctionOfSeedAndNumber() {
    List<Example> examples = examples(500);
    Batches<Example> forwards = batches(examples, 8, true, 9);
    List<List<Example>> all = new ArrayList<>();
    for (int i = 0; i < 150; i++) {
      all.add(forwards.batch(i));
    }
    Batches<Example> backwards = batches(examples, 8, true, 9);
    for (int i = 149; i >= 0; i--) {
      assertEquals(all.get(i), backwards.batch(i));
    }
    assertNotEquals(all.get(0), batches(examples, 8, true, 10).batch(0));
    assertNotEquals(all.get(0), all.get(63), "a new epoch has a new order");
  }

  @Test
  void batchesAreOfOneLength() {
    List<Example> examples = examples(2000);
    Batches<Example> batches = batches(examples, 8, true, 2);
    long padded = 0;
    long tokens = 0;
    for (int i = 0; i < batches.stepsPerEpoch(); i++) {
      List<Example> batch = batches.batch(i);
      int longest = batch.stream().mapToInt(BatchesTest::length).max().orElseThrow();
      padded += (long) longest * batch.size();
      tokens += batch.stream().mapToLong(BatchesTest::length).sum();
    }
    assertTrue(padded < 1.1 * tokens, padded + " for " + tokens);
  }

  @Test
  void inOrderItGoesRound() {
    List<Example> examples = examples(6);
    Batches<Example> batches = batches(examples, 4, false, 0);
    assertEquals(examples.subList(0, 4), batches.batch(0));
    assertEquals(
        List.of(examples.get(4), examples.get(5), examples.get(0), examples.get(1)),
        batches.batch(1));
  }
}
