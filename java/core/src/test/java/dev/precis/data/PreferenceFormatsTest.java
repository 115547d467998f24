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
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The formats of preferences that TRL documents, hh-rlhf's and UltraFeedback's. */
final class PreferenceFormatsTest {
  private static final String ASKED = "{'role': 'user', 'content': 'Who?'}";
  private static final String PAUL = "{'role': 'assistant', 'content': 'Paul.'}";
  private static final String NORA = "{'role': 'assistant', 'content': 'Nora.'}";

  @TempDir private Path folder;
  private final Recording told = new Recording();

  private PreferencePair pair(String line) throws IOException {
    Path file = Files.writeString(folder.resolve("p.jsonl"), line.replace('\'', '"') + "\n");
    return PreferenceReader.readPairs(file, told.options(Columns.WELL_KNOWN), Function.identity())
        .getFirst();
  }

  private static String shown(PreferencePair pair) {
    return pair.text() + " | " + pair.chosen() + " | " + pair.rejected();
  }

  @Test
  void conversations() throws IOException {
    String prompted =
        "{'prompt': [%s], 'chosen': [%s], 'rejected': [%s]}".formatted(ASKED, PAUL, NORA);
    String implicit =
        "{'chosen': [%s, %s], 'rejected': [%s, %s]}".formatted(ASKED, PAUL, ASKED, NORA);
    String both =
        "{'prompt': [%s], 'chosen': [%s, %s], 'rejected': [%s, %s]}"
            .formatted(ASKED, ASKED, PAUL, ASKED, NORA);
    for (String line : List.of(prompted, implicit, both)) {
      PreferencePair pair = pair(line);
      assertEquals("Who? | Paul. | Nora.", shown(pair));
      assertTrue(pair.raw());
    }
  }

  @Test
  void aConversationOfSeveralTurnsIsLabelled() throws IOException {
    String start =
        "{'role': 'system', 'content': 'Be brief.'}, {'role': 'user', 'content': 'Hi.'}, "
            + "{'role': 'assistant', 'content': 'Hello.'}, "
            + ASKED;
    PreferencePair pair =
        pair("{'chosen': [%s, %s], 'rejected': [%s, %s]}".formatted(start, PAUL, start, NORA));
    assertEquals(
        "Be brief.\n\nUser: Hi.\n\nAssistant: Hello.\n\nUser: Who?\n\nAssistant:", pair.text());
    assertEquals("Paul.", pair.chosen());
  }

  @Test
  void transcriptsOfHhRlhf() throws IOException {
    assertEquals(
        "Who? | Paul. | Nora.",
        shown(
            pair(
                "{'chosen': '\\n\\nHuman: Who?\\n\\nAssistant: Paul.', 'rejected':"
                    + " '\\n\\nHuman: Who?\\n\\nAssistant: Nora.'}")));
    assertEquals(
        "User: Hi.\n\nAssistant: Hello.\n\nUser: Who?\n\nAssistant: | Paul. | Nora.",
        shown(
            pair(
                "{'chosen': '\\n"
                    + "\\n"
                    + "Human: Hi.\\n"
                    + "\\n"
                    + "Assistant: Hello.\\n"
                    + "\\n"
                    + "Human: Who?\\n"
                    + "\\n"
                    + "Assistant: Paul.', 'rejected': '\\n"
                    + "\\n"
                    + "Human: Hi.\\n"
                    + "\\n"
                    + "Assistant: Hello.\\n"
                    + "\\n"
                    + "Human: Who?\\n"
                    + "\\n"
                    + "Assistant: Nora.'}")));
  }

  @Test
  void textsThatBeginWithThePrompt() throws IOException {
    assertEquals(
        "A: Late. | They walk. | The bus.",
        shown(pair("{'chosen': 'A: Late. They walk.', 'rejected': 'A: Late. The bus.'}")));
    assertTrue(told.notes.getFirst().contains("begin with"), told.notes.getFirst());
  }

  @Test
  void scoresBecomeTheMargin() throws IOException {
    PreferencePair pair =
        pair(
            "{'prompt': 'Who?', 'chosen': [%s, %s], 'rejected': [%s, %s], 'messages': [%s], 'score_chosen': 8.5, 'score_rejected': 6}"
                .formatted(ASKED, PAUL, ASKED, NORA, ASKED));
    assertEquals("Who? | Paul. | Nora.", shown(pair));
    assertEquals(2.5, pair.margin());
    assertEquals(Map.of("margin", "score_chosen - score_rejected"), told.columns);
  }

  @Test
  void labelsAsNumbersAndTexts() throws IOException {
    StringBuilder lines = new StringBuilder();
    for (String label : List.of("1", "0", "\"1\"", "\"0\"", "1.0", "0.0", "true", "\"False\"")) {
      lines
          .append("{\"prompt\": [{\"role\": \"user\", \"content\": \"Who?\"}], \"completion\": ")
          .append("[{\"role\": \"assistant\", \"content\": \"Paul.\"}], \"label\": ")
          .append(label)
          .append("}\n");
    }
    List<Feedback> all =
        PreferenceReader.readFeedback(
            Files.writeString(folder.resolve("f.jsonl"), lines.toString()));
    assertEquals(
        List.of(true, false, true, false, true, false, true, false),
        all.stream().map(Feedback::good).toList());
    assertEquals("Who? Paul.", all.getFirst().text() + " " + all.getFirst().completion());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{'chosen': [A, P], 'rejected': 'x'} | one of 'chosen' and 'rejected' is a text",
        "{'chosen': [A, P], 'rejected': [A, P]} | are the same",
        "{'chosen': [A, P], 'rejected': [A]} | ends where the other one goes on",
        "{'chosen': [A, P, A], 'rejected': [A, P, {'role': 'user', 'content': 'x'}]} | part at a"
            + " message of the user",
        "{'chosen': [P], 'rejected': [N]} | has no 'dialogue'",
        "{'chosen': [{'content': 'x'}], 'rejected': [N]} | has a message without a role",
        "{'chosen': [{'role': 'poet', 'content': 'x'}], 'rejected': [N]} | the role 'poet'",
        "{'chosen': [{'role': 'user', 'content': 5}], 'rejected': [N]} | a message without a text",
        "{'chosen': [{'role': 'user', 'content': [{'type': 'image'}]}], 'rejected': [N]} |"
            + " something else than text",
        "{'chosen': [A, 5], 'rejected': [N]} | must hold messages only",
        "{'chosen': 'a', 'rejected': 'b'} | do not begin with the same prompt",
        "{'prompt': 'p', 'chosen': 'a', 'rejected': 'b', 'margin': NaN} | must be a number of 0",
        "{'prompt': 'p', 'chosen': 'a', 'rejected': 'b', 'margin': -1} | must be a number of 0"
      })
  void whatIsWrongIsSaid(String line, String sentence) {
    String said =
        assertThrows(
                InvalidInputException.class,
                () ->
                    pair(
                        line.replace("[A", "[" + ASKED)
                            .replace(", A", ", " + ASKED)
                            .replace("[P", "[" + PAUL)
                            .replace(", P", ", " + PAUL)
                            .replace("[N", "[" + NORA)))
            .getMessage();
    assertTrue(said.contains(", line 1"), said);
    assertTrue(said.contains(sentence.replace('\'', '"').replace("\"poet\"", "'poet'")), said);
  }
}
