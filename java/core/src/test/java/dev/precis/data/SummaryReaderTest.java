package dev.precis.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.precis.io.InvalidInputException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class SummaryReaderTest {
  @TempDir private Path folder;

  private Path file(String name, String content) throws IOException {
    return Files.writeString(folder.resolve(name), content);
  }

  @Test
  void readsWhatGenerateWrites() throws IOException {
    Path file =
        file(
            "out.jsonl",
            """
            {"id":"a","return":0,"summary":"best","tokens":[1],"score":-1.5}
            {"id":"a","return":1,"summary":"other","tokens":[2],"score":-2}
            {"id":7,"return":0,"summary":"","tokens":[],"score":0}
            """);
    assertEquals(
        List.of(new Summaries("a", null, List.of("best")), new Summaries("7", null, List.of(""))),
        SummaryReader.read(file));
  }

  @Test
  void readsDataFiles() throws IOException {
    String row =
        "{\"dialogue\":\"A: hi\",\"summary1\":\"x\",\"summary2\":\" \",\"summary3\":\"z\"}";
    assertEquals(
        List.of(new Summaries(null, "A: hi", List.of("x", "z"))),
        SummaryReader.read(file("a.jsonl", row)));
    assertEquals(
        List.of(new Summaries(null, "A: hi", List.of("x", "z"))),
        SummaryReader.read(file("a.json", "[" + row + "]")));
    assertEquals(
        List.of(new Summaries("1", "A: hi", List.of("x, y"))),
        SummaryReader.read(file("a.csv", "id,dialogue,summary\n1,A: hi,\"x, y\"\n")));
  }

  @Test
  void readsLines() throws IOException {
    assertEquals(
        List.of(
            new Summaries(null, null, List.of("one")),
            new Summaries(null, null, List.of("")),
            new Summaries(null, null, List.of("zw\u00f6lf"))),
        SummaryReader.read(file("a.TXT", "one\r\n\nzw\u00f6lf\n")));
  }

  @ParameterizedTest
  @CsvSource({
    "a.txt, '', holds no summary",
    "a.jsonl, '', holds no summary",
    "a.jsonl, '{\"id\":\"x\",\"dialogue\":\"A: hi\"}', 'line 1 has no \"summary\" (nor"
        + " \"summary1\"); its fields are: id, dialogue'",
    "a.jsonl, '{\"summary\":5}', 'line 1: \"summary\" must be a text'",
    "a.xml, x, must end in .jsonl"
  })
  void saysWhatIsWrong(String name, String content, String sentence) throws IOException {
    Path file = file(name, content);
    InvalidInputException e =
        assertThrows(InvalidInputException.class, () -> SummaryReader.read(file));
    assertEquals(true, e.getMessage().contains(sentence), e.getMessage());
  }

  @Test
  void saysWhatIsMissingOrNotText() throws IOException {
    for (String name : List.of("no.txt", "no.jsonl")) {
      Path missing = folder.resolve(name);
      InvalidInputException e =
          assertThrows(InvalidInputException.class, () -> SummaryReader.read(missing));
      assertEquals(missing + " does not exist", e.getMessage());
    }
    Path latin =
        Files.write(folder.resolve("latin.txt"), new byte[] {'a', '\n', (byte) 0xE9, '\n'});
    InvalidInputException e =
        assertThrows(InvalidInputException.class, () -> SummaryReader.read(latin));
    assertEquals(true, e.getMessage().contains("line 2 is not UTF-8"), e.getMessage());
  }
}
