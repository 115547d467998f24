package dev.precis.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.node.ObjectNode;

/** Files that are made to end the process, to run for ever or to fill the memory. */
class CraftedTokenizerTest {
  @TempDir Path folder;

  private static ObjectNode t5() throws IOException {
    Path file = Fixtures.resource("tokenizers/t5-converted/tokenizer.json");
    return (ObjectNode) Json.mapper().readTree(Files.readString(file));
  }

  private String refusal(String text) {
    return assertTimeoutPreemptively(
        Duration.ofSeconds(60),
        () ->
            assertThrows(
                    InvalidInputException.class,
                    () -> {
                      try (Tokenizer tokenizer = Tokenizer.load(folder)) {
                        tokenizer.encode(text);
                      }
                    })
                .getMessage());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          normalizer     | {"type":"Replace","pattern":{"Regex":""},"content":"b"}  | from 1 to 1000
          normalizer     | {"type":"Replace","pattern":{"Regex":"x*"},"content":"b"} | empty text
          normalizer     | {"type":"Replace","pattern":{"Regex":"(?=l)"},"content":"b"} | empty text
          normalizer     | {"type":"Replace","pattern":{"String":""},"content":"b"} | from 1 to 1000
          normalizer     | {"type":"Replace","pattern":{"Regex":"(a+)+$"},"content":"b"} | with $
          normalizer     | {"type":"Replace","pattern":{"Regex":"(l+)+z"},"content":"b"} | takes too long
          normalizer     | {"type":"Replace","pattern":{"Regex":"[[:alpha:]]"},"content":"b"} | inside of a class
          normalizer     | {"type":"Replace","pattern":{"Regex":"\\\\h"},"content":"b"} | with \\h
          normalizer     | {"type":"Replace","pattern":{"Regex":"("},"content":"b"} | not a regular expression
          normalizer     | {"type":"Replace","pattern":{"Other":"x"},"content":"b"} | either "String" or "Regex"
          normalizer     | {"type":"Prepend"}                                       | "prepend"
          normalizer     | {"type":"BertNormalizer","lowercase":"x"}                | "lowercase"
          normalizer     | {"type":"Sequence"}                                      | "normalizers" must be a list
          pre_tokenizer  | {"type":"Split","pattern":{"String":"x"},"behavior":"Up"} | MergedWithNext
          pre_tokenizer  | {"type":"Metaspace","replacement":"ab"}                  | one character
          pre_tokenizer  | {"type":"Metaspace","replacement":"_","prepend_scheme":"x"} | always, first or never
          pre_tokenizer  | {"type":"UnicodeScripts"}                                | UnicodeScripts
          post_processor | {"type":"BertProcessing","sep":["[SEP]",1],"cls":["[CLS]"]} | "cls"
          post_processor | {"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"</s>"}}],"special_tokens":{}} | the special token "</s>"
          post_processor | {"type":"TemplateProcessing","single":[],"special_tokens":{}} | the text A
          post_processor | {"type":"RobertaProcessing","sep":["</s>"],"cls":["<s>",0]} | "cls"
          decoder        | {"type":"CTC"}                                           | speech recognition's
          decoder        | {"type":"Strip","content":" ","start":-1,"stop":0}       | "start" must be
          """)
  void refusesByName(String part, String json, String reason) throws IOException {
    ObjectNode tokenizer = t5();
    tokenizer.set(part, Json.mapper().readTree(json));
    Files.writeString(folder.resolve("tokenizer.json"), tokenizer.toString());
    String sentence = refusal("hello " + "l".repeat(5_000));
    String wanted = reason.equals("\"cls\"") ? "\"" : reason;
    assertTrue(sentence.contains(wanted), sentence);
    assertTrue(sentence.startsWith(folder.toString()), sentence);
    assertEquals(1, sentence.lines().count(), sentence);
  }

  @Test
  void refusesABpeWithAPrefixThatItsVocabularyDoesNotFit() throws IOException {
    Files.writeString(
        folder.resolve("tokenizer.json"),
        """
        {"model": {"type": "BPE", "continuing_subword_prefix": "####", "vocab": {"a": 0, "b": 1,
         "ab": 2}, "merges": ["a b"]}}\
        """);
    assertTrue(refusal("ab").contains("continuing_subword_prefix"));
  }

  @Test
  void refusesATextThatReplacementsMakeGigabytes() throws IOException {
    ObjectNode tokenizer = t5();
    var steps = tokenizer.putObject("normalizer").put("type", "Sequence").putArray("normalizers");
    for (int i = 0; i < 20; i++) {
      steps.addObject().put("type", "Replace").put("content", "ll".repeat(500));
      ((ObjectNode) steps.get(i)).putObject("pattern").put("String", "l");
    }
    Files.writeString(folder.resolve("tokenizer.json"), tokenizer.toString());
    assertTrue(refusal("l".repeat(1_000)).contains("too long"));
  }

  @Test
  void refusesAMillionSteps() throws IOException {
    ObjectNode tokenizer = t5();
    var steps = tokenizer.putObject("normalizer").put("type", "Sequence").putArray("normalizers");
    for (int i = 0; i < 10_000; i++) {
      steps.addObject().put("type", "NFKC");
    }
    Files.writeString(folder.resolve("tokenizer.json"), tokenizer.toString());
    assertTrue(refusal("a").contains("more than 64 parts"));
  }

  @Test
  void messagesShowNoControlCharactersOfAFile() throws IOException {
    Files.writeString(folder.resolve("tokenizer.json"), t5().toString());
    Files.writeString(folder.resolve("added_tokens.json"), "{\"a\\n\\u001b[2J\": 9999}");
    String sentence = refusal("a");
    assertTrue(sentence.contains("a\\u000a\\u001b[2J"), sentence);
    assertEquals(1, sentence.lines().count(), sentence);
  }

  /** A text without a space is one piece; its time must not grow with its square. */
  @Test
  void takesALongTextWithoutSpaces() {
    assertTimeoutPreemptively(
        Duration.ofSeconds(60),
        () -> {
          for (String name : new String[] {"tokenizers/t5-converted", "tokenizers/codet5"}) {
            try (Tokenizer tokenizer = Tokenizer.load(Fixtures.resource(name))) {
              String text = "hello".repeat(50_000);
              int[] ids = tokenizer.encode(text, false);
              assertEquals(text, tokenizer.decode(ids, true));
            }
          }
        });
  }

  @Test
  void followsSplitSpecialTokens() throws IOException {
    Files.writeString(folder.resolve("tokenizer.json"), t5().toString());
    Files.writeString(folder.resolve("tokenizer_config.json"), "{\"split_special_tokens\": true}");
    try (Tokenizer split = Tokenizer.load(folder);
        Tokenizer whole = Tokenizer.load(Fixtures.resource("tokenizers/t5-converted"))) {
      int start = whole.tokenToId("\u2581hello");
      assertArrayEquals(new int[] {start, 1}, whole.encode("hello</s>", false));
      assertTrue(split.encode("hello<pad>", false).length > 1);
      assertArrayEquals(new int[] {start, 1}, split.encode("hello"));
    }
  }

  @Test
  void addsNamedTokensAtTheEndButNoTokenThatEndsATextOrPads() throws IOException {
    Files.writeString(folder.resolve("tokenizer.json"), t5().toString());
    Path config = folder.resolve("tokenizer_config.json");
    Files.writeString(config, "{\"additional_special_tokens\": [\"<new>\"]}");
    try (Tokenizer tokenizer = Tokenizer.load(folder)) {
      int last = tokenizer.vocabularySize() - 1;
      assertEquals("<new>", tokenizer.idToToken(last));
      assertArrayEquals(new int[] {last}, tokenizer.encode("<new>", false));
      assertEquals("", tokenizer.decode(new int[] {last}, true));
    }
    Files.writeString(config, "{\"eos_token\": \"<end>\"}");
    assertTrue(refusal("a").contains("<end>"));
    Files.writeString(config, "{\"added_tokens_decoder\": {\"9999\": {\"content\": \"<x>\"}}}");
    assertTrue(refusal("a").contains("claims the id 9999"));
  }

  @Test
  void theOlderFilesCountWithoutAddedTokensDecoder() throws IOException {
    Files.writeString(folder.resolve("tokenizer.json"), t5().toString());
    int size;
    try (Tokenizer tokenizer = Tokenizer.load(folder)) {
      size = tokenizer.vocabularySize();
    }
    Files.writeString(folder.resolve("added_tokens.json"), "{\"<sep>\": " + size + "}");
    Files.writeString(
        folder.resolve("special_tokens_map.json"),
        "{\"sep_token\": {\"content\": \"<sep>\", \"lstrip\": false}, \"eos_token\": \"</s>\"}");
    try (Tokenizer tokenizer = Tokenizer.load(folder)) {
      assertEquals(size, tokenizer.tokenToId("<sep>"));
      assertEquals("", tokenizer.decode(new int[] {size}, true));
    }
    Files.writeString(folder.resolve("tokenizer_config.json"), "{\"added_tokens_decoder\": {}}");
    try (Tokenizer tokenizer = Tokenizer.load(folder)) {
      assertEquals(-1, tokenizer.tokenToId("<sep>"));
    }
  }
}
