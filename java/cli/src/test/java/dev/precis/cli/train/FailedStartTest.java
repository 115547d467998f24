package dev.precis.cli.train;

import static dev.precis.cli.CommandLineRun.DIALOGUES;
import static dev.precis.cli.CommandLineRun.FIXTURES;
import static dev.precis.cli.CommandLineRun.MODEL;
import static dev.precis.cli.CommandLineRun.run;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.cli.CommandLineRun;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A start that fails before its first step leaves nothing behind. */
final class FailedStartTest {
  private static final List<Object> ALIGN =
      List.of("align", "--model", MODEL, "--data", DIALOGUES, "--max-steps", 1, "--batch-size", 4);

  @TempDir private Path folder;

  private CommandLineRun start(List<Object> command, Path output, Object... more) {
    List<Object> arguments = new ArrayList<>(command);
    arguments.addAll(List.of("--max-new-tokens", 4, "--output", output));
    arguments.addAll(List.of(more));
    return run(arguments.toArray());
  }

  private static List<String> entries(Path folder) throws IOException {
    try (Stream<Path> all = Files.list(folder)) {
      return all.map(each -> each.getFileName().toString()).sorted().toList();
    }
  }

  @Test
  void theCorrectedCommandRunsInTheSameFolder() throws IOException {
    Path output = folder.resolve("a/b/run");
    Object[] reward = {"--reward-model", FIXTURES.resolve("roberta-tiny"), "--reward-label"};
    CommandLineRun wrong =
        start(
            ALIGN, output, Stream.of(reward, new Object[] {"hate"}).flatMap(Stream::of).toArray());
    assertEquals(2, wrong.exitCode(), wrong.err());
    assertTrue(wrong.err().contains("does not start"), wrong.err());
    assertFalse(Files.exists(folder.resolve("a")));
    start(ALIGN, output, Stream.of(reward, new Object[] {"nothate"}).flatMap(Stream::of).toArray())
        .succeeded();
    assertTrue(Files.exists(output.resolve("preflight.json")));
  }

  @Test
  void whatWasInTheFolderStays() throws IOException {
    Path output = Files.createDirectory(folder.resolve("run"));
    Files.writeString(output.resolve("notes.txt"), "mine");
    Object[] refused = {"--reward", "rouge:rouge1", "--reference", "adapter:" + folder};
    CommandLineRun wrong = start(ALIGN, output, refused);
    assertEquals(2, wrong.exitCode(), wrong.err());
    assertEquals(List.of("notes.txt"), entries(output));
    start(ALIGN, output, "--reward", "rouge:rouge1").succeeded();
    assertTrue(entries(output).containsAll(List.of("notes.txt", "config.json", "adapter")));
  }

  @Test
  void aModelThatCannotBeLoadedLeavesNothing() throws IOException {
    Path model = Files.createDirectory(folder.resolve("model"));
    try (Stream<Path> files = Files.list(MODEL)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        Files.copy(file, model.resolve(file.getFileName()));
      }
    }
    Path weights = model.resolve("model.safetensors");
    byte[] bytes = Files.readAllBytes(weights);
    Files.write(weights, java.util.Arrays.copyOf(bytes, bytes.length - 100));
    Path output = folder.resolve("run");
    Object[] command = {"train", "--model", model, "--data", DIALOGUES, "--max-steps", 1};
    List<Object> all = new ArrayList<>(List.of(command));
    all.addAll(List.of("--output", output));
    assertEquals(2, run(all.toArray()).exitCode());
    assertFalse(Files.exists(output));
    Files.write(weights, bytes);
    run(all.toArray()).succeeded();
  }
}
