package dev.precis.cli.bench;

import static dev.precis.cli.CommandLineRun.run;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.cli.CommandLineRun;
import dev.precis.io.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

class BenchRooflineTest {
  @TempDir private Path folder;

  @Test
  void modesAndTheirPartsAreHeldToTheCeilings() throws IOException {
    Path file = folder.resolve("roofline.json");
    CommandLineRun result =
        run(
                "bench",
                "roofline",
                "--quick",
                "--json",
                file,
                "--source",
                12,
                "--new",
                4,
                "--repeats",
                2,
                "--threads",
                1)
            .succeeded();
    JsonNode root = Json.mapper().readTree(Files.readString(file));
    assertEquals("mini", root.get("size").stringValue());
    assertEquals(1, root.get("threads").intValue());
    Set<String> kinds = new HashSet<>();
    for (JsonNode ceiling : root.get("ceilings")) {
      kinds.add(ceiling.get("kind").stringValue());
      assertTrue(ceiling.get("rate").doubleValue() > 0);
      assertTrue(ceiling.get("samples").size() > 0);
    }
    assertTrue(kinds.containsAll(Set.of("read", "update", "float32")), kinds.toString());
    List<String> names = new ArrayList<>();
    for (JsonNode mode : root.get("modes")) {
      String name = mode.get("name").stringValue();
      names.add(name);
      assertEquals(2, mode.get("samples").size());
      double seconds = mode.get("seconds").doubleValue();
      double floor = mode.get("floor").doubleValue();
      assertTrue(floor > 0, name);
      assertEquals(floor / seconds, mode.get("share").doubleValue(), 1e-9);
      double floors = 0;
      double all = 0;
      Set<String> parts = new HashSet<>();
      for (JsonNode part : mode.get("parts")) {
        String what = part.get("part").stringValue();
        parts.add(what);
        floors += part.get("floor").doubleValue();
        all += part.get("seconds").doubleValue();
        double formula = part.get("multiplications").doubleValue();
        if (formula > 0) {
          // The formulas hold, but for the zeros of fused adapters and small terms.
          double counted = part.get("counted").doubleValue();
          assertTrue(counted >= 0.999 * formula && counted <= 1.06 * formula, name + " " + what);
        }
      }
      assertEquals(floor, floors, 1e-9);
      assertEquals(seconds, all, 1e-9);
      assertTrue(parts.containsAll(Set.of("encoder_products", "attention", "logits", "java")));
      assertEquals(!name.startsWith("generate"), parts.contains("update"), name);
      assertEquals(!name.startsWith("sft"), parts.contains("kv_reads"), name);
      assertTrue(result.out().contains(name + ": "), result.out());
    }
    assertEquals(
        List.of(
            "generate bfloat16, batch 1",
            "generate bfloat16, batch 8",
            "generate int8, batch 1",
            "generate int8, batch 8",
            "generate int4, batch 1",
            "sft bfloat16, batch 8",
            "ppo bfloat16, batch 8"),
        names);
    try (var left = Files.list(folder)) {
      assertEquals(List.of(file), left.toList(), "nothing else is left");
    }
  }

  @Test
  void trainsInNoInt8() {
    CommandLineRun result = run("bench", "roofline", "--quick", "--dtype", "int8");
    assertEquals(2, result.exitCode(), result.err());
    assertTrue(result.err().contains("measures int8 beside"), result.err());
    assertFalse(result.err().contains("\tat "), result.err());
  }
}
