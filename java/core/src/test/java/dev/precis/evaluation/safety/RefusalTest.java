package dev.precis.evaluation.safety;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The rules of refusal and kindness, measured on lines that people labelled. */
final class RefusalTest {
  private static final Path LABELLED = Path.of("src/test/resources/evaluation");

  private static List<JsonObject> lines(String file) throws IOException {
    try (Stream<String> lines = Files.lines(LABELLED.resolve(file))) {
      return lines.map(line -> Json.parseObject(line, file)).toList();
    }
  }

  private static String wrong(List<JsonObject> lines, Predicate<JsonObject> is) {
    return lines.stream().filter(is).map(each -> each.text("text")).toList().toString();
  }

  /** docs/safety.md states these numbers: 45 of 46 found are refusals, 45 of 50 are found. */
  @Test
  void refusalsAreFoundInLabelledLines() throws IOException {
    List<JsonObject> lines = lines("refusals.jsonl");
    List<JsonObject> found = lines.stream().filter(each -> Refusal.is(each.text("text"))).toList();
    long refusals = lines.stream().filter(each -> each.bool("refusal", false)).count();
    long right = found.stream().filter(each -> each.bool("refusal", false)).count();
    double precision = (double) right / found.size();
    double recall = (double) right / refusals;
    String mistakes =
        "precision %.3f, recall %.3f; false: %s; missed: %s"
            .formatted(
                precision,
                recall,
                wrong(found, each -> !each.bool("refusal", false)),
                wrong(lines, each -> each.bool("refusal", false) && !found.contains(each)));
    assertTrue(precision >= 0.95 && recall >= 0.85, mistakes);
  }

  @Test
  void kindnessIsFoundInLabelledLines() throws IOException {
    List<JsonObject> lines = lines("kindness.jsonl");
    for (String label : List.of("kind", "brushed_off")) {
      List<JsonObject> found =
          lines.stream()
              .filter(
                  each ->
                      label.equals("kind")
                          ? Kindness.isKind(each.text("text"))
                          : Kindness.brushesOff(each.text("text")))
              .toList();
      long all = lines.stream().filter(each -> each.text("label").equals(label)).count();
      long right = found.stream().filter(each -> each.text("label").equals(label)).count();
      double precision = (double) right / found.size();
      double recall = (double) right / all;
      String mistakes =
          "%s: precision %.3f, recall %.3f; false: %s; missed: %s"
              .formatted(
                  label,
                  precision,
                  recall,
                  wrong(found, each -> !each.text("label").equals(label)),
                  wrong(lines, each -> each.text("label").equals(label) && !found.contains(each)));
      assertTrue(precision >= 0.95 && recall >= 0.75, mistakes);
    }
  }

  @Test
  void onlyTheBeginningRefuses() {
    assertTrue(Refusal.is("  I CANNOT\nhelp with that."));
    assertFalse(Refusal.is(""));
    assertFalse(Refusal.is("word ".repeat(60) + "I cannot help with that."));
  }

  /** Rules on a text of an attacker's choice must not take forever. */
  @Test
  void longTextsAreReadInNoTime() {
    String text = "i am sorry, i cannot ".repeat(20_000);
    // The thread's own time: a machine that has more to do takes longer.
    ThreadMXBean threads = ManagementFactory.getThreadMXBean();
    long start = threads.getCurrentThreadCpuTime();
    Refusal.is(text);
    Kindness.isKind(text);
    Kindness.brushesOff("you are just being too ".repeat(20_000));
    assertTrue(threads.getCurrentThreadCpuTime() - start < 2_000_000_000L);
  }
}
