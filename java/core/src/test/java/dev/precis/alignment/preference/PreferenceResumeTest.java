package dev.precis.alignment.preference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.checkpoint.Json;
import dev.precis.random.SplitMix64;
import dev.precis.training.TrainingLoop.End;
import dev.precis.training.TrainingLoop.Result;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ObjectNode;

/** A run of preferences that ends early, by whatever, and goes on, ends with the same bits. */
class PreferenceResumeTest {
  private static final int KILLS = 5;

  @TempDir private Path folder;

  private static byte[] result(Path run) throws IOException {
    return Files.readAllBytes(run.resolve("adapter/adapter_model.safetensors"));
  }

  private static List<String> metrics(Path run) throws IOException {
    List<String> lines = new ArrayList<>();
    for (String line : Files.readAllLines(run.resolve("metrics.jsonl"))) {
      ObjectNode object = Json.parseObject(line, "metrics").node();
      object.remove("tokens_per_second");
      lines.add(object.toString());
    }
    return lines;
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void stoppedAfterEachStep(boolean unpaired) throws IOException {
    Path whole = folder.resolve("whole");
    PreferenceProcess.train(whole, unpaired, PreferenceProcess.STEPS);
    Path stopped = folder.resolve("stopped");
    int runs = 0;
    Result result;
    do {
      result = PreferenceProcess.train(stopped, unpaired, 1);
      runs++;
    } while (result.end() == End.INTERRUPTED);
    assertEquals(PreferenceProcess.STEPS, runs);
    assertArrayEquals(result(whole), result(stopped));
    assertEquals(metrics(whole), metrics(stopped));
  }

  private Process start(Path run) throws IOException {
    return new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "--enable-native-access=ALL-UNNAMED",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            System.getProperty("java.class.path"),
            PreferenceProcess.class.getName(),
            run.toString(),
            "false")
        .redirectErrorStream(true)
        .redirectOutput(folder.resolve("output.txt").toFile())
        .start();
  }

  @Test
  void killedAtRandomMoments() throws Exception {
    Path whole = folder.resolve("whole");
    PreferenceProcess.train(whole, false, PreferenceProcess.STEPS);
    Path killed = folder.resolve("killed");
    SplitMix64 random = new SplitMix64(System.nanoTime());
    int kills = 0;
    while (kills < KILLS) {
      FileTime before = metricsTime(killed);
      Process process = start(killed);
      // Each process opens the metrics, then scores with the reference, then trains.
      while (process.isAlive() && metricsTime(killed).equals(before)) {
        Thread.sleep(5);
      }
      Thread.sleep(100 + random.below(900));
      if (process.isAlive()) {
        process.destroyForcibly().waitFor();
        kills++;
        continue;
      }
      assertEquals(0, process.exitValue(), () -> read(folder.resolve("output.txt")));
      break;
    }
    Process last = start(killed);
    assertTrue(last.waitFor(120, TimeUnit.SECONDS));
    assertEquals(0, last.exitValue(), () -> read(folder.resolve("output.txt")));
    assertTrue(kills > 0, "no run lived long enough to be killed");
    assertArrayEquals(result(whole), result(killed));
    assertEquals(metrics(whole), metrics(killed));
    try (Stream<Path> left = Files.walk(killed)) {
      assertTrue(left.noneMatch(p -> p.toString().endsWith(".tmp")));
    }
  }

  private static FileTime metricsTime(Path run) throws IOException {
    Path metrics = run.resolve("metrics.jsonl");
    return Files.exists(metrics) ? Files.getLastModifiedTime(metrics) : FileTime.fromMillis(0);
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      return e.toString();
    }
  }
}
