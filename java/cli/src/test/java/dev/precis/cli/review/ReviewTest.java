package dev.precis.cli.review;

import static dev.precis.cli.CommandLineRun.DIALOGUES;
import static dev.precis.cli.CommandLineRun.MODEL;
import static dev.precis.cli.CommandLineRun.lines;
import static dev.precis.cli.CommandLineRun.run;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.cli.CommandLineRun;
import dev.precis.review.Gate;
import dev.precis.review.Gate.Item;
import dev.precis.review.Gate.State;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** From generated texts to those that people let out. */
class ReviewTest {
  @TempDir private Path folder;
  private Path queue;

  @BeforeEach
  void name() {
    queue = folder.resolve("queue.jsonl");
  }

  private CommandLineRun review(String what, Object... more) {
    List<Object> arguments = new ArrayList<>(List.of("review", what, "--queue", queue));
    arguments.addAll(List.of(more));
    return run(arguments.toArray());
  }

  private CommandLineRun hold(Object... more) {
    List<Object> arguments =
        new ArrayList<>(
            List.of(
                "generate",
                "--model",
                MODEL,
                "--input",
                DIALOGUES,
                "--max-new-tokens",
                8,
                "--dtype",
                "float32",
                "--hold",
                queue));
    arguments.addAll(List.of(more));
    return run(arguments.toArray());
  }

  @Test
  void textsAreHeldDecidedAndReleased() throws Exception {
    hold().succeeded();
    List<Item> held = Gate.read(queue);
    assertTrue(held.size() > 10);
    Path plain = folder.resolve("plain.jsonl");
    run(
            "generate",
            "--model",
            MODEL,
            "--input",
            DIALOGUES,
            "--max-new-tokens",
            8,
            "--dtype",
            "float32",
            "--output",
            plain)
        .succeeded();
    List<JsonNode> same = lines(plain);
    for (int i = 0; i < held.size(); i++) {
      assertEquals(same.get(i).get("id").asString(), held.get(i).candidate().id());
      assertEquals(same.get(i).get("summary").asString(), held.get(i).text());
      assertEquals(64, held.get(i).candidate().model().get("model_sha256").length());
    }
    String first = held.get(0).candidate().id();
    String second = held.get(1).candidate().id();
    String third = held.get(2).candidate().id();
    review("approve", "--by", "Ann", first).succeeded();
    review("edit", "--by", "Bob", "--text", "Better.", second).succeeded();
    review("reject", "--by", "Ann", "--reason", "wrong", third).succeeded();
    String shown = review("show", second).succeeded().out();
    assertTrue(shown.contains("Better.") && shown.contains(held.get(1).text()), shown);
    assertTrue(shown.contains(held.get(1).candidate().source().lines().findFirst().get()), shown);
    String listed = review("list", "--state", "approved").succeeded().out();
    assertEquals(2, listed.lines().count(), listed);
    assertTrue(listed.lines().allMatch(line -> line.length() <= 80), listed);
    Path released = folder.resolve("released.jsonl");
    review("release", "--output", released).succeeded();
    List<JsonNode> out = lines(released);
    assertEquals(2, out.size());
    assertEquals(held.get(0).text(), out.get(0).get("summary").asString());
    assertEquals("Better.", out.get(1).get("summary").asString());
    assertEquals(held.get(1).text(), out.get(1).get("generated").asString());
    assertEquals("Bob", out.get(1).get("approved_by").get(0).asString());
    assertEquals(State.RELEASED, Gate.read(queue).getFirst().state());
    refused("exists", review("release", "--output", released));
    review("release", "--output", folder.resolve("none.jsonl")).succeeded();
    assertEquals(0, Files.size(folder.resolve("none.jsonl")));
  }

  /** The fact checker's findings stand beside the text. */
  @Test
  void whatIsUnsupportedIsSaid() {
    hold().succeeded();
    String json = review("list", "--json").succeeded().out();
    assertTrue(json.lines().anyMatch(line -> line.contains("The dialogue never")), json);
  }

  @Test
  void twoPeopleMayBeNeeded() {
    hold().succeeded();
    String id = Gate.read(queue).getFirst().candidate().id();
    review("approve", "--by", "Ann", id).succeeded();
    Path one = folder.resolve("one.jsonl");
    review("release", "--people", 2, "--output", one).succeeded();
    assertEquals(List.of(), lines(one));
    review("approve", "--by", "Bob", id).succeeded();
    Path two = folder.resolve("two.jsonl");
    review("release", "--people", 2, "--output", two).succeeded();
    assertEquals(1, lines(two).size());
  }

  @Test
  void erasedTextIsNowhere() throws Exception {
    hold().succeeded();
    Item item = Gate.read(queue).getFirst();
    String source = item.candidate().source().replace("\n", "\\n");
    assertTrue(Files.readString(queue).contains(source));
    review("erase", item.candidate().id()).succeeded();
    assertFalse(Files.readString(queue).contains(source));
    assertFalse(Files.readString(queue).contains("\"" + item.candidate().id() + "\""));
    refused("holds no text", review("show", item.candidate().id()));
  }

  @Test
  void badInputGetsASentence() throws Exception {
    refused("does not exist", review("list"));
    refused("What to do is missing", run("review"));
    refused("--hold", hold("--output", folder.resolve("out.jsonl")));
    hold().succeeded();
    refused("holds a text of the id", hold());
    String id = Gate.read(queue).getFirst().candidate().id();
    refused("--by", review("approve", id));
    refused("holds no text", review("approve", "--by", "Ann", "nobody"));
    refused("--state must be", review("list", "--state", "open"));
    List<String> lines = Files.readAllLines(queue);
    lines.remove(0);
    Files.write(queue, lines);
    refused("line 1 does not follow", review("list"));
  }

  private static void refused(String sentence, CommandLineRun run) {
    assertEquals(2, run.exitCode(), run.err());
    assertTrue(run.err().contains(sentence), run.err());
  }
}
