package dev.precis;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.io.Json;
import dev.precis.random.SplitMix64;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import tools.jackson.databind.node.ObjectNode;

/**
 * Runs a class as a process of its own that is killed at random moments, then once more to its end.
 *
 * <p>A process that is to be killed dawdles at each step and waits at the last one: however fast or
 * busy the machine, it is still there when its moment comes.
 */
public final class Killing {
  private static final String MARKS = "precis.test.marks";
  private static final long DAWDLE = 20;
  private static final long DEADLINE = TimeUnit.MINUTES.toNanos(3);

  private Killing() {}

  /** In the process: it is about to begin. */
  public static void started() {
    mark("started");
  }

  /** In the process: a step is done, and not yet in a checkpoint. */
  public static void stepped(long step, long totalSteps) {
    if (mark("stepped")) {
      sleep(step < totalSteps ? DAWDLE : TimeUnit.NANOSECONDS.toMillis(DEADLINE));
    }
  }

  private static boolean mark(String name) {
    String folder = System.getProperty(MARKS);
    if (folder == null) {
      return false;
    }
    try {
      Files.writeString(Path.of(folder).resolve(name), "");
      return true;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Returns the lines of a run's metrics, without those that time decides. */
  public static List<String> metrics(Path run) throws IOException {
    List<String> lines = new ArrayList<>();
    for (String line : Files.readAllLines(run.resolve("metrics.jsonl"))) {
      ObjectNode object = Json.parseObject(line, "metrics").node();
      object.remove("tokens_per_second");
      lines.add(object.toString());
    }
    return lines;
  }

  private static void sleep(long milliseconds) {
    try {
      Thread.sleep(milliseconds);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * Kills a process as often as it is told, each time anew, then lets it end.
   *
   * @param main calls {@link #started} and {@link #stepped}, and exits with 0 when all is done
   * @param folder for what this leaves behind
   */
  public static void run(Class<?> main, int kills, Path folder, String... arguments)
      throws IOException, InterruptedException {
    Path output = folder.resolve("output.txt");
    SplitMix64 random = new SplitMix64(System.nanoTime());
    for (int i = 0; i < kills; i++) {
      Path marks = Files.createDirectory(folder.resolve("marks-" + i));
      Process process = start(main, output, List.of("-D" + MARKS + "=" + marks), arguments);
      // Every other one before its first step, if so the moment falls.
      Path sign = marks.resolve(i % 2 == 0 ? "stepped" : "started");
      long begun = System.nanoTime();
      while (process.isAlive() && !Files.exists(sign)) {
        if (System.nanoTime() - begun > DEADLINE) {
          process.destroyForcibly();
        }
        Thread.sleep(2);
      }
      Thread.sleep(random.below(i % 2 == 0 ? 150 : 1000));
      assertTrue(process.isAlive(), () -> read(output));
      process.destroyForcibly().waitFor();
    }
    Process last = start(main, output, List.of(), arguments);
    if (!last.waitFor(DEADLINE, TimeUnit.NANOSECONDS)) {
      last.destroyForcibly().waitFor();
    }
    assertEquals(0, last.exitValue(), () -> read(output));
  }

  private static Process start(
      Class<?> main, Path output, List<String> properties, String... arguments) throws IOException {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path")));
    command.addAll(properties);
    command.add(main.getName());
    command.addAll(List.of(arguments));
    return new ProcessBuilder(command)
        .redirectErrorStream(true)
        .redirectOutput(output.toFile())
        .start();
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      return e.toString();
    }
  }
}
