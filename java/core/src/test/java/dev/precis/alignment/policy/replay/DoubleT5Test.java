package dev.precis.alignment.policy.replay;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.alignment.policy.replay.DoubleTape.Node;
import dev.precis.checkpoint.Checkpoint;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The replay's own model against transformers and PEFT. */
class DoubleT5Test {
  /** Result of a pass over the goldens' four pairs. */
  private record Outcome(double loss, double logitsError) {}

  /** Runs each pair alone, without its padding; gradients of the mean loss go to the parameters. */
  private static Outcome run(DoubleT5 t5, Checkpoint inputs, Checkpoint golden) {
    List<int[]> sources = Fixtures.unpadded(inputs.get("input_ids"), inputs.get("attention_mask"));
    long[][] labels = Fixtures.longs(inputs.get("labels"));
    float[] want = golden.get("logits").toFloat32();
    int columns = labels[0].length;
    double tokens = Arrays.stream(labels).flatMapToLong(Arrays::stream).filter(i -> i >= 0).count();
    double loss = 0;
    double difference = 0;
    double norm = 0;
    for (int s = 0; s < labels.length; s++) {
      int[] target =
          Arrays.stream(labels[s]).filter(id -> id >= 0).mapToInt(id -> (int) id).toArray();
      int[] shifted = new int[target.length];
      System.arraycopy(target, 0, shifted, 1, target.length - 1);
      DoubleTape tape = new DoubleTape();
      Node hidden = t5.decode(tape, t5.encode(tape, sources.get(s), true), shifted, true);
      Node logits = t5.logits(tape, hidden);
      double[] weights = new double[target.length];
      Arrays.fill(weights, -1 / tokens);
      Node sum = tape.weightedSum(tape.pick(tape.logSoftmax(logits), target), weights);
      loss += sum.scalar();
      if (sum.gradient != null) {
        tape.backward(sum);
      }
      for (int t = 0; t < target.length; t++) {
        for (int c = 0; c < logits.columns(); c++) {
          double w = want[(s * columns + t) * logits.columns() + c];
          difference += Math.pow(logits.value[t][c] - w, 2);
          norm += w * w;
        }
      }
    }
    return new Outcome(loss, Math.sqrt(difference / norm));
  }

  @ParameterizedTest
  @ValueSource(strings = {"t5-tiny", "t5-tiny-v1.0"})
  void logitsAndLoss(String name) {
    try (Checkpoint golden = Fixtures.arrays("forward_" + name + ".safetensors")) {
      Outcome got = run(new DoubleT5(Fixtures.folder(name)), golden, golden);
      double loss = golden.get("loss").toFloat32()[0];
      assertEquals(loss, got.loss(), 1e-5 * loss);
      assertTrue(got.logitsError() < 1e-5, "logits " + got.logitsError());
    }
  }

  @Test
  void gradientsOfAdapters() {
    try (Checkpoint inputs = Fixtures.arrays("forward_t5-tiny.safetensors");
        Checkpoint golden = Fixtures.arrays("lora_forward_backward.safetensors")) {
      DoubleT5 t5 = new DoubleT5(Fixtures.folder("t5-tiny"));
      t5.adapt(Fixtures.folder("t5-tiny-lora"));
      Outcome got = run(t5, inputs, golden);
      double loss = golden.get("loss").toFloat32()[0];
      assertEquals(loss, got.loss(), 1e-5 * loss);
      assertTrue(got.logitsError() < 1e-5, "logits " + got.logitsError());
      Map<String, Node> parameters = t5.parameters();
      assertEquals(36, parameters.size());
      parameters.forEach(
          (parameter, node) -> {
            double[][] want = DoubleT5.matrix(golden.get("grad." + parameter));
            double[][] g = DoubleTape.transposed(node.gradient);
            double difference = 0;
            double norm = 0;
            for (int i = 0; i < g.length; i++) {
              for (int j = 0; j < g[i].length; j++) {
                difference += Math.pow(g[i][j] - want[i][j], 2);
                norm += want[i][j] * want[i][j];
              }
            }
            assertTrue(difference <= 1e-8 * norm, parameter + ": " + Math.sqrt(difference / norm));
          });
    }
  }
}
