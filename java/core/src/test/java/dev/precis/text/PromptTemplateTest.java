package dev.precis.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.io.InvalidInputException;
import dev.precis.text.PromptTemplate.Example;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PromptTemplateTest {
  private static final Example FIRST = new Example("A: Hi.\nB: Hello.", "They greet.");
  private static final Example SECOND = new Example("A: Bye.", "A leaves.");

  @TempDir Path folder;

  @Test
  void zeroShotIsTheFixturesPrompt() {
    assertEquals(
        "Summarize the following conversation.\n\nA: Hi.\n\nSummary: ",
        PromptTemplate.DEFAULT.fill("A: Hi."));
    assertEquals(
        PromptTemplate.DEFAULT.fill("A: Hi."), PromptTemplate.DEFAULT.fill("A: Hi.", List.of()));
  }

  @Test
  void fewShotPutsExamplesBeforeTheQuestion() {
    assertEquals(
        """
        Summarize the following conversation.

        A: Hi.
        B: Hello.

        Summary: They greet.

        Summarize the following conversation.

        A: Bye.

        Summary: A leaves.

        Summarize the following conversation.

        A: What time is it?

        Summary:\s\
        """,
        PromptTemplate.DEFAULT.fill("A: What time is it?", List.of(FIRST, SECOND)));
  }

  @Test
  void questionEndsWhereTheSummaryWouldStand() {
    PromptTemplate template =
        PromptTemplate.of("Dialogue:\n{dialogue}\nWhat was going on?\n{summary}\n---");
    assertEquals("Dialogue:\nA: Hm.\nWhat was going on?\n", template.fill("A: Hm."));
    assertEquals(
        """
        Dialogue:
        A: Bye.
        What was going on?
        A leaves.
        ---

        Dialogue:
        A: Hm.
        What was going on?
        """,
        template.fill("A: Hm.", List.of(SECOND)));
  }

  @Test
  void placeholdersInADialogueAreText() {
    assertEquals("{summary} {dialogue}", PromptTemplate.RAW.fill("{summary} {dialogue}"));
    PromptTemplate template = PromptTemplate.of("{\"a\": {}} {dialogue} {1}: {summary}");
    assertEquals("{\"a\": {}} {dialogue} {1}: ", template.fill("{dialogue}"));
  }

  @Test
  void rawTakesNoExamples() {
    assertThrows(
        IllegalArgumentException.class, () -> PromptTemplate.RAW.fill("x", List.of(FIRST)));
  }

  @Test
  void readsAFileWithoutItsLastLineEnd() throws IOException {
    Path file = Files.writeString(folder.resolve("t.txt"), "\uFEFFTL;DR\r\n{dialogue}\r\n=> \r\n");
    assertEquals("TL;DR\n{dialogue}\n=> ", PromptTemplate.read(file).text());
    assertEquals(PromptTemplate.of("TL;DR\n{dialogue}\n=> "), PromptTemplate.read(file));
    assertNotEquals(PromptTemplate.DEFAULT, PromptTemplate.read(file));
  }

  @ParameterizedTest
  @CsvSource(
      textBlock =
          """
          Summarize:,                       no {dialogue}
          {dialog},                         unknown placeholder {dialog}
          {dialogue} {Summary},             unknown placeholder {Summary}
          {dialogue} {dialogue},            {dialogue} twice
          {dialogue} {summary} {summary},   {summary} twice
          {summary} {dialogue},             {summary} before {dialogue}
          """)
  void saysWhatIsWrongWithATemplate(String text, String reason) throws IOException {
    String sentence =
        assertThrows(InvalidInputException.class, () -> PromptTemplate.of(text)).getMessage();
    assertTrue(sentence.contains(reason) && sentence.contains(text), sentence);
    Path file = Files.writeString(folder.resolve("t.txt"), text);
    sentence =
        assertThrows(InvalidInputException.class, () -> PromptTemplate.read(file)).getMessage();
    assertTrue(sentence.contains(reason) && sentence.contains(file.toString()), sentence);
  }

  @Test
  void saysWhatIsWrongWithAFile() throws IOException {
    Path absent = folder.resolve("absent.txt");
    assertThrows(InvalidInputException.class, () -> PromptTemplate.read(absent));
    Path latin1 = Files.write(folder.resolve("l.txt"), new byte[] {'{', (byte) 0xE9});
    assertTrue(
        assertThrows(InvalidInputException.class, () -> PromptTemplate.read(latin1))
            .getMessage()
            .contains("not UTF-8"));
    Path huge = Files.write(folder.resolve("h.txt"), new byte[(1 << 20) + 1]);
    assertThrows(InvalidInputException.class, () -> PromptTemplate.read(huge));
  }
}
