package dev.precis.io;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CsvTableTest {
  private static String cell(Object value) {
    CsvTable table = new CsvTable(List.of("a", "b"));
    table.row(Arrays.asList(value, "end"));
    String text = table.text();
    assertEquals("a,b\r\n", text.substring(0, 5));
    return text.substring(5, text.length() - ",end\r\n".length());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        " =1",
        "\u00a0=1",
        "\uff1d1",
        "\uff0b1",
        "\uff0d1"
      })
  void formulasBecomeTexts(String text) {
    assertEquals("'" + text, cell(text));
  }

  @ParameterizedTest
  @ValueSource(strings = {"\t=1", "\tx", "\r=1", "\rx", "\n=1"})
  void soDoTextsBehindControlCharacters(String text) {
    assertEquals("'" + text, cell(text).replace("\"", ""));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "a=b", "1 - 2", "Ann: hi", "'=1", "\u2013 dash"})
  void otherTextsStayAsTheyAre(String text) {
    assertEquals(text, cell(text));
  }

  @Test
  void numbersAreNoFormulas() {
    assertEquals("-1.5", cell(-1.5));
    assertEquals("-7", cell(-7));
    assertEquals("", cell(null));
  }

  @Test
  void headersAreGuardedToo() {
    assertEquals("'=a\r\n", new CsvTable(List.of("=a")).text());
  }
}
