package dev.precis.training;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Killing;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.random.SplitMix64;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.node.ObjectNode;

/** A run that is killed at any moment resumes bitwise identically. */
class ResumeTest {
  private static final int KILLS = 8;

  private static Process start(Path folder, String... before) throws IOException {
    return start(folder, false, before);
  }

  private static Process start(Path folder, boolean dawdle, String... before) throws IOException {
    List<String> command = new ArrayList<>(List.of(before));
    command.addAll(
        List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "--enable-native-access=ALL-UNNAMED",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            System.getProperty("java.class.path"),
            TrainingProcess.class.getName(),
            folder.toString(),
            dawdle ? "dawdle" : "hurry"));
    if (before.length > 0) {
      // The words before are a shell script, which runs the following words as its arguments.
      command.add(before.length, "precis");
    }
    return new ProcessBuilder(command)
        .redirectErrorStream(true)
        .redirectOutput(folder.resolveSibling("output.txt").toFile())
        .start();
  }

  private static byte[] result(Path run) throws IOException {
    return Files.readAllBytes(run.resolve("adapter/adapter_model.safetensors"));
  }

  @Test
  void killedAtRandomMoments(@TempDir Path folder) throws Exception {
    Path whole = folder.resolve("whole");
    TrainingProcess.train(whole, new Trainer.Listener() {});
    Path killed = folder.resolve("killed");
    SplitMix64 random = new SplitMix64(System.nanoTime());
    int kills = 0;
    while (kills < KILLS) {
      Process process = start(killed, true);
      // Most of the kills shall come while it trains, which begins when there are metrics. Nothing
      // but a checkpoint of the last step lets a process end before it is killed.
      Path metrics = killed.resolve("metrics.jsonl");
      while (process.isAlive() && !Files.exists(metrics)) {
        Thread.sleep(5);
      }
      Thread.sleep(200 + random.below(600));
      if (process.isAlive()) {
        process.destroyForcibly().waitFor();
        kills++;
        continue;
      }
      if (process.exitValue() == 0) {
        break;
      }
      throw new AssertionError(Files.readString(folder.resolve("output.txt")));
    }
    Process last = start(killed);
    assertTrue(last.waitFor(120, TimeUnit.SECONDS));
    assertEquals(0, last.exitValue(), () -> read(folder.resolve("output.txt")));
    assertTrue(kills > 0, "no run lived long enough to be killed");
    assertArrayEquals(result(whole), result(killed));
    assertEquals(Killing.metrics(whole), Killing.metrics(killed));
    assertTrue(
        Files.list(killed.resolve("checkpoints")).noneMatch(p -> p.toString().endsWith(".tmp")));
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      return e.toString();
    }
  }

  @Test
  void stoppedAfterEachStep(@TempDir Path folder) throws IOException {
    stoppedAfterEachStep(folder, TrainingProcess.options());
  }

  /** Batches of tokens, of which each epoch has a number of its own. */
  @Test
  void stoppedAfterEachStepOfTokens(@TempDir Path folder) throws IOException {
    stoppedAfterEachStep(
        folder,
        TrainingOptions.builder()
            .maxTokensPerBatch(1500)
            .gradientAccumulation(2)
            .epochs(2.5)
            .seed(11)
            .build());
  }

  private static void stoppedAfterEachStep(Path folder, TrainingOptions options)
      throws IOException {
    Path whole = folder.resolve("whole");
    long steps = TrainingProcess.train(whole, options, new Trainer.Listener() {}).steps();
    Path stopped = folder.resolve("stopped");
    int runs = 0;
    Trainer.Result result;
    do {
      result = stopAfterOne(stopped, options);
      runs++;
    } while (result.end() == Trainer.End.INTERRUPTED);
    // The last evaluation is made by a run of its own: no run begins one after it was stopped.
    assertEquals(steps + 1, runs);
    assertArrayEquals(result(whole), result(stopped));
    assertEquals(Killing.metrics(whole), Killing.metrics(stopped));
  }

  private static Trainer.Result stopAfterOne(Path folder, TrainingOptions options) {
    ObjectNode config = Json.mapper().createObjectNode().put("test", true);
    List<Example> all = TrainingGoldenTest.dialogues();
    boolean going = Files.exists(folder.resolve("config.json"));
    try (RunFolder run =
            going ? RunFolder.resume(folder, config) : RunFolder.create(folder, config);
        TrainableT5 t5 = TrainingProcess.trainable();
        Trainer trainer = new Trainer(t5, options, all.subList(0, 40), all.subList(40, 48), run)) {
      if (going) {
        trainer.resume();
      }
      return trainer.train(
          new Trainer.Listener() {
            @Override
            public void onStep(Trainer.Step step) {
              trainer.stop();
            }
          });
    }
  }

  /** A limit on the size of files fails a write half-way, as a full disk does. */
  @Test
  void aDiskThatIsFullLosesNothing(@TempDir Path folder) throws Exception {
    Path whole = folder.resolve("whole");
    TrainingProcess.train(whole, new Trainer.Listener() {});
    Path full = folder.resolve("full");
    stopAfterOne(full, TrainingProcess.options());
    // Blocks of 1024 bytes: enough for configurations, too little for an adapter's weights.
    Process process = start(full, "/bin/bash", "-c", "ulimit -f 24; exec \"$@\"");
    assertTrue(process.waitFor(120, TimeUnit.SECONDS));
    String said = Files.readString(folder.resolve("output.txt"));
    assertEquals(1, process.exitValue(), said);
    assertTrue(said.contains("Cannot write") && said.contains(".safetensors"), said);
    assertTrue(Files.isDirectory(full.resolve("checkpoints/step-1")));
    assertTrue(!Files.exists(full.resolve("checkpoints/step-2")));
    TrainingProcess.train(full, new Trainer.Listener() {});
    assertArrayEquals(result(whole), result(full));
  }

  @Test
  void anotherRunsFolderIsRefused(@TempDir Path folder) {
    ObjectNode config = Json.mapper().createObjectNode().put("learning_rate", 0.1);
    try (RunFolder run = RunFolder.create(folder, config)) {
      String used =
          assertThrows(InvalidInputException.class, () -> RunFolder.resume(folder, config))
              .getMessage();
      assertTrue(used.contains("in use"), used);
    }
    assertThrows(InvalidInputException.class, () -> RunFolder.create(folder, config));
    String differs =
        assertThrows(
                InvalidInputException.class,
                () ->
                    RunFolder.resume(
                        folder, Json.mapper().createObjectNode().put("learning_rate", 0.2)))
            .getMessage();
    assertTrue(differs.contains("learning_rate = 0.1, not 0.2"), differs);
    assertThrows(
        InvalidInputException.class, () -> RunFolder.resume(folder.resolve("none"), config));
  }
}
