package dev.precis.alignment.policy.replay;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.alignment.policy.replay.DoubleTape.Node;
import dev.precis.alignment.policy.replay.PpoFormulas.Loss;
import dev.precis.alignment.policy.replay.PpoFormulas.LossConstants;
import dev.precis.alignment.policy.replay.PpoFormulas.Penalty;
import dev.precis.alignment.policy.replay.PpoFormulas.Predictions;
import dev.precis.alignment.policy.replay.PpoFormulas.Targets;
import dev.precis.checkpoint.Checkpoint;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** The replay's formulas against PyTorch's results for the same ones. */
class PpoFormulasTest {
  private final Checkpoint golden = Fixtures.arrays("ppo.safetensors");
  private final JsonNode constants = Fixtures.json("ppo.json");
  private final double[][] mask = array("mask");

  @AfterEach
  void close() {
    golden.close();
  }

  private double[][] array(String name) {
    return DoubleT5.matrix(golden.get(name));
  }

  private double constant(String name) {
    return constants.get(name).doubleValue();
  }

  private double[][] rewards() {
    double[][] old = array("old_logprobs");
    double[][] reference = array("ref_logprobs");
    double[][] penalties = new double[old.length][old[0].length];
    for (int s = 0; s < old.length; s++) {
      for (int t = 0; t < old[s].length; t++) {
        penalties[s][t] = Penalty.KL.ofToken(old[s][t], reference[s][t]);
      }
    }
    return PpoFormulas.rewards(array("scores")[0], penalties, mask, constant("kl_coef"));
  }

  private double[][] advantages() {
    return PpoFormulas.advantages(
        array("values"),
        rewards(),
        mask,
        new double[mask.length],
        constant("gamma"),
        constant("lam"));
  }

  /** The relative error over what the mask has. */
  private void close(double[][] want, double[][] got) {
    double difference = 0;
    double norm = 0;
    for (int s = 0; s < want.length; s++) {
      for (int t = 0; t < want[s].length; t++) {
        difference += mask[s][t] * Math.pow(got[s][t] - want[s][t], 2);
        norm += mask[s][t] * want[s][t] * want[s][t];
      }
    }
    assertTrue(Math.sqrt(difference / norm) < 1e-6, "error " + Math.sqrt(difference / norm));
  }

  @Test
  void rewardsAdvantagesReturns() {
    close(array("rewards"), rewards());
    close(array("advantages"), advantages());
    close(array("returns"), PpoFormulas.returns(advantages(), array("values"), mask));
    close(array("whitened_advantages"), PpoFormulas.whitened(advantages(), mask));
  }

  @Test
  void penalties() {
    assertEquals(-0.5, Penalty.KL.ofToken(-2, -1.5));
    assertEquals(0.5, Penalty.ABS.ofToken(-2, -1.5));
    assertEquals(0.125, Penalty.MSE.ofToken(-2, -1.5));
    double[] p = {Math.log(0.25), Math.log(0.75)};
    double[] r = {Math.log(0.5), Math.log(0.5)};
    double want = 0.25 * Math.log(0.5) + 0.75 * Math.log(1.5);
    assertEquals(want, PpoFormulas.divergence(p, r), 1e-15);
  }

  @Test
  void lossAndItsGradients() {
    Outcome got = loss(Double.POSITIVE_INFINITY);
    assertEquals(constant("policy_loss"), got.statistic("loss/policy"), 1e-6);
    assertEquals(constant("value_loss"), got.statistic("loss/value"), 1e-6);
    assertEquals(constant("entropy"), got.statistic("policy/entropy"), 1e-5);
    assertEquals(constant("loss"), got.statistic("loss/total"), 1e-6);
    assertEquals(constant("approx_kl"), got.statistic("policy/approxkl"), 1e-6);

    double[][] want = array("grad_logits");
    double difference = 0;
    double norm = 0;
    int row = 0;
    for (Node logits : got.logits()) {
      for (double[] gradient : logits.gradient) {
        for (int c = 0; c < gradient.length; c++) {
          difference += Math.pow(gradient[c] - want[row][c], 2);
          norm += want[row][c] * want[row][c];
        }
        row++;
      }
    }
    assertTrue(difference < 1e-10 * norm, "logits " + Math.sqrt(difference / norm));
    double[][] gradients =
        got.values().stream()
            .map(node -> DoubleTape.transposed(node.gradient)[0])
            .toArray(double[][]::new);
    close(array("grad_value_predictions"), gradients);
  }

  @Test
  void anUpdateWithFarRatiosHasNoGradient() {
    Outcome got = loss(0.5);
    assertEquals(0, got.statistic("loss/total"));
    assertEquals(0, got.statistic("loss/policy"));
    assertEquals(0, got.statistic("loss/value"));
    assertEquals(constant("entropy"), got.statistic("policy/entropy"), 1e-5);
    for (Node logits : got.logits()) {
      Arrays.stream(logits.gradient)
          .forEach(row -> assertEquals(0, Arrays.stream(row).map(Math::abs).sum()));
    }
  }

  private record Outcome(Loss loss, List<Node> logits, List<Node> values) {
    double statistic(String name) {
      return loss.statistics().get(name);
    }
  }

  private Outcome loss(double ratioThreshold) {
    double[][] flat = array("logits");
    long[][] actions = Fixtures.longs(golden.get("actions"));
    double[][] values = array("value_predictions");
    int length = mask[0].length;
    DoubleTape tape = new DoubleTape();
    List<Predictions> predictions = new ArrayList<>();
    List<Node> logitNodes = new ArrayList<>();
    List<Node> valueNodes = new ArrayList<>();
    for (int s = 0; s < mask.length; s++) {
      Node logits = DoubleTape.parameter(Arrays.copyOfRange(flat, s * length, (s + 1) * length));
      Node value = DoubleTape.parameter(DoubleTape.transposed(new double[][] {values[s]}));
      Node log = tape.logSoftmax(logits);
      int[] ids = Arrays.stream(actions[s]).mapToInt(id -> (int) id).toArray();
      predictions.add(new Predictions(tape.pick(log, ids), tape.entropy(log), value));
      logitNodes.add(logits);
      valueNodes.add(value);
    }
    Targets targets =
        new Targets(
            array("old_logprobs"),
            array("values"),
            array("whitened_advantages"),
            array("returns"),
            mask);
    LossConstants all =
        new LossConstants(
            constant("clip_range"),
            constant("clip_range_value"),
            constant("value_coef"),
            constant("entropy_coef"),
            ratioThreshold);
    Loss loss = PpoFormulas.loss(tape, predictions, targets, all);
    tape.backward(loss.total());
    return new Outcome(loss, logitNodes, valueNodes);
  }
}
