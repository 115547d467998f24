package dev.precis.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class JsonTest {
  @TempDir Path folder;

  private static JsonObject parse(String text) {
    return Json.parseObject(text.replace('\'', '"'), "config.json");
  }

  @Test
  void readsTypedValues() {
    JsonObject json = parse("{'i':3,'n':1e-6,'t':'x','b':true,'l':['a','b'],'o':{'k':1},'z':null}");
    assertEquals(3, json.integer("i", 1, 5));
    assertEquals(7, json.integer("z", 1, 9, 7));
    assertEquals(1e-6, json.number("n"));
    assertEquals(3, json.number("i", 9));
    assertEquals("x", json.text("t"));
    assertEquals(Optional.empty(), json.optionalText("z"));
    assertTrue(json.bool("b", false));
    assertTrue(json.bool("absent", true));
    assertEquals(List.of("a", "b"), json.texts("l"));
    assertEquals(List.of(), json.texts("z"));
    assertEquals(1, json.object("o").integer("k", 0, 1));
    assertEquals(List.of(), json.object("absent").keys());
    assertFalse(json.has("z"));
  }

  @Test
  void namesFileKeyAndValue() {
    JsonObject json = parse("{'i':3.5,'n':'x','t':1,'b':'yes','l':['a',1],'big':99999999999}");
    assertWrong(
        json,
        j -> j.integer("i", 1, 9),
        "config.json: \"i\" must be a whole number from 1 to 9, but is 3.5");
    assertWrong(
        json,
        j -> j.integer("big", 1, 9),
        "config.json: \"big\" must be a whole number from 1 to 9, but is 99999999999");
    assertWrong(json, j -> j.number("n"), "config.json: \"n\" must be a number, but is \"x\"");
    assertWrong(json, j -> j.text("t"), "config.json: \"t\" must be a text, but is 1");
    assertWrong(
        json, j -> j.bool("b", true), "config.json: \"b\" must be true or false, but is \"yes\"");
    assertWrong(
        json, j -> j.texts("l"), "config.json: \"l\" must be a list of texts, but is [\"a\",1]");
    assertWrong(json, j -> j.text("absent"), "config.json has no \"absent\", which is needed");
  }

  private static void assertWrong(JsonObject json, Function<JsonObject, ?> read, String message) {
    assertEquals(
        message, assertThrows(InvalidInputException.class, () -> read.apply(json)).getMessage());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{'a':1,'a':2} | stands twice in one object",
        "{'a':1} {} | and nothing else",
        "[1] | must hold one JSON object",
        "{'a':NaN} | line 1, column",
        "{'a':1 | line 1, column",
        "{/*x*/} | line 1, column",
      })
  void isStrict(String text, String reason) {
    String message = assertThrows(InvalidInputException.class, () -> parse(text)).getMessage();
    assertTrue(message.startsWith("config.json") && message.contains(reason), message);
    assertEquals(1, message.lines().count());
  }

  @Test
  void limitsDepth() {
    String deep = "{\"a\":" + "[".repeat(100_000) + "]".repeat(100_000) + "}";
    String message = assertThrows(InvalidInputException.class, () -> parse(deep)).getMessage();
    assertTrue(message.contains("nested deeper than 64 levels"), message);
    assertFalse(message.contains(", is not valid"), "the place is not known: " + message);
  }

  @Test
  void namesFileAndLine() throws IOException {
    Path file = folder.resolve("config.json");
    Files.writeString(file, "{\n \"a\": 1,\n \"b\" 2}");
    String message =
        assertThrows(InvalidInputException.class, () -> Json.readObject(file)).getMessage();
    assertTrue(message.startsWith(file + ", line 3, column 6, is not valid JSON"), message);
    Files.write(file, new byte[] {'{', '"', (byte) 0xc3, '"'});
    assertTrue(
        assertThrows(InvalidInputException.class, () -> Json.readObject(file))
            .getMessage()
            .contains("not UTF-8"));
    assertEquals(
        folder.resolve("none.json") + " does not exist",
        assertThrows(
                InvalidInputException.class, () -> Json.readObject(folder.resolve("none.json")))
            .getMessage());
  }
}
