package dev.precis.cli.generate;

import static dev.precis.cli.CommandLineRun.DIALOGUES;
import static dev.precis.cli.CommandLineRun.MODEL;
import static dev.precis.cli.CommandLineRun.run;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.cli.CommandLineRun;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The commands generate and evaluate follow a model's generation_config.json, or say what not. */
final class GenerationConfigTest {
  @TempDir private Path folder;
  private Path model;
  private Path input;

  @BeforeEach
  void copyModel() throws IOException {
    model = Files.createDirectories(folder.resolve("model"));
    try (Stream<Path> files = Files.list(MODEL)) {
      for (Path file : files.toList()) {
        Files.copy(file, model.resolve(file.getFileName()));
      }
    }
    input = Files.write(folder.resolve("in.jsonl"), Files.readAllLines(DIALOGUES).subList(0, 2));
  }

  private void settings(String json) throws IOException {
    Files.writeString(model.resolve("generation_config.json"), json);
  }

  private CommandLineRun generate(Path from, String... options) {
    List<Object> args = new ArrayList<>(List.of("generate", "--model", from, "--input", input));
    args.addAll(List.of(options));
    return run(args.toArray());
  }

  @Test
  void fileSaysWhatFlagsWouldSay() throws IOException {
    settings(
        "{\"num_beams\": 3, \"no_repeat_ngram_size\": 2, \"length_penalty\": 2.0,"
            + " \"max_new_tokens\": 20, \"guidance_scale\": 3}");
    CommandLineRun followed = generate(model).succeeded();
    CommandLineRun flags =
        generate(
                MODEL,
                "--num-beams=3",
                "--no-repeat-ngram-size=2",
                "--length-penalty=2",
                "--max-new-tokens=20")
            .succeeded();
    assertEquals(flags.out(), followed.out());
    assertEquals("", flags.err());
    assertEquals(1, followed.err().lines().count(), followed.err());
    assertEquals(
        model.resolve("generation_config.json")
            + " sets max_new_tokens=20, num_beams=3, length_penalty=2.0, no_repeat_ngram_size=2"
            + " (flags win, and --no-generation-config ignores it); it has settings that are not"
            + " followed: guidance_scale=3.\n",
        followed.err());
    assertEquals("", generate(model, "--quiet").succeeded().err());
  }

  @Test
  void flagsWin() throws IOException {
    settings("{\"num_beams\": 3, \"max_length\": 9, \"eos_token_id\": [1, 17]}");
    CommandLineRun own =
        generate(model, "--num-beams=1", "--max-new-tokens=16", "--no-repeat-ngram-size=1");
    assertTrue(own.succeeded().err().contains("sets eos_token_id=[1,17] ("), own.err());
    CommandLineRun ignored =
        generate(model, "--no-generation-config", "--max-new-tokens=16").succeeded();
    assertEquals("", ignored.err());
    assertEquals(generate(MODEL, "--max-new-tokens=16").succeeded().out(), ignored.out());
    assertNotEquals(own.out(), ignored.out());
  }

  @Test
  void samplingOfTheFileIsSwitchedOff() throws IOException {
    settings("{\"do_sample\": true, \"temperature\": 0.7, \"max_new_tokens\": 12}");
    CommandLineRun sampled = generate(model, "--seed=3").succeeded();
    assertTrue(sampled.err().contains("do_sample=true, temperature=0.7"), sampled.err());
    assertEquals(
        generate(MODEL, "--max-new-tokens=12", "--sample", "--temperature=0.7", "--seed=3").out(),
        sampled.out());
    CommandLineRun greedy = generate(model, "--no-sample").succeeded();
    assertEquals(generate(MODEL, "--max-new-tokens=12").out(), greedy.out());
    assertFalse(greedy.err().contains("temperature"), greedy.err());
    // A flag for sampling makes sense where the folder samples, and only there.
    generate(model, "--temperature=0.5").succeeded();
    assertEquals(2, generate(MODEL, "--temperature=0.5").exitCode());
    assertEquals(2, generate(model, "--no-sample", "--temperature=0.5").exitCode());
  }

  @Test
  void aConflictNamesBothSides() throws IOException {
    settings("{\"do_sample\": true}");
    CommandLineRun beams = generate(model, "--num-beams=4");
    assertEquals(2, beams.exitCode());
    assertTrue(
        beams.err().contains("do_sample=true") && beams.err().contains("--no-generation-config"),
        beams.err());
    settings("{\"num_beams\": \"many\"}");
    CommandLineRun wrong = generate(model);
    assertEquals(2, wrong.exitCode());
    assertTrue(wrong.err().contains("\"num_beams\" must be a whole number"), wrong.err());
    generate(model, "--no-generation-config", "--max-new-tokens=2").succeeded();
  }

  @Test
  void streamRefusesTheBeamsOfTheFile() throws IOException {
    settings("{\"num_beams\": 2}");
    assertEquals(2, generate(model, "--stream").exitCode());
    generate(model, "--stream", "--num-beams=1", "--max-new-tokens=4").succeeded();
  }

  @Test
  void evaluateFollowsItToo() throws IOException {
    settings("{\"suppress_tokens\": [98, 55], \"max_new_tokens\": 12}");
    List<Object> args =
        List.of("evaluate", "--data", input, "--candidate", "m=" + model, "--metrics=rouge");
    CommandLineRun followed = run(args.toArray()).succeeded();
    assertTrue(
        followed.err().contains("max_new_tokens=12, suppress_tokens=[98,55]"), followed.err());
    List<Object> more = new ArrayList<>(args);
    more.add("--no-generation-config");
    CommandLineRun ignored = run(more.toArray()).succeeded();
    assertFalse(ignored.err().contains("generation_config"), ignored.err());
  }

  @Test
  void aTimeoutKeepsWhatIsDone() throws IOException {
    Path output = folder.resolve("out.jsonl");
    CommandLineRun late =
        generate(
            MODEL,
            "--min-new-tokens=30000",
            "--max-new-tokens=30000",
            "--timeout=0.4",
            "--output=" + output);
    assertEquals(1, late.exitCode());
    assertTrue(late.err().contains("not complete after 0.4 seconds"), late.err());
    assertFalse(Files.exists(output));
    assertEquals(2, generate(MODEL, "--timeout=0").exitCode());
    assertEquals(2, generate(MODEL, "--timeout=NaN").exitCode());
  }

  @Test
  void aSourceBeyondTheLimitIsRefused() throws IOException {
    Files.writeString(
        input, "{\"id\": \"long\", \"dialogue\": \"" + "word ".repeat(5000) + "\"}\n");
    CommandLineRun refused = generate(MODEL);
    assertEquals(2, refused.exitCode());
    assertTrue(refused.err().contains("--max-source-length 4096"), refused.err());
    generate(MODEL, "--max-source-tokens=40000", "--max-new-tokens=2").succeeded();
  }
}
