package dev.precis.alignment.preference;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.alignment.preference.PreferenceLoss.Answer;
import dev.precis.alignment.preference.PreferenceLoss.Cost;
import dev.precis.alignment.preference.PreferenceLoss.Kind;
import dev.precis.io.InvalidInputException;
import dev.precis.random.SplitMix64;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;

class PreferenceLossTest {
  private static final Map<String, PreferenceLoss> GOLDEN =
      Map.of(
          "sigmoid@0.1", new PreferenceLoss(Kind.SIGMOID, 0.1, 0, 0),
          "cdpo_0.1@0.1", new PreferenceLoss(Kind.SIGMOID, 0.1, 0.1, 0),
          "ipo@0.1", new PreferenceLoss(Kind.IPO, 0.1, 0, 0),
          "hinge@0.1", new PreferenceLoss(Kind.HINGE, 0.1, 0, 0),
          "sigmoid@0.5", new PreferenceLoss(Kind.SIGMOID, 0.5, 0, 0),
          "cdpo_0.1@0.5", new PreferenceLoss(Kind.SIGMOID, 0.5, 0.1, 0),
          "ipo@0.5", new PreferenceLoss(Kind.IPO, 0.5, 0, 0),
          "hinge@0.5", new PreferenceLoss(Kind.HINGE, 0.5, 0, 0));

  /** golden/dpo.json: batches of eight, whose loss and gradients are the mean's. */
  @Test
  void lossesAndGradientsOfPyTorch() {
    JsonNode golden = Fixtures.json("dpo.json");
    JsonNode results = golden.get("results");
    assertEquals(GOLDEN.size(), results.size());
    for (Map.Entry<String, PreferenceLoss> each : GOLDEN.entrySet()) {
      JsonNode want = results.get(each.getKey());
      int n = golden.get("policy_chosen").size();
      double loss = 0;
      for (int i = 0; i < n; i++) {
        Cost cost = each.getValue().of(answer(golden, "chosen", i), answer(golden, "rejected", i));
        loss += cost.loss() / n;
        close(want.get("grad_chosen").get(i), cost.chosenGradient() / n, each.getKey());
        close(want.get("grad_rejected").get(i), cost.rejectedGradient() / n, each.getKey());
      }
      close(want.get("loss"), loss, each.getKey());
    }
  }

  private static Answer answer(JsonNode golden, String side, int i) {
    return new Answer(
        golden.get("policy_" + side).get(i).doubleValue(),
        golden.get("reference_" + side).get(i).doubleValue(),
        1);
  }

  private static void close(JsonNode want, double got, String name) {
    assertEquals(
        want.doubleValue(), got, 2e-5 * Math.max(Math.abs(want.doubleValue()), 1e-3), name);
  }

  @ParameterizedTest
  @CsvSource({
    "SIGMOID, 0.1, 0, 0, 0",
    "SIGMOID, 0.1, 0, 0, 0.5",
    "SIGMOID, 0.3, 0.2, 0, 0",
    "ROBUST, 0.1, 0, 0, 0",
    "ROBUST, 0.2, 0.3, 0, 0",
    "IPO, 0.1, 0, 0, 0",
    "IPO, 0.1, 0, 0, 2",
    "HINGE, 0.05, 0, 0, 0",
    "ORPO, 0.1, 0, 0, 0",
    "ORPO, 2, 0, 0, 0",
    "SIMPO, 2, 0, 1, 0",
    "SIMPO, 2.5, 0.1, 0.5, 1"
  })
  void gradientsAreThoseOfTheLoss(
      Kind kind, double beta, double smoothing, double margin, double alpha) {
    PreferenceLoss loss = new PreferenceLoss(kind, beta, smoothing, margin, alpha);
    SplitMix64 random = new SplitMix64(kind.ordinal());
    double most = 0;
    for (int i = 0; i < 50; i++) {
      Answer c = drawn(random);
      Answer r = drawn(random);
      Cost cost = loss.of(c, r);
      double step = 1e-5;
      double dc = (loss.of(moved(c, step), r).loss() - loss.of(moved(c, -step), r).loss());
      double dr = (loss.of(c, moved(r, step)).loss() - loss.of(c, moved(r, -step)).loss());
      String which = kind + " of " + c + " and " + r;
      assertEquals(dc / (2 * step), cost.chosenGradient(), 1e-7 * (1 + Math.abs(dc / step)), which);
      assertEquals(
          dr / (2 * step), cost.rejectedGradient(), 1e-7 * (1 + Math.abs(dr / step)), which);
      most = Math.max(most, Math.abs(cost.rejectedGradient()));
      assertTrue(cost.right() == cost.margin() > 0, which);
    }
    assertTrue(most > 1e-3, "the gradients are not all zero: " + most);
  }

  private static Answer drawn(SplitMix64 random) {
    int tokens = 1 + random.below(20);
    double policy = -tokens * (0.1 + 2 * random.uniform());
    return new Answer(policy, policy + 4 * random.uniform() - 2, tokens);
  }

  private static Answer moved(Answer answer, double by) {
    return new Answer(answer.policy() + by, answer.reference(), answer.tokens());
  }

  /** By hand, from the papers' formulas. */
  @Test
  void theFormulasThemselves() {
    Answer c = new Answer(Math.log(0.5) * 4, Math.log(0.25) * 4, 4);
    Answer r = new Answer(Math.log(0.2) * 2, Math.log(0.4) * 2, 2);
    // The odds of the means: 1 and 1/4.
    Cost orpo = new PreferenceLoss(Kind.ORPO, 0.3, 0, 0).of(c, r);
    assertEquals(Math.log(2) + 0.3 * Math.log(1 + 0.25), orpo.loss(), 1e-12);
    assertEquals(0.3 * Math.log(0.5), orpo.chosenReward(), 1e-12);
    Cost simpo = new PreferenceLoss(Kind.SIMPO, 2, 0, 1).of(c, r);
    // s(2 log 2.5 - 1) = 1 / (1 + e / 6.25)
    assertEquals(Math.log(1 + Math.E / 6.25), simpo.loss(), 1e-12);
    // h = 4 log 2 + 2 log 2 = 6 log 2, of the means 2 log 2
    double up = 1 / (1 + Math.pow(2, -3));
    Cost robust = new PreferenceLoss(Kind.ROBUST, 0.5, 0.1, 0).of(c, r);
    assertEquals((-0.9 * Math.log(up) + 0.1 * Math.log(1 - up)) / 0.8, robust.loss(), 1e-12);
    Cost ipo = new PreferenceLoss(Kind.IPO, 0.5, 0, 0).of(c, r);
    assertEquals(Math.pow(2 * Math.log(2) - 1, 2), ipo.loss(), 1e-12);
    assertEquals(0.5 * Math.log(2), ipo.chosenReward(), 1e-12);
    Cost hinge = new PreferenceLoss(Kind.HINGE, 0.1, 0, 0).of(c, r);
    assertEquals(1 - 0.6 * Math.log(2), hinge.loss(), 1e-12);
    // The mean log-probability of the chosen answer's tokens is -log 2.
    Cost kept = new PreferenceLoss(Kind.HINGE, 0.1, 0, 0, 3).of(c, r);
    assertEquals(hinge.loss() + 3 * Math.log(2), kept.loss(), 1e-12);
    assertEquals(hinge.chosenGradient() - 0.75, kept.chosenGradient(), 1e-12);
  }

  @Test
  void extremesStayFiniteAndNoNumberStaysNone() {
    for (Kind kind : Kind.values()) {
      PreferenceLoss loss = new PreferenceLoss(kind, 0.1, 0, 0);
      for (double policy : new double[] {0, -1e-12, -1e5}) {
        Cost cost = loss.of(new Answer(policy, -1e4, 3), new Answer(-1e5 - policy, -5, 3));
        assertTrue(Double.isFinite(cost.loss()), kind + " " + cost);
        assertTrue(Double.isFinite(cost.chosenGradient()), kind + " " + cost);
        assertTrue(Double.isFinite(cost.rejectedGradient()), kind + " " + cost);
      }
      Cost none = loss.of(new Answer(Double.NaN, 0, 3), new Answer(-1, -1, 3));
      assertTrue(Double.isNaN(none.loss()), kind + " " + none);
    }
  }

  @Test
  void ktoByHandAndItsGradient() {
    UnpairedLoss loss = new UnpairedLoss(0.2, 1.5, 0.5);
    // r = 3, z = 1: beta (r - z) = 0.4
    double s = 1 / (1 + Math.exp(-0.4));
    assertEquals(1.5 * (1 - s), loss.of(true, -4, -7, 1).loss(), 1e-12);
    assertEquals(0.5 * s, loss.of(false, -4, -7, 1).loss(), 1e-12);
    assertEquals(0.6, loss.of(false, -4, -7, 1).reward(), 1e-12);
    assertEquals(0, UnpairedLoss.divergence(-3, 2));
    assertEquals(1.5, UnpairedLoss.divergence(3, 2));
    for (boolean desirable : new boolean[] {false, true}) {
      for (double policy : new double[] {-12, -7, -3}) {
        double step = 1e-5;
        double up = loss.of(desirable, policy + step, -7, 0.4).loss();
        double down = loss.of(desirable, policy - step, -7, 0.4).loss();
        assertEquals(
            (up - down) / (2 * step), loss.of(desirable, policy, -7, 0.4).gradient(), 1e-9);
      }
    }
  }

  @Test
  void numbersOutOfRangeAreNamed() {
    refused("beta", () -> new PreferenceLoss(Kind.SIGMOID, 0, 0, 0));
    refused("beta", () -> new PreferenceLoss(Kind.SIGMOID, Double.NaN, 0, 0));
    refused("label-smoothing", () -> new PreferenceLoss(Kind.ROBUST, 0.1, 0.5, 0));
    refused("label-smoothing has no part in ipo", () -> new PreferenceLoss(Kind.IPO, 0.1, 0.1, 0));
    refused("rpo-alpha", () -> new PreferenceLoss(Kind.SIGMOID, 0.1, 0, 0, -1));
    refused("rpo-alpha has no part in orpo", () -> new PreferenceLoss(Kind.ORPO, 0.1, 0, 0, 1));
    refused("simpo-gamma", () -> new PreferenceLoss(Kind.SIMPO, 0.1, 0, -1));
    refused("beta", () -> new UnpairedLoss(-1, 1, 1));
    refused("undesirable-weight", () -> new UnpairedLoss(0.1, 1, -1));
    refused("both 0", () -> new UnpairedLoss(0.1, 0, 0));
  }

  private static void refused(String what, org.junit.jupiter.api.function.Executable made) {
    String said = assertThrows(InvalidInputException.class, made).getMessage();
    assertTrue(said.contains(what), said);
  }
}
