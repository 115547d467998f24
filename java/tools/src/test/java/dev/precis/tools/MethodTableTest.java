package dev.precis.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MethodTableTest {
  private static String score(double mean) {
    return String.format(
        Locale.ROOT, "{\"mean\":%s,\"low\":%s,\"high\":%s}", mean, mean - 0.125, mean + 0.125);
  }

  private static String candidate(String name, double rouge) {
    return "{\"name\":\"%s\",\"scores\":{\"rouge1\":%s,\"rougeL\":%s,\"toxicity\":%s}}"
        .formatted(name, score(rouge), score(rouge - 0.25), score(0.25));
  }

  /** The model before has no cost, a run has that of its results. */
  @Test
  void eachCandidateHasARow(@TempDir Path work) throws IOException {
    Files.createDirectories(work.resolve("evaluation"));
    Files.createDirectories(work.resolve("lora"));
    Files.writeString(
        work.resolve("evaluation/evaluation.json"),
        "{\"candidates\":[" + candidate("base", 0.5) + "," + candidate("lora", 0.625) + "]}");
    Files.writeString(
        work.resolve("lora/results.json"),
        "{\"cost\":{\"trained_parameters\":387072,\"seconds\":61.6,\"memory_bytes\":317900000}}");
    List<String> lines = MethodTable.table(work).lines().toList();
    assertEquals(4, lines.size());
    assertEquals(
        "| base | | | | 0.500 [0.375, 0.625] | 0.250 [0.125, 0.375] | 0.250 [0.125, 0.375] |",
        lines.get(2));
    assertEquals(
        "| lora | 387,072 | 62 | 317 | 0.625 [0.500, 0.750] | 0.375 [0.250, 0.500]"
            + " | 0.250 [0.125, 0.375] |",
        lines.get(3));
  }
}
