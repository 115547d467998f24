package dev.precis.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.io.InvalidInputException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The policy for rows that cannot be used. */
final class BadRowsTest {
  private static final String GOOD = "{\"dialogue\": \"A: Hi.\", \"summary\": \"A greets.\"}\n";

  @TempDir private Path folder;
  private final Recording told = new Recording();

  private List<Dialogue> summarized(Path file, BadRows policy) {
    try (Stream<Dialogue> all = DialogueReader.streamSummarized(file, told.options(policy))) {
      return all.toList();
    }
  }

  private Path write(String name, String content) throws IOException {
    return Files.writeString(folder.resolve(name), content);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{'dialogue': '', 'summary': 's'} | true | 'dialogue' is empty",
        "{'dialogue': 'd', 'summary': ''} | true | 'summary' is empty, so that there is no summary",
        "{'dialogue': 'd'} | true | has no summary",
        "{'dialogue': 'd', 'summary': 5} | false | 'summary' must be a text",
        "{'dialogue': ['d'], 'summary': 's'} | false | 'dialogue' must be a text",
        "{'dialogue': 'd', 'summary': '\\ud83d'} | false | unpaired surrogate",
        "{'dialogue': 'd', 'summary': | false | is not valid JSON: it ends in the middle",
        "{'dialogue': 'd'} {} | false | holds more than one JSON object",
        "[1] | false | is no JSON object",
        "{'topic': 'x'} | false | has no 'dialogue'"
      })
  void aBadRowFailsOrIsSkippedByItsKind(String line, boolean unusable, String reason)
      throws IOException {
    Path file = write("d.jsonl", GOOD + line.replace('\'', '"') + "\n" + GOOD);
    String sentence = reason.replace('\'', '"');
    for (BadRows policy : BadRows.values()) {
      Recording told = new Recording();
      if (policy == BadRows.SKIP || unusable && policy == BadRows.SKIP_UNUSABLE) {
        try (Stream<Dialogue> all = DialogueReader.streamSummarized(file, told.options(policy))) {
          assertEquals(List.of("1", "3"), all.map(Dialogue::id).toList());
        }
        assertEquals(1, told.skipped);
        assertEquals(3, told.rows);
        String note = told.notes.getLast();
        assertTrue(note.startsWith(file + ": 1 of 3 rows skipped: " + file + ", line 2"), note);
        assertTrue(note.contains(sentence), note);
      } else {
        String said =
            assertThrows(
                    InvalidInputException.class,
                    () -> {
                      try (Stream<Dialogue> all =
                          DialogueReader.streamSummarized(file, told.options(policy))) {
                        all.toList();
                      }
                    })
                .getMessage();
        assertTrue(said.startsWith(file + ", line 2") && said.contains(sentence), said);
      }
    }
  }

  @Test
  void aLineThatIsNotUtf8IsSkipped() throws IOException {
    byte[] bytes = (GOOD + "{\"dialogue\": \"#\"}\n" + GOOD).getBytes(StandardCharsets.UTF_8);
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = bytes[i] == '#' ? (byte) 0xE9 : bytes[i];
    }
    Path file = Files.write(folder.resolve("d.jsonl"), bytes);
    assertEquals(2, summarized(file, BadRows.SKIP).size());
    assertTrue(told.notes.getFirst().contains("line 2 is not UTF-8"), told.notes.getFirst());
    assertThrows(InvalidInputException.class, () -> summarized(file, BadRows.SKIP_UNUSABLE));
  }

  @Test
  void rowsOfOtherFormatsAreSkippedToo() throws IOException {
    Path csv = write("d.csv", "dialogue,summary\nA,s\nB\n,t\nC,u\n");
    assertEquals(2, summarized(csv, BadRows.SKIP).size());
    assertTrue(told.notes.getFirst().contains("2 of 4 rows skipped"), told.notes.getFirst());
    Path list = write("d.json", "[" + GOOD + ", 5, [{}], {\"dialogue\": \"\"}," + GOOD + "]");
    assertEquals(2, summarized(list, BadRows.SKIP).size());
    // Behind a broken value of a list nothing can be read.
    Path broken = write("b.json", "[" + GOOD + ", {\"dialogue\" 5}, " + GOOD + "]");
    assertThrows(InvalidInputException.class, () -> summarized(broken, BadRows.SKIP));
  }

  @Test
  void threeRowsAreNamedAndTheOthersCounted() throws IOException {
    Path file = write("d.jsonl", "{\"dialogue\": \"\"}\n".repeat(5) + GOOD);
    assertEquals(1, summarized(file, BadRows.SKIP_UNUSABLE).size());
    String note = told.notes.getFirst();
    assertTrue(note.contains("5 of 6 rows skipped"), note);
    assertTrue(note.contains("line 3") && !note.contains("line 4"), note);
    assertTrue(note.endsWith("; and 2 more."), note);
  }

  @Test
  void withoutAGoodRowTheDataIsBad() throws IOException {
    Path file = write("d.jsonl", "{\"dialogue\": \"\"}\n".repeat(2));
    String said =
        assertThrows(InvalidInputException.class, () -> summarized(file, BadRows.SKIP))
            .getMessage();
    assertEquals(
        file
            + " has no row that can be used; the first of 2: "
            + file
            + ", line 1: \"dialogue\" is empty",
        said);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{'prompt': 'p', 'chosen': 'a', 'rejected': 'a'}",
        "{'prompt': 'p', 'chosen': 'a', 'rejected': ''}",
        "{'prompt': 'p', 'chosen': 'a', 'rejected': null}",
        "{'prompt': '', 'chosen': 'a', 'rejected': 'b'}",
        "{'prompt': 'p', 'chosen': ' ', 'rejected': 'b'}",
        "{'prompt': 'p', 'chosen': 'a', 'rejected': 'b', 'score_chosen': 1, 'score_rejected': 2}"
      })
  void pairsThatTeachNothingAreSkipped(String line) throws IOException {
    String good = "{\"prompt\": \"p\", \"chosen\": \"a\", \"rejected\": \"b\"}\n";
    Path file = write("p.jsonl", good + line.replace('\'', '"') + "\n" + good);
    assertEquals(
        2,
        PreferenceReader.readPairs(file, told.options(BadRows.SKIP_UNUSABLE), Function.identity())
            .size());
    assertThrows(InvalidInputException.class, () -> PreferenceReader.readPairs(file));
  }

  @Test
  void answersAndTextsWithoutALabelAreSkipped() throws IOException {
    Path file =
        write(
            "f.jsonl",
            "{\"prompt\": \"p\", \"completion\": \"a\", \"label\": true}\n"
                + "{\"prompt\": \"p\", \"completion\": \"a\", \"label\": null}\n");
    DataOptions options = told.options(BadRows.SKIP_UNUSABLE);
    assertEquals(1, PreferenceReader.readFeedback(file, options, Function.identity()).size());
    assertEquals(1, TextReader.readLabelled(file, "completion", options).size());
  }
}
