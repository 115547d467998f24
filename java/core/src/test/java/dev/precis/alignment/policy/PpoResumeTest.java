package dev.precis.alignment.policy;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Killing;
import dev.precis.io.Json;
import dev.precis.training.DivergedException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.node.ObjectNode;

/** An alignment that is killed at any moment resumes bitwise identically. */
@Timeout(300)
class PpoResumeTest {
  private static final int KILLS = 4;
  private static final PpoTrainer.Listener NOBODY = new PpoTrainer.Listener() {};

  private static byte[] result(Path run) throws IOException {
    return Files.readAllBytes(run.resolve("adapter/adapter_model.safetensors"));
  }

  private static List<String> lines(Path file) throws IOException {
    List<String> lines = new ArrayList<>();
    for (String line : Files.readAllLines(file)) {
      ObjectNode object = Json.parseObject(line, "a line").node();
      object.propertyNames().stream()
          .filter(name -> name.startsWith("time/"))
          .toList()
          .forEach(object::remove);
      lines.add(object.toString());
    }
    return lines;
  }

  private static void assertSame(Path whole, Path other) throws IOException {
    assertArrayEquals(result(whole), result(other));
    assertEquals(lines(whole.resolve("metrics.jsonl")), lines(other.resolve("metrics.jsonl")));
    assertEquals(lines(whole.resolve("rollouts.jsonl")), lines(other.resolve("rollouts.jsonl")));
  }

  @Test
  void killedAtRandomMoments(@TempDir Path folder) throws Exception {
    Path whole = folder.resolve("whole");
    PolicyProcess.align(whole, PolicyProcess.options().build(), NOBODY, false);
    Path killed = folder.resolve("killed");
    Killing.run(PolicyProcess.class, KILLS, folder, killed.toString());
    assertSame(whole, killed);
  }

  @Test
  void stoppedAfterEachStep(@TempDir Path folder) throws IOException {
    Path whole = folder.resolve("whole");
    PpoOptions options = PolicyProcess.options().schedule(schedule -> schedule.maxSteps(4)).build();
    PolicyProcess.align(whole, options, NOBODY, false);
    Path stopped = folder.resolve("stopped");
    int runs = 1;
    while (PolicyProcess.align(stopped, options, NOBODY, true).end()
        == PpoTrainer.End.INTERRUPTED) {
      runs++;
    }
    assertEquals(4, runs);
    assertSame(whole, stopped);
  }

  /** The watchdog's rollback is a part of the run like any other. */
  @Test
  void aRollbackIsExactToo(@TempDir Path folder) throws IOException {
    // So large a rate that the policy runs away in a few steps.
    PpoOptions options =
        PolicyProcess.options()
            .schedule(schedule -> schedule.maxSteps(6).checkpointEvery(1))
            .optimization(optimization -> optimization.learningRate(1e-2f))
            .watchdog(watchdog -> watchdog.klLimit(2).maxRollbacks(20))
            .kl(kl -> kl.coefficient(0))
            .loss(loss -> loss.ratioThreshold(0))
            .build();
    List<String> reasons = new ArrayList<>();
    PpoTrainer.Listener listener =
        new PpoTrainer.Listener() {
          @Override
          public void onRollback(long toStep, String reason) {
            reasons.add(toStep + " " + reason);
          }
        };
    Path whole = folder.resolve("whole");
    PpoTrainer.Result result = PolicyProcess.align(whole, options, listener, false);
    assertTrue(result.rollbacks() > 0);
    assertTrue(reasons.getFirst().contains("KL"), reasons.toString());
    Path stopped = folder.resolve("stopped");
    PpoTrainer.Result last;
    do {
      last = PolicyProcess.align(stopped, options, NOBODY, true);
    } while (last.end() == PpoTrainer.End.INTERRUPTED);
    assertEquals(6, last.steps());
    assertSame(whole, stopped);
    assertTrue(Files.readString(whole.resolve("metrics.jsonl")).contains("watchdog"));
  }

  @Test
  void theWatchdogEndsARunThatIsLost(@TempDir Path folder) throws IOException {
    PpoOptions options =
        PolicyProcess.options()
            .optimization(optimization -> optimization.learningRate(5e-2f))
            .watchdog(watchdog -> watchdog.klLimit(0.5).maxRollbacks(1))
            .kl(kl -> kl.coefficient(0))
            .loss(loss -> loss.ratioThreshold(0))
            .build();
    Path run = folder.resolve("run");
    String said =
        assertThrows(
                DivergedException.class, () -> PolicyProcess.align(run, options, NOBODY, false))
            .getMessage();
    assertTrue(said.contains("after 1 rollbacks") && said.contains("KL"), said);
    assertTrue(Files.isDirectory(run.resolve("checkpoints")));
  }
}
