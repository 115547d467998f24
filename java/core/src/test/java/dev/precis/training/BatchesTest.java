package dev.precis.training;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.io.InvalidInputException;
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
    return new Batches<>(
        examples, BatchesTest::length, Batches.Size.ofExamples(batchSize), shuffle, seed);
  }

  private static List<Example> step(Batches<Example> batches, long step) {
    return Batches.join(batches.batches(step));
  }

  private static long tokens(List<Example> batch) {
    return batch.stream().mapToLong(BatchesTest::length).sum();
  }

  @Test
  void anEpochHasEachExampleOnce() {
    List<Example> examples = examples(1003);
    Batches<Example> batches = batches(examples, 8, true, 1);
    assertEquals(126, batches.steps(1));
    for (int epoch = 0; epoch < 2; epoch++) {
      Map<Example, Integer> seen = new IdentityHashMap<>();
      for (int i = 0; i < 126; i++) {
        step(batches, epoch * 126L + i).forEach(e -> seen.merge(e, 1, Integer::sum));
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
      all.add(step(forwards, i));
    }
    Batches<Example> backwards = batches(examples, 8, true, 9);
    for (int i = 149; i >= 0; i--) {
      assertEquals(all.get(i), step(backwards, i));
    }
    assertNotEquals(all.get(0), step(batches(examples, 8, true, 10), 0));
    assertNotEquals(all.get(0), all.get(63), "a new epoch has a new order");
  }

  @Test
  void batchesAreOfOneLength() {
    List<Example> examples = examples(2000);
    Batches<Example> batches = batches(examples, 8, true, 2);
    long padded = 0;
    long tokens = 0;
    for (int i = 0; i < batches.steps(1); i++) {
      List<Example> batch = step(batches, i);
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
    assertEquals(examples.subList(0, 4), step(batches, 0));
    assertEquals(
        List.of(examples.get(4), examples.get(5), examples.get(0), examples.get(1)),
        step(batches, 1));
  }

  private static Batches<Example> ofTokens(
      List<Example> examples, int tokens, int perStep, boolean shuffle) {
    Batches.Size size = new Batches.Size(8, tokens, perStep);
    return new Batches<>(examples, BatchesTest::length, size, shuffle, 3);
  }

  @Test
  void aBatchIsFilledWithTokens() {
    List<Example> examples = examples(2000);
    Batches<Example> batches = ofTokens(examples, 1000, 1, true);
    long steps = batches.steps(1);
    long all = tokens(examples);
    assertTrue(steps >= Math.ceilDiv(all, 1000) && steps < 1.25 * all / 1000, steps + " steps");
    int fewest = Integer.MAX_VALUE;
    int most = 0;
    for (int i = 0; i < steps; i++) {
      List<Example> batch = step(batches, i);
      assertTrue(tokens(batch) <= 1000, tokens(batch) + " tokens");
      fewest = Math.min(fewest, batch.size());
      most = Math.max(most, batch.size());
    }
    assertTrue(fewest <= 5 && most >= 20, fewest + " to " + most + " examples");
  }

  @Test
  void everyEpochOfTokensHasEachExampleOnceWhateverItsNumberOfSteps() {
    List<Example> examples = examples(701);
    Batches<Example> batches = ofTokens(examples, 900, 3, true);
    long step = 0;
    for (int epoch = 0; epoch < 6; epoch++) {
      Map<Example, Integer> seen = new IdentityHashMap<>();
      long begin = step;
      do {
        assertEquals(epoch, (int) batches.epochs(step));
        List<List<Example>> parts = batches.batches(step);
        assertTrue(parts.size() <= 3 && !parts.isEmpty());
        Batches.join(parts).forEach(e -> seen.merge(e, 1, Integer::sum));
        step++;
      } while (!batches.endsEpoch(step));
      assertEquals(701, seen.size());
      assertTrue(seen.values().stream().allMatch(n -> n == 1));
      assertEquals(step, batches.steps(epoch + 1));
      assertEquals(epoch + 0.5, batches.epochs((begin + step) / 2), 1.0 / (step - begin));
      assertEquals(begin + Math.round(0.25 * (step - begin)), batches.steps(epoch + 0.25));
    }
  }

  @Test
  void aStepOfTokensIsAFunctionOfSeedAndNumber() {
    List<Example> examples = examples(300);
    Batches<Example> forwards = ofTokens(examples, 700, 2, true);
    List<List<List<Example>>> all = new ArrayList<>();
    for (int i = 0; i < 120; i++) {
      all.add(forwards.batches(i));
    }
    Batches<Example> backwards = ofTokens(examples, 700, 2, true);
    for (int i = 119; i >= 0; i--) {
      assertEquals(all.get(i), backwards.batches(i));
    }
    int epoch = (int) forwards.steps(1);
    assertNotEquals(all.subList(0, 9), all.subList(epoch, epoch + 9), "a new epoch's order is new");
  }

  @Test
  void tokensInOrderAreTheSameInEachEpoch() {
    List<Example> examples = examples(50);
    Batches<Example> batches = ofTokens(examples, 600, 1, false);
    long steps = batches.steps(1);
    List<Example> epoch = new ArrayList<>();
    for (int i = 0; i < steps; i++) {
      epoch.addAll(step(batches, i));
      assertEquals(batches.batches(i), batches.batches(steps + i));
    }
    assertEquals(examples, epoch);
    assertEquals(2 * steps, batches.steps(2));
  }

  @Test
  void theLargestBatchIsThatOfTheRun() {
    List<Example> examples = examples(900);
    Batches<Example> batches = ofTokens(examples, 800, 1, true);
    long source = 0;
    for (int i = 0; i < batches.steps(2); i++) {
      source = Math.max(source, step(batches, i).stream().mapToLong(e -> e.source().length).sum());
    }
    assertEquals(source, batches.largest(e -> e.source().length, 2));
    assertEquals(
        Batches.longest(examples, BatchesTest::length, 8),
        batches(examples, 8, true, 1).largest(BatchesTest::length, 2));
  }

  @Test
  void anExampleThatFitsIntoNoBatchIsRefused() {
    List<Example> examples = List.of(new Example(new int[90], new int[20]));
    var e = assertThrows(InvalidInputException.class, () -> ofTokens(examples, 100, 1, true));
    assertTrue(e.getMessage().contains("110") && e.getMessage().contains("100"), e.getMessage());
    assertEquals(1, ofTokens(examples, 110, 1, true).steps(1));
  }
}
