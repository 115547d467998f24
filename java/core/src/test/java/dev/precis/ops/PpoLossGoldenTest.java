package dev.precis.ops;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.checkpoint.Checkpoint;
import dev.precis.device.DeviceOptions;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.Arena;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** The loss of PPO and its gradients against PyTorch's: logits are the rows, w the identity. */
class PpoLossGoldenTest {
  private static final int LEFT_OUT = -100;

  @ParameterizedTest
  @ValueSource(strings = {"portable", "best"})
  void lossesAndGradientsArePyTorchs(String isa) {
    JsonNode want = Fixtures.json("ppo.json");
    DeviceOptions options = new DeviceOptions().threads(2);
    try (Checkpoint golden = Fixtures.arrays("ppo.safetensors");
        Ops ops = Ops.open((isa.equals("best") ? options : options.isa(isa)));
        Arena arena = Arena.ofConfined()) {
      float[] mask = golden.get("mask").toFloat32();
      float[] logits = golden.get("logits").toFloat32();
      int rows = mask.length;
      int tokens = logits.length / rows;
      long[][] chosen = Fixtures.longs(golden.get("actions"));
      int[] actions = new int[rows];
      double count = 0;
      for (int m = 0; m < rows; m++) {
        int length = chosen[0].length;
        actions[m] = mask[m] == 0 ? LEFT_OUT : (int) chosen[m / length][m % length];
        count += mask[m];
      }
      float[] weights = new float[rows];
      float[] identity = new float[tokens * tokens];
      for (int m = 0; m < rows; m++) {
        weights[m] = (float) (mask[m] / count);
      }
      for (int v = 0; v < tokens; v++) {
        identity[v * tokens + v] = 1;
      }
      List<Tensor> w = List.of(Tensor.ofFloats(arena, identity, tokens, tokens));
      Tensor logProbabilities = zeros(arena, rows);
      Tensor entropies = zeros(arena, rows);
      Tensor policyLosses = zeros(arena, rows);
      Tensor valueLosses = zeros(arena, rows);
      Tensor dx = zeros(arena, rows, tokens);
      Tensor dvalues = zeros(arena, rows);
      ops.ppoLoss(
          Tensor.ofFloats(arena, logits, rows, tokens),
          new LogitHead(
              ops.pack(arena, DType.FLOAT32, w), ops.packTransposed(arena, DType.FLOAT32, w), 1),
          new PpoLoss.Inputs(
              Tensor.ofInts(arena, actions),
              Tensor.ofFloats(arena, weights, rows),
              vector(arena, golden, "old_logprobs"),
              vector(arena, golden, "whitened_advantages"),
              null,
              vector(arena, golden, "values"),
              vector(arena, golden, "returns")),
          new PpoLoss.Critic(vector(arena, golden, "value_predictions"), dvalues),
          new PpoLoss.Coefficients(
              want.get("clip_range").floatValue(),
              want.get("clip_range").floatValue(),
              want.get("clip_range_value").floatValue(),
              want.get("value_coef").floatValue(),
              want.get("entropy_coef").floatValue(),
              0),
          new PpoLoss.Outputs(logProbabilities, entropies, policyLosses, valueLosses),
          new LogitHead.Gradients(dx, null));
      double policy = mean(policyLosses, weights);
      double value = mean(valueLosses, weights);
      double entropy = mean(entropies, weights);
      close(want.get("policy_loss").doubleValue(), policy);
      close(want.get("value_loss").doubleValue(), value);
      close(want.get("entropy").doubleValue(), entropy);
      close(
          want.get("loss").doubleValue(),
          policy
              + want.get("value_coef").doubleValue() * value
              - want.get("entropy_coef").doubleValue() * entropy);
      float[] logProbability = golden.get("new_logprobs").toFloat32();
      float[] got = logProbabilities.row(0);
      for (int m = 0; m < rows; m++) {
        assertEquals(mask[m] == 0 ? 0 : logProbability[m], got[m], 2e-6);
      }
      float[] all = new float[rows * tokens];
      for (int m = 0; m < rows; m++) {
        System.arraycopy(dx.row(m), 0, all, m * tokens, tokens);
      }
      near(golden.get("grad_logits").toFloat32(), all);
      near(golden.get("grad_value_predictions").toFloat32(), dvalues.row(0));
    }
  }

  private static Tensor zeros(Arena arena, int... dims) {
    long[] shape = new long[dims.length];
    int count = 1;
    for (int i = 0; i < dims.length; i++) {
      shape[i] = dims[i];
      count *= dims[i];
    }
    return Tensor.ofFloats(arena, new float[count], shape);
  }

  private static Tensor vector(Arena arena, Checkpoint golden, String name) {
    float[] values = golden.get(name).toFloat32();
    return Tensor.ofFloats(arena, values, values.length);
  }

  private static double mean(Tensor losses, float[] weights) {
    double sum = 0;
    float[] values = losses.row(0);
    for (int m = 0; m < weights.length; m++) {
      sum += (double) weights[m] * values[m];
    }
    return sum;
  }

  private static void close(double want, double got) {
    assertEquals(want, got, 1e-4 * Math.abs(want));
  }

  /** Within a thousandth of the size of what is wanted. */
  private static void near(float[] want, float[] got) {
    double error = 0;
    double size = 0;
    for (int i = 0; i < want.length; i++) {
      error += Math.pow(got[i] - want[i], 2);
      size += Math.pow(want[i], 2);
    }
    assertTrue(Math.sqrt(error) <= 1e-3 * Math.sqrt(size), Math.sqrt(error / size) + " relative");
    assertTrue(size > 0);
  }
}
