package dev.precis.cli.train;

import static dev.precis.cli.CommandLineRun.DIALOGUES;
import static dev.precis.cli.CommandLineRun.FIXTURES;
import static dev.precis.cli.CommandLineRun.MODEL;
import static dev.precis.cli.CommandLineRun.run;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.cli.CommandLineRun;
import dev.precis.cli.Main;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The plan of a run's memory: refused before weights are loaded, and held by the process. */
final class MemoryTest {
  /** Room for a heap, a compiler and threads, which differ from one start of a JVM to the next. */
  private static final double TOLERANCE = 1.10;

  @TempDir private Path folder;

  private static List<Object> arguments(String kind, Path model) {
    List<Object> arguments = new ArrayList<>();
    switch (kind) {
      case "reward" ->
          arguments.addAll(List.of("reward", "--data", DIALOGUES, "--text-field", "summary"));
      case "dpo" -> arguments.addAll(List.of("align", "--algorithm", "dpo", "--pairs", DIALOGUES));
      case "ppo" ->
          arguments.addAll(List.of("align", "--data", DIALOGUES, "--reward", "length:20=0.1"));
      case "reference" ->
          arguments.addAll(
              List.of(
                  "align",
                  "--data",
                  DIALOGUES,
                  "--reward",
                  "length:20=0.1",
                  "--reference",
                  "checkpoint:" + model));
      case "classifier" ->
          arguments.addAll(List.of("align", "--data", DIALOGUES, "--reward-model", model));
      default -> arguments.addAll(List.of("train", "--data", DIALOGUES));
    }
    boolean other = kind.equals("reference") || kind.equals("classifier");
    arguments.addAll(List.of("--model", other ? MODEL : model));
    return arguments;
  }

  /** A model of terabytes that has no weights: none is looked for. */
  @ParameterizedTest
  @ValueSource(strings = {"train", "ppo", "dpo", "reference", "reward", "classifier"})
  void weightsThatDoNotFitAreRefusedBeforeTheyAreLoaded(String kind) throws IOException {
    boolean classifier = kind.equals("reward") || kind.equals("classifier");
    Path tiny = classifier ? FIXTURES.resolve("roberta-tiny") : MODEL;
    Path model = Files.createDirectory(folder.resolve("model"));
    try (var files = Files.list(tiny)) {
      for (Path file : files.filter(each -> !each.toString().contains("model.saf")).toList()) {
        Files.copy(file, model.resolve(file.getFileName()));
      }
    }
    Path config = model.resolve("config.json");
    Files.writeString(
        config,
        Files.readString(config)
            .replaceFirst("\"d_ff\": \\d+", "\"d_ff\": 1048576")
            .replaceFirst("\"intermediate_size\": \\d+", "\"intermediate_size\": 1048576")
            .replaceFirst("\"num_hidden_layers\": \\d+", "\"num_hidden_layers\": 1000")
            .replaceFirst("\"num_layers\": \\d+", "\"num_layers\": 1000")
            .replaceFirst("\"num_decoder_layers\": \\d+", "\"num_decoder_layers\": 1000"));
    List<Object> arguments = arguments(kind, model);
    arguments.addAll(List.of("--output", folder.resolve("run")));
    CommandLineRun refused = run(arguments.toArray());
    assertEquals(2, refused.exitCode(), refused.err());
    String said = refused.err().lines().toList().getLast();
    assertTrue(said.startsWith("precis: The weights alone need "), said);
    assertTrue(said.contains("TB") || said.contains("GB"), said);
    assertTrue(said.contains("--no-memory-check"), said);
    assertFalse(Files.exists(folder.resolve("run")));

    arguments.add("--no-memory-check");
    CommandLineRun started = run(arguments.toArray());
    assertEquals(2, started.exitCode(), started.err());
    assertFalse(started.err().contains("The weights alone"), started.err());
  }

  /** The most that a process had in memory, against the plan that it printed at its start. */
  @ParameterizedTest
  @ValueSource(strings = {"lora", "ppo", "lora small", "ppo small"})
  void theProcessKeepsItsPlan(String kind) throws Exception {
    Path model = kind.endsWith("small") ? small() : MODEL;
    List<Object> arguments = arguments(kind.startsWith("ppo") ? "ppo" : "train", model);
    arguments.addAll(
        List.of(
            "--output",
            folder.resolve("run"),
            "--max-steps",
            6,
            "--batch-size",
            8,
            "--checkpoint-every",
            2));
    if (kind.startsWith("ppo")) {
      arguments.addAll(List.of("--max-new-tokens", 40, "--min-new-tokens", 40));
    }
    long peak = peakOf(arguments);
    Matcher plan =
        Pattern.compile("native memory ([\\d.]+) ([MG])B").matcher(Files.readString(err()));
    assertTrue(plan.find(), Files.readString(err()));
    double planned = Double.parseDouble(plan.group(1)) * (plan.group(2).equals("G") ? 1e9 : 1e6);
    System.out.printf("%s: plan %.0f MB, peak %.0f MB%n", kind, planned / 1e6, peak / 1e6);
    assertTrue(peak <= TOLERANCE * planned, "plan %.0f, peak %d".formatted(planned, peak));
    assertTrue(peak >= planned / 2, "plan %.0f, peak %d".formatted(planned, peak));
  }

  private Path err() {
    return folder.resolve("err.txt");
  }

  /** A model of some 13 million parameters. */
  private Path small() throws IOException {
    Path init = Files.createDirectory(folder.resolve("init"));
    for (String name : List.of("tokenizer.json", "config.json")) {
      Files.copy(MODEL.resolve(name), init.resolve(name));
    }
    Path config = init.resolve("config.json");
    Files.writeString(
        config,
        Files.readString(config)
            .replaceFirst("\"d_model\": \\d+", "\"d_model\": 384")
            .replaceFirst("\"d_ff\": \\d+", "\"d_ff\": 1024"));
    Path output = folder.resolve("made");
    run(
            "train",
            "--init",
            init,
            "--method",
            "full",
            "--data",
            DIALOGUES,
            "--max-steps",
            1,
            "--batch-size",
            1,
            "--output",
            output)
        .succeeded();
    return output.resolve("model");
  }

  /** Runs a command as a process of its own and returns the most bytes it had in memory. */
  private long peakOf(List<Object> arguments) throws Exception {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-XX:+UseSerialGC",
                "-cp",
                System.getProperty("java.class.path"),
                Main.class.getName()));
    arguments.forEach(each -> command.add(each.toString()));
    Process process =
        new ProcessBuilder(command)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .redirectError(err().toFile())
            .start();
    Path status = Path.of("/proc", Long.toString(process.pid()), "status");
    long peak = 0;
    while (!process.waitFor(5, TimeUnit.MILLISECONDS)) {
      peak = Math.max(peak, highWater(status));
    }
    assertEquals(0, process.exitValue(), Files.readString(err()));
    return peak;
  }

  /** Returns the most that the process had in memory so far; 0 once it has ended. */
  private static long highWater(Path status) {
    try {
      for (String line : Files.readAllLines(status)) {
        if (line.startsWith("VmHWM:")) {
          return Long.parseLong(line.replaceAll("\\D", "")) * 1024;
        }
      }
    } catch (IOException e) {
      // It has ended between two looks.
    }
    return 0;
  }
}
