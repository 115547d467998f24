package dev.precis.tools;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.data.builtin.BuiltInDialogues;
import dev.precis.io.InvalidInputException;
import dev.precis.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class BpeTrainerTest {
  private static int trained(List<String> texts, int size, Path folder) throws IOException {
    Files.createDirectories(folder);
    BpeTrainer trainer = new BpeTrainer(size);
    texts.forEach(trainer::add);
    return trainer.write(folder);
  }

  private static List<String> merges(Path folder) throws IOException {
    List<String> lines = Files.readAllLines(folder.resolve("merges.txt"));
    assertEquals("#version: 0.2", lines.getFirst());
    return lines.subList(1, lines.size());
  }

  /** The example of Sennrich et al., with a space where their words end. */
  @Test
  void byHand(@TempDir Path folder) throws IOException {
    List<String> texts = new ArrayList<>();
    texts.addAll(Collections.nCopies(5, "low"));
    texts.addAll(Collections.nCopies(2, "lower"));
    texts.addAll(Collections.nCopies(6, "newest"));
    texts.addAll(Collections.nCopies(3, "widest"));
    // es and st are there 9 times each: e comes before s.
    int size = trained(texts, 261 + 6, folder);
    assertEquals(List.of("e s", "es t", "l o", "lo w", "e w", "ew est"), merges(folder));
    assertEquals(267, size);
    try (Tokenizer tokenizer = Tokenizer.load(folder)) {
      int[] ids = tokenizer.encode("lowest");
      assertEquals(0, ids[0]);
      assertEquals(2, ids[ids.length - 1]);
      assertEquals("low", tokenizer.idToToken(ids[1]));
      assertEquals("est", tokenizer.idToToken(ids[2]));
      assertEquals(4, ids.length);
      assertEquals(266, tokenizer.tokenToId("<mask>"));
      assertEquals(1, tokenizer.padId());
      assertEquals(3, tokenizer.unkId());
    }
  }

  @Test
  void itEndsWhereNoPairIsThereTwice(@TempDir Path folder) throws IOException {
    assertEquals(261 + 3, trained(List.of("good", "good", "x y"), 5000, folder));
    assertEquals(List.of("g o", "go o", "goo d"), merges(folder));
  }

  @Test
  void theOrderOfTextsChangesNothing(@TempDir Path folder) throws IOException {
    List<String> texts = new ArrayList<>();
    BuiltInDialogues.generate(2, 300).train().forEach(each -> texts.addAll(each.summaries()));
    int size = trained(texts, 700, folder.resolve("a"));
    Collections.shuffle(texts, new Random(1));
    assertEquals(size, trained(texts, 700, folder.resolve("b")));
    for (String file : List.of("vocab.json", "merges.txt")) {
      assertArrayEquals(
          Files.readAllBytes(folder.resolve("a").resolve(file)),
          Files.readAllBytes(folder.resolve("b").resolve(file)));
    }
    assertEquals(700, size);
  }

  @Test
  void anyTextComesBack(@TempDir Path folder) throws IOException {
    trained(List.of("na\u00efve na\u00efve caf\u00e9"), 300, folder);
    try (Tokenizer tokenizer = Tokenizer.load(folder)) {
      for (String text :
          List.of(
              "na\u00efve", "\ud83d\ude00 \u65e5\u672c", " two  spaces\n\tand 12's", "\u0001")) {
        int[] ids = tokenizer.encode(text);
        assertEquals(text, tokenizer.decode(ids, true));
        for (int id : ids) {
          assertTrue(id != 3, "unknown");
        }
      }
    }
  }

  @Test
  void bytesMustFit() {
    String said = assertThrows(InvalidInputException.class, () -> new BpeTrainer(260)).getMessage();
    assertTrue(said.contains("260") && said.contains("261"), said);
  }
}
