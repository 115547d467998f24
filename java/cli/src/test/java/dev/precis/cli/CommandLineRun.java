package dev.precis.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.precis.cli.common.Terminal;
import dev.precis.io.Json;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;

/** One command line, run in this process, and what came of it. */
public record CommandLineRun(int exitCode, String out, String err) {
  public static final Path FIXTURES = Path.of("../core/src/test/resources/fixtures");
  public static final Path MODEL = FIXTURES.resolve("t5-tiny");
  public static final Path DIALOGUES = FIXTURES.resolve("dialogues.jsonl");

  public static CommandLineRun run(Object... args) {
    return run(Map.of(), args);
  }

  public static CommandLineRun run(Map<String, String> environment, Object... args) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    Terminal terminal =
        new Terminal(
            out, new PrintStream(err, true, StandardCharsets.UTF_8), environment, false, false);
    int exitCode =
        Main.run(terminal, Arrays.stream(args).map(Object::toString).toArray(String[]::new));
    return new CommandLineRun(
        exitCode, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
  }

  /** The test's only expectation is success: standard error tells why there was none. */
  public CommandLineRun succeeded() {
    assertEquals(0, exitCode, err);
    return this;
  }

  public List<JsonNode> lines() {
    return lines(out);
  }

  public static List<JsonNode> lines(Path file) {
    try {
      return lines(Files.readString(file));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static List<JsonNode> lines(String text) {
    List<JsonNode> lines = new ArrayList<>();
    text.lines().forEach(line -> lines.add(Json.mapper().readTree(line)));
    return lines;
  }
}
