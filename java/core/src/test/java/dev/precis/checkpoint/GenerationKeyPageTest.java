package dev.precis.checkpoint;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** The documentation of generation_config.json is what the table of its keys says. */
class GenerationKeyPageTest {
  private static String table() {
    StringBuilder table = new StringBuilder("| key | here | note |\n|---|---|---|\n");
    for (GenerationKey key : GenerationKey.ALL) {
      String treatment =
          switch (key.treatment()) {
            case FOLLOWED -> "followed";
            case NO_EFFECT -> "without effect";
            case NAMED -> "named in a note";
          };
      table.append("| `%s` | %s | %s |\n".formatted(key.name(), treatment, key.note()));
    }
    return table.toString();
  }

  @Test
  void pageHasTheTable() throws IOException {
    String page = Files.readString(Path.of("../../docs/files.md"));
    assertTrue(
        page.contains(table()),
        () -> "docs/files.md needs this table for generation_config.json:\n" + table());
  }
}
