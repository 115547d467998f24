package dev.precis.alignment.preference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Killing;
import dev.precis.training.TrainingLoop.End;
import dev.precis.training.TrainingLoop.Result;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A run of preferences that is killed at any moment resumes bitwise identically. */
class PreferenceResumeTest {
  private static final int KILLS = 5;

  @TempDir private Path folder;

  private static byte[] result(Path run) throws IOException {
    return Files.readAllBytes(run.resolve("adapter/adapter_model.safetensors"));
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void stoppedAfterEachStep(boolean unpaired) throws IOException {
    Path whole = folder.resolve("whole");
    PreferenceProcess.train(whole, unpaired, PreferenceProcess.STEPS + 1);
    Path stopped = folder.resolve("stopped");
    int runs = 0;
    Result result;
    do {
      result = PreferenceProcess.train(stopped, unpaired, 1);
      runs++;
    } while (result.end() == End.INTERRUPTED);
    // The last evaluation is made by a run of its own: no run begins one after it was stopped.
    assertEquals(PreferenceProcess.STEPS + 1, runs);
    assertArrayEquals(result(whole), result(stopped));
    assertEquals(Killing.metrics(whole), Killing.metrics(stopped));
  }

  @Test
  void killedAtRandomMoments() throws Exception {
    Path whole = folder.resolve("whole");
    PreferenceProcess.train(whole, false, PreferenceProcess.STEPS + 1);
    Path killed = folder.resolve("killed");
    Killing.run(PreferenceProcess.class, KILLS, folder, killed.toString(), "false");
    assertArrayEquals(result(whole), result(killed));
    assertEquals(Killing.metrics(whole), Killing.metrics(killed));
    try (Stream<Path> left = Files.walk(killed)) {
      assertTrue(left.noneMatch(p -> p.toString().endsWith(".tmp")));
    }
  }
}
