package dev.precis.review;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.io.InvalidInputException;
import dev.precis.review.Gate.Candidate;
import dev.precis.review.Gate.Item;
import dev.precis.review.Gate.State;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GateTest {
  @TempDir private Path folder;
  private Path file;

  @BeforeEach
  void name() {
    file = folder.resolve("queue.jsonl");
  }

  private static Candidate candidate(String id) {
    return new Candidate(
        id,
        "A: Hello, " + id + ".",
        "A says hello to " + id + ".",
        Map.of("model", "t5", "model_sha256", "ab"),
        List.of("everything is held"));
  }

  private static Item item(List<Item> items, String id) {
    return items.stream()
        .filter(each -> each.candidate().id().equals(id))
        .findFirst()
        .orElseThrow();
  }

  @Test
  void onlyApprovedTextLeavesAndOnlyOnce() {
    try (Gate gate = Gate.open(file)) {
      for (String id : List.of("a", "b", "c", "d")) {
        gate.hold(candidate(id));
      }
      assertEquals(List.of(), gate.release(1));
      gate.approve("a", "Ann");
      gate.edit("b", "Bob", "A greets b.");
      gate.reject("c", "Ann", "wrong name");
      List<Item> left = gate.release(1);
      assertEquals(
          List.of("A says hello to a.", "A greets b."), left.stream().map(Item::text).toList());
      assertEquals(Set.of("Bob"), left.get(1).approvedBy());
      assertEquals(List.of(), gate.release(1));
    }
    List<Item> items = Gate.read(file);
    assertEquals(State.RELEASED, item(items, "a").state());
    assertEquals(State.REJECTED, item(items, "c").state());
    assertEquals("wrong name", item(items, "c").rejection());
    assertEquals(State.HELD, item(items, "d").state());
    assertEquals(candidate("d"), item(items, "d").candidate());
  }

  /** An approval from before an edit was of another text, and does not count. */
  @Test
  void twoPeopleApproveTheSameText() {
    try (Gate gate = Gate.open(file)) {
      gate.hold(candidate("a"));
      gate.approve("a", "Ann");
      gate.approve("a", "Ann");
      assertEquals(List.of(), gate.release(2));
      gate.edit("a", "Bob", "Another text.");
      assertEquals(List.of(), gate.release(2));
      gate.approve("a", "Ann");
      assertEquals(List.of("Another text."), gate.release(2).stream().map(Item::text).toList());
    }
  }

  @Test
  void whatIsNoDecisionIsRefused() {
    try (Gate gate = Gate.open(file)) {
      gate.hold(candidate("a"));
      refused("already", () -> gate.hold(candidate("a")));
      refused("no text of the id b", () -> gate.approve("b", "Ann"));
      refused("name of who", () -> gate.approve("a", " "));
      refused("needs a reason", () -> gate.reject("a", "Ann", ""));
      refused("must not be empty", () -> gate.edit("a", "Ann", "\n"));
      gate.approve("a", "Ann");
      gate.release(1);
      refused("released already", () -> gate.reject("a", "Ann", "too late"));
      refused("open in another process", () -> Gate.open(file).close());
    }
  }

  private static void refused(String part, Runnable action) {
    String said = assertThrows(InvalidInputException.class, action::run).getMessage();
    assertTrue(said.contains(part), said);
  }

  @Test
  void everyChangeOfALineShows() throws IOException {
    try (Gate gate = Gate.open(file)) {
      gate.hold(candidate("a"));
      gate.approve("a", "Ann");
      gate.hold(candidate("b"));
    }
    List<String> lines = Files.readAllLines(file);
    List<List<String>> changed = new ArrayList<>();
    changed.add(List.of(lines.get(0), lines.get(1).replace("Ann", "Bob"), lines.get(2)));
    changed.add(List.of(lines.get(0), lines.get(2)));
    changed.add(List.of(lines.get(1), lines.get(0), lines.get(2)));
    changed.add(List.of(lines.get(0), lines.get(0), lines.get(1), lines.get(2)));
    changed.add(
        List.of(lines.get(0), lines.get(1).replaceFirst("\"at\":\"2", "\"at\":\"1"), lines.get(2)));
    for (List<String> each : changed) {
      Files.write(file, each);
      refused("does not follow", () -> Gate.read(file));
    }
    Files.writeString(file, lines.get(0) + "\nnot json\n");
    refused("line 2", () -> Gate.read(file));
  }

  /** A crash while a line is written: what was acknowledged is there, and the journal goes on. */
  @Test
  void aLineThatWasCutOffIsRemoved() throws IOException {
    try (Gate gate = Gate.open(file)) {
      gate.hold(candidate("a"));
      gate.approve("a", "Ann");
    }
    byte[] whole = Files.readAllBytes(file);
    int first = new String(whole).indexOf('\n') + 1;
    for (int length = first; length < whole.length; length += 7) {
      Files.write(file, Arrays.copyOf(whole, length));
      try (Gate gate = Gate.open(file)) {
        assertEquals(State.HELD, gate.items().getFirst().state());
        gate.approve("a", "Ann");
      }
      assertEquals(State.APPROVED, Gate.read(file).getFirst().state());
    }
  }

  /** A file of one line without its end is somebody's data, and not a line that was cut off. */
  @Test
  void anotherFileIsRefusedAndKeepsItsContent() throws IOException {
    String entry;
    try (Gate gate = Gate.open(file)) {
      gate.hold(candidate("a"));
      entry = Files.readString(file);
    }
    for (String content :
        List.of(
            "{\"id\":\"a\",\"dialogue\":\"A: Hello.\"}",
            "no journal",
            "{\"n\":2,\"at\":\"2",
            entry + "{\"n\":1,\"at\":\"2",
            entry + "x")) {
      Files.writeString(file, content);
      refused("has no end", () -> Gate.read(file));
      refused("has no end", () -> Gate.open(file).close());
      assertEquals(content, Files.readString(file));
    }
  }

  @Test
  void whatIsErasedIsGoneAndTheChainHolds() throws IOException {
    try (Gate gate = Gate.open(file)) {
      gate.hold(candidate("secret"));
      gate.hold(candidate("b"));
      gate.edit("secret", "Ann", "The secret is out.");
      assertTrue(gate.erase("secret"));
      assertFalse(gate.erase("secret"));
      gate.approve("b", "Ann");
    }
    assertFalse(Files.readString(file).contains("secret"));
    List<Item> items = Gate.read(file);
    assertEquals(1, items.size());
    assertEquals(State.APPROVED, items.getFirst().state());
    assertEquals(4, Journal.read(file).size());
  }
}
