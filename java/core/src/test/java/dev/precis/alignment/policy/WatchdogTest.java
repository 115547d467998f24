package dev.precis.alignment.policy;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.io.JsonObject;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class WatchdogTest {
  private static Map<String, Double> step(double kl, double ratio, int leftOut, double score) {
    Map<String, Double> statistics = new HashMap<>();
    statistics.put("objective/kl", kl);
    statistics.put("ppo/policy/ratio", ratio);
    statistics.put("ppo/mini_batches_left_out", (double) leftOut);
    statistics.put("env/reward_mean", score);
    return statistics;
  }

  private static String said(Optional<String> wrong) {
    return wrong.orElse("nothing");
  }

  @Test
  void aPolicyThatRunsAwayIsNamed() {
    Watchdog watchdog = new Watchdog(PpoOptions.builder().kl(kl -> kl.target(2)).build());
    assertEquals("nothing", said(watchdog.check(step(20, 1, 0, 0))));
    assertTrue(said(watchdog.check(step(20.01, 1, 0, 0))).startsWith("the KL"));
    Watchdog fixed =
        new Watchdog(PpoOptions.builder().kl(kl -> kl.target(2).adaptive(false)).build());
    assertEquals("nothing", said(fixed.check(step(60, 1, 0, 0))));
    assertTrue(said(fixed.check(step(61, 1, 0, 0))).contains("limit of 60"));
  }

  @Test
  void aRatioIsWrongWhereItsMiniBatchesWereLeftOut() {
    Watchdog watchdog =
        new Watchdog(PpoOptions.builder().loss(loss -> loss.ratioThreshold(3)).build());
    assertEquals("nothing", said(watchdog.check(step(0, 2.9, 1, 0))));
    assertTrue(said(watchdog.check(step(0, 3.1, 2, 0))).startsWith("the mean ratio"));
    Watchdog off = new Watchdog(PpoOptions.builder().loss(loss -> loss.ratioThreshold(0)).build());
    assertEquals("nothing", said(off.check(step(0, 1e9, 0, 0))));
  }

  @Test
  void aScoreThatCollapsesIsSeenOverFiveStepsAndAcrossCheckpoints() {
    PpoOptions options = PpoOptions.builder().watchdog(watchdog -> watchdog.scoreDrop(1)).build();
    Watchdog watchdog = new Watchdog(options);
    Watchdog never = new Watchdog(PpoOptions.builder().build());
    for (int i = 0; i < 5; i++) {
      assertEquals("nothing", said(watchdog.check(step(0, 1, 0, 4))));
      never.check(step(0, 1, 0, 4));
    }
    // One bad step of five: the mean falls by 0.8.
    assertEquals("nothing", said(watchdog.check(step(0, 1, 0, 0))));
    Watchdog resumed = new Watchdog(options);
    resumed.read(new JsonObject("state", watchdog.state()));
    for (Watchdog each : new Watchdog[] {watchdog, resumed}) {
      assertEquals(
          "the mean score of 5 steps fell to 2.400, from 4.000 at its best: the policy has"
              + " degraded",
          said(each.check(step(0, 1, 0, 0))));
    }
    for (int i = 0; i < 5; i++) {
      assertEquals("nothing", said(never.check(step(0, 1, 0, -100))));
    }
  }
}
