package dev.precis.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.data.builtin.BuiltInDialogue;
import dev.precis.data.builtin.BuiltInDialogues;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.text.PromptTemplate;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PreferenceReaderTest {
  @TempDir private Path folder;

  private Path write(String name, String content) throws IOException {
    return Files.writeString(folder.resolve(name), content);
  }

  @Test
  void pairsOfPromptsAndOfDialogues() throws IOException {
    Path file =
        write(
            "pairs.jsonl",
            """
            {"id": 7, "prompt": "Say it.", "chosen": "A\\r\\nb", "rejected": "B", "margin": 0.5}

            {"dialogue": "A: hi", "chosen": "x", "rejected": "y", "rude": true}
            """);
    assertEquals(
        List.of(
            new PreferencePair("7", "Say it.", true, "A\nb", "B", 0.5, file + ", line 1"),
            new PreferencePair("3", "A: hi", false, "x", "y", file + ", line 3")),
        PreferenceReader.readPairs(file));
    Path csv = write("pairs.csv", "prompt,chosen,rejected\np,\"a, b\",c\n");
    assertEquals(
        List.of(new PreferencePair("2", "p", true, "a, b", "c", csv + ", line 2")),
        PreferenceReader.readPairs(csv));
  }

  @Test
  void theBuiltInPairs() throws IOException {
    StringBuilder lines = new StringBuilder();
    List<BuiltInDialogue> rude =
        BuiltInDialogues.generate(1, 200).train().stream().filter(BuiltInDialogue::rude).toList();
    for (BuiltInDialogue each : rude) {
      lines.append(Json.mapper().writeValueAsString(each.toPair(PromptTemplate.DEFAULT)));
      lines.append('\n');
    }
    List<PreferencePair> pairs =
        PreferenceReader.readPairs(write("train-pairs.jsonl", lines.toString()));
    assertEquals(rude.size(), pairs.size());
    assertEquals(rude.getLast().id(), pairs.getLast().id());
    assertEquals(rude.getLast().politeSummary(), pairs.getLast().chosen());
    assertTrue(pairs.getLast().raw() && pairs.getLast().text().endsWith("Summary: "));
  }

  @Test
  void labelsOfAllSpellings() throws IOException {
    Path file =
        write(
            "feedback.jsonl",
            """
            {"prompt": "p", "completion": "a", "label": true}
            {"prompt": "p", "completion": "a", "label": false}
            {"dialogue": "d", "completion": "a", "label": 1}
            {"prompt": "p", "completion": "a", "label": 0}
            {"prompt": "p", "completion": "a", "label": "False"}
            """);
    List<Feedback> all = PreferenceReader.readFeedback(file);
    assertEquals(
        List.of(true, false, true, false, false), all.stream().map(Feedback::good).toList());
    assertEquals(new Feedback("3", "d", false, "a", true, file + ", line 3"), all.get(2));
    Path csv = write("feedback.csv", "prompt,completion,label\np,a,TRUE\np,b,false\n");
    assertEquals(
        List.of(true, false),
        PreferenceReader.readFeedback(csv).stream().map(Feedback::good).toList());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{'prompt': 'p', 'chosen': 'a', 'rejected': ' a '} | are the same",
        "{'prompt': 'p', 'chosen': 'a', 'rejected': '  '} | 'rejected' is empty",
        "{'prompt': 'p', 'chosen': 'a'} | has no 'rejected'; beside the prompt it needs",
        "{'prompt': 'p', 'chosen': null, 'rejected': 'b'} | has no 'chosen'",
        "{'prompt': 'p', 'chosen': true, 'rejected': 'b'} | 'chosen' must be a text",
        "{'prompt': '', 'chosen': 'a', 'rejected': 'b'} | 'prompt' is empty",
        "{'chosen': 'a', 'rejected': 'b'} | has no 'dialogue' (nor",
        "{'prompt': 'p', 'chosen': 'a', 'rejected': '\\ud83d'} | unpaired surrogate",
        "['p', 'a', 'b'] | is no JSON object"
      })
  void aWrongPairIsRefusedByItsLine(String line, String sentence) throws IOException {
    Path file =
        write(
            "pairs.jsonl",
            "{\"prompt\": \"p\", \"chosen\": \"a\", \"rejected\": \"b\"}\n"
                + line.replace('\'', '"')
                + "\n");
    String said =
        assertThrows(InvalidInputException.class, () -> PreferenceReader.readPairs(file))
            .getMessage();
    assertTrue(said.startsWith(file + ", line 2"), said);
    assertTrue(said.contains(sentence.replace('\'', '"')), said);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{'prompt': 'p', 'completion': 'a'} | has no 'label'",
        "{'prompt': 'p', 'completion': 'a', 'label': 'good'} | must be true or false",
        "{'prompt': 'p', 'completion': 'a', 'label': 2} | must be true or false",
        "{'prompt': 'p', 'completion': 'a', 'label': [true]} | must be true or false",
        "{'prompt': 'p', 'label': true} | has no 'completion'",
      })
  void wrongFeedbackIsRefusedByItsLine(String line, String sentence) throws IOException {
    Path file = write("feedback.jsonl", "\n" + line.replace('\'', '"') + "\n");
    String said =
        assertThrows(InvalidInputException.class, () -> PreferenceReader.readFeedback(file))
            .getMessage();
    assertTrue(said.startsWith(file + ", line 2"), said);
    assertTrue(said.contains(sentence.replace('\'', '"')), said);
  }

  @Test
  void endlessAnswersAndEmptyFilesAreRefused() throws IOException {
    Path endless =
        write(
            "pairs.jsonl",
            "{\"prompt\": \"p\", \"chosen\": \"%s\", \"rejected\": \"b\"}"
                .formatted("a".repeat(DialogueReader.MAX_CHARACTERS + 1)));
    String said =
        assertThrows(InvalidInputException.class, () -> PreferenceReader.readPairs(endless))
            .getMessage();
    assertTrue(said.contains("line 1: \"chosen\" has 2000001 characters"), said);
    Path empty = write("empty.jsonl", "");
    said =
        assertThrows(InvalidInputException.class, () -> PreferenceReader.readPairs(empty))
            .getMessage();
    assertTrue(said.contains("holds no pair"), said);
  }
}
