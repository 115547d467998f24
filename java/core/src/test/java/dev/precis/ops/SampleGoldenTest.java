package dev.precis.ops;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.checkpoint.Checkpoint;
import dev.precis.device.DeviceOptions;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;

/** The distribution that a token is drawn from, against transformers' warpers. */
class SampleGoldenTest {
  record Case(int number, JsonNode options) {
    double option(String name, double otherwise) {
      return options.has(name) ? options.get(name).doubleValue() : otherwise;
    }
  }

  static Stream<Case> cases() {
    JsonNode all = Fixtures.json("sampling.json");
    assertEquals(7, all.size());
    return IntStream.range(0, all.size()).mapToObj(i -> new Case(i, all.get(i)));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void probabilitiesAreTransformers(Case c) {
    try (Checkpoint golden = Fixtures.arrays("sampling.safetensors");
        Ops ops = Ops.open(new DeviceOptions().threads(2));
        Arena arena = Arena.ofConfined()) {
      float[] scores = golden.get("logits").toFloat32();
      long[][] history = Fixtures.longs(golden.get("history"));
      float[] want = golden.get("probs_" + c.number).toFloat32();
      int rows = history.length;
      int vocabulary = scores.length / rows;
      Tensor logits = Tensor.ofFloats(arena, scores, rows, vocabulary);
      Tensor tokens = Tensor.ofInts(arena, new int[rows]);
      Tensor probabilities = Tensor.ofFloats(arena, new float[rows * vocabulary], rows, vocabulary);
      Tensor logProbabilities = Tensor.ofFloats(arena, new float[rows], rows);
      ops.sample(
          logits,
          rules(arena, history, (float) c.option("repetition_penalty", 1)),
          new SamplingParameters(
              7,
              (float) c.option("temperature", 1),
              (int) c.option("top_k", 0),
              (float) c.option("top_p", 1)),
          counting(arena, rows),
          counting(arena, rows),
          new SamplingParameters.Outputs(tokens, null, logProbabilities, probabilities));
      int possible = 0;
      for (int r = 0; r < rows; r++) {
        float[] got = probabilities.row(r);
        for (int v = 0; v < vocabulary; v++) {
          float expected = want[r * vocabulary + v];
          assertEquals(expected, got[v], 1e-6 + 1e-4 * expected, "row " + r + ", token " + v);
          // Tokens that are cut off have probability 0, and no others.
          assertEquals(expected > 0, got[v] > 0, "row " + r + ", token " + v);
          possible += got[v] > 0 ? 1 : 0;
        }
        int token = tokens.memory().getAtIndex(ValueLayout.JAVA_INT, r);
        assertTrue(got[token] > 0, "row " + r + " drew token " + token);
        assertEquals(
            Math.log(got[token]),
            logProbabilities.memory().getAtIndex(ValueLayout.JAVA_FLOAT, r),
            1e-4);
      }
      boolean cuts = c.option("top_k", 0) > 0 || c.option("top_p", 1) < 1;
      assertEquals(cuts, possible < rows * vocabulary, possible + " tokens are possible");
    }
  }

  private static LogitRules rules(Arena arena, long[][] history, float penalty) {
    int rows = history.length;
    int length = history[0].length;
    int[] flat = new int[rows * length];
    int[] lengths = new int[rows];
    for (int r = 0; r < rows; r++) {
      lengths[r] = length;
      for (int i = 0; i < length; i++) {
        flat[r * length + i] = Math.toIntExact(history[r][i]);
      }
    }
    return new LogitRules(
        Tensor.of(Tensor.ofInts(arena, flat).memory(), DType.INT32, rows, length),
        Tensor.ofInts(arena, lengths),
        Tensor.ofInts(arena, 1),
        penalty,
        0,
        0);
  }

  private static Tensor counting(Arena arena, int n) {
    long[] numbers = new long[n];
    for (int i = 0; i < n; i++) {
      numbers[i] = i;
    }
    return Tensor.of(arena.allocateFrom(ValueLayout.JAVA_LONG, numbers), DType.INT64, n);
  }
}
