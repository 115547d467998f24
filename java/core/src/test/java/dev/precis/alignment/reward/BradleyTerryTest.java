package dev.precis.alignment.reward;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;

class BradleyTerryTest {
  @Test
  void isThatOfTheGoldenFile() {
    JsonNode golden = Fixtures.json("pairwise_reward.json");
    double loss = 0;
    double right = 0;
    int n = golden.get("chosen").size();
    for (int i = 0; i < n; i++) {
      double chosen = golden.get("chosen").get(i).doubleValue();
      double rejected = golden.get("rejected").get(i).doubleValue();
      loss += BradleyTerry.of(chosen, rejected, 0, 0).loss() / n;
      right += BradleyTerry.probability(chosen, rejected) > 0.5 ? 1.0 / n : 0;
    }
    assertEquals(golden.get("loss").doubleValue(), loss, 1e-6);
    assertEquals(golden.get("accuracy").doubleValue(), right, 1e-12);
  }

  @ParameterizedTest
  @CsvSource({
    "0.3, -0.8, 0, 0",
    "0.3, -0.8, 1.5, 0",
    "-2, 3, 0.5, 0.01",
    "4, 4, 0, 0.1",
    "-30, 20, 1, 0.001",
    "12, -9, 0, 0.2"
  })
  void derivativesAreDifferences(double chosen, double rejected, double margin, double centering) {
    BradleyTerry at = BradleyTerry.of(chosen, rejected, margin, centering);
    double h = 1e-5;
    double byChosen =
        (BradleyTerry.of(chosen + h, rejected, margin, centering).loss()
                - BradleyTerry.of(chosen - h, rejected, margin, centering).loss())
            / (2 * h);
    double byRejected =
        (BradleyTerry.of(chosen, rejected + h, margin, centering).loss()
                - BradleyTerry.of(chosen, rejected - h, margin, centering).loss())
            / (2 * h);
    assertEquals(byChosen, at.dChosen(), 1e-7);
    assertEquals(byRejected, at.dRejected(), 1e-7);
    double d = chosen - rejected - margin;
    double sum = chosen + rejected;
    assertEquals(-Math.log(1 / (1 + Math.exp(-d))) + centering * sum * sum, at.loss(), 1e-9);
  }

  @ParameterizedTest
  @CsvSource({"1000, -1000, 0, 0", "-1000, 1000, 2000, -1.0"})
  void nothingOverflows(double chosen, double rejected, double loss, double slope) {
    BradleyTerry at = BradleyTerry.of(chosen, rejected, 0, 0);
    assertEquals(loss, at.loss());
    assertEquals(slope, at.dChosen(), 1e-300);
    double p = BradleyTerry.probability(chosen, rejected);
    assertTrue(p == 0 || p == 1);
  }
}
