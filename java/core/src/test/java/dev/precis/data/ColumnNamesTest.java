package dev.precis.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.io.InvalidInputException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The columns of published data sets, and columns that are named. */
final class ColumnNamesTest {
  @TempDir private Path folder;
  private final Recording told = new Recording();

  private Dialogue only(String line, Columns columns) throws IOException {
    Path file = Files.writeString(folder.resolve("d.jsonl"), line.replace('\'', '"') + "\n");
    try (Stream<Dialogue> all = DialogueReader.streamSummarized(file, told.options(columns))) {
      return all.toList().getFirst();
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{'article': 'T', 'highlights': 'S'} | T | false",
        "{'document': 'T', 'summary': 'S'} | T | false",
        "{'conversation': 'T', 'summary': 'S'} | T | false",
        "{'instruction': 'I', 'input': 'T', 'output': 'S'} | I\\n\\nT | true",
        "{'instruction': 'I', 'input': '', 'output': 'S', 'text': 'I S'} | I | true",
        "{'prompt': 'T', 'completion': 'S'} | T | true",
        "{'text': 'T', 'summary': 'S'} | T | true",
        "{'source': 'T', 'target': 'S'} | T | true",
        "{'inputs': 'T', 'targets': 'S'} | T | true",
        "{'input': 'T', 'output': 'S'} | T | true",
        "{'Dialogue': 'T', 'Summary': 'S'} | T | false",
        "{'Input Text': 'T', 'target-text': 'S'} | T | true",
        "{'dialogue': 'T', 'summary1': 'S', 'article': 'x'} | T | false",
        "{'prompt': [{'role': 'user', 'content': 'T'}], 'completion': [{'role': 'assistant',"
            + " 'content': 'S'}]} | T | true",
        "{'messages': [{'role': 'user', 'content': 'T'}, {'role': 'assistant', 'content': 'S'}]}"
            + " | T | true",
        "{'prompt': 'x', 'messages': [{'role': 'system', 'content': 'I'}, {'role': 'user',"
            + " 'content': 'T'}, {'role': 'assistant', 'content': 'S'}]} | I\\n\\nT | true",
        "{'conversations': [{'from': 'human', 'value': 'T'}, {'from': 'gpt', 'value': 'S'}]} | T |"
            + " true"
      })
  void wellKnownNamesAreTried(String line, String text, boolean raw) throws IOException {
    Dialogue read = only(line, Columns.WELL_KNOWN);
    assertEquals(new Dialogue("1", text.replace("\\n", "\n"), List.of("S"), null, raw), read);
  }

  @Test
  void whatWasTakenIsSaidOnce() throws IOException {
    Path file = folder.resolve("cnn.csv");
    Files.writeString(file, "id,article,highlights\n1,T,S\n2,U,V\n");
    DataOptions options = told.options(Columns.WELL_KNOWN);
    assertEquals(2, DialogueReader.read(file, options).size());
    assertEquals(
        List.of(file + ": \"article\" is read as the dialogue, \"highlights\" as the summary."),
        told.notes);
    assertEquals(Map.of("dialogue", "article", "summary", "highlights"), told.columns);
    told.notes.clear();
    Files.writeString(file, "id,dialogue,summary\n1,T,S\n");
    DialogueReader.read(file, options);
    assertEquals(List.of(), told.notes);
  }

  @Test
  void anEmptyCellDoesNotChangeTheColumn() throws IOException {
    Path file = Files.writeString(folder.resolve("d.csv"), "article,highlights\nT,S\n,S\n");
    String said =
        assertThrows(InvalidInputException.class, () -> DialogueReader.read(file)).getMessage();
    assertEquals(file + ", line 3: \"article\" is empty", said);
  }

  @Test
  void namedColumnsAreTaken() throws IOException {
    String line = "{'dialogue': 'x', 'body': 'T', 'tl;dr': 'S', 'summary': 'x'}";
    Dialogue dialogue = only(line, new Columns("body", null, "tl;dr", null, null));
    assertEquals(new Dialogue("1", "T", List.of("S"), null, false), dialogue);
    Dialogue prompt = only(line, new Columns(null, "body", "tl;dr", null, null));
    assertTrue(prompt.raw());
    // Without a name for it, the summary is found beside a column that is named.
    assertEquals(List.of("x"), only(line, new Columns("body", null, null, null, null)).summaries());
    assertThrows(
        InvalidInputException.class, () -> new Columns("body", "prompt", null, null, null));
    Path pairs =
        Files.writeString(
            folder.resolve("p.jsonl"), "{\"q\": \"T\", \"better\": \"a\", \"worse\": \"b\"}");
    PreferencePair pair =
        PreferenceReader.readPairs(
                pairs, told.options(new Columns(null, "q", null, "better", "worse")), each -> each)
            .getFirst();
    assertEquals("T a b", pair.text() + " " + pair.chosen() + " " + pair.rejected());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{'article': 'a', 'document': 'b', 'summary': 's'} | several columns that could be the"
            + " text: 'article' and 'document'",
        "{'Dialogue': 'a', 'DIALOGUE': 'b', 'summary': 's'} | two fields that could be 'dialogue'",
        "{'a\\u001b[2J': 1} | its fields are: a\\u001b[2J"
      })
  void whatIsNotClearIsRefused(String line, String sentence) {
    String said =
        assertThrows(InvalidInputException.class, () -> only(line, Columns.WELL_KNOWN))
            .getMessage();
    assertTrue(said.contains(sentence.replace('\'', '"')), said);
  }

  @Test
  void aNamedColumnMustBeThere() {
    Columns columns = new Columns("body", null, null, null, null);
    String said =
        assertThrows(InvalidInputException.class, () -> only("{'dialogue': 'x'}", columns))
            .getMessage();
    assertTrue(said.contains("has no \"body\", which is to be the dialogue column"), said);
  }
}
