package dev.precis.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

class TokenizerTest {
  @TempDir static Path temporary;

  private static Tokenizer t5;
  private static Tokenizer sentencePiece;
  private static Tokenizer roberta;

  /** The ways to a tokenizer. */
  enum Kind {
    T5_JSON,
    T5_SENTENCE_PIECE,
    ROBERTA_VOCAB_AND_MERGES;

    Tokenizer tokenizer() {
      return switch (this) {
        case T5_JSON -> t5;
        case T5_SENTENCE_PIECE -> sentencePiece;
        case ROBERTA_VOCAB_AND_MERGES -> roberta;
      };
    }
  }

  @BeforeAll
  static void load() throws IOException {
    t5 = Tokenizer.load(Fixtures.resource("fixtures/t5-tiny"));
    Path alone = Files.createDirectory(temporary.resolve("spiece-alone"));
    Files.copy(Fixtures.resource("fixtures/t5-tiny/spiece.model"), alone.resolve("spiece.model"));
    sentencePiece = Tokenizer.load(alone);
    roberta = Tokenizer.load(Fixtures.resource("fixtures/roberta-tiny"));
  }

  @AfterAll
  static void close() {
    t5.close();
    sentencePiece.close();
    roberta.close();
  }

  static List<JsonNode> golden(String name) throws IOException {
    Path file = Fixtures.resource("fixtures/golden/" + name);
    return List.copyOf(Json.mapper().readTree(Files.readString(file)).values());
  }

  static Stream<JsonNode> t5Cases() throws IOException {
    return golden("tokenizer_t5.json").stream();
  }

  static Stream<JsonNode> robertaCases() throws IOException {
    return golden("roberta.json").stream();
  }

  private static int[] ids(JsonNode node) {
    return StreamSupport.stream(node.spliterator(), false).mapToInt(JsonNode::intValue).toArray();
  }

  @ParameterizedTest
  @MethodSource("t5Cases")
  void encodesAndDecodesAsTransformersDoes(JsonNode golden) {
    String text = golden.get("text").stringValue();
    int[] ids = ids(golden.get("ids"));
    for (Tokenizer tokenizer : List.of(t5, sentencePiece)) {
      assertArrayEquals(ids, tokenizer.encode(text));
      assertArrayEquals(ids(golden.get("ids_no_special")), tokenizer.encode(text, false));
      assertEquals(golden.get("decoded").stringValue(), tokenizer.decode(ids, true));
      assertEquals(golden.get("decoded_with_special").stringValue(), tokenizer.decode(ids, false));
    }
  }

  @ParameterizedTest
  @MethodSource("robertaCases")
  void encodesAsRobertaDoesAndKeepsTheEndWhenCut(JsonNode golden) {
    assertArrayEquals(
        ids(golden.get("ids")), roberta.encode(golden.get("text").stringValue(), 128));
  }

  @Test
  void spieceModelAndTokenizerJsonAgreeOnAnyText() {
    Random random = new Random(11);
    for (int i = 0; i < 500; i++) {
      String text = randomText(random, 60, c -> true);
      assertArrayEquals(t5.encode(text), sentencePiece.encode(text), () -> "\"" + text + "\"");
    }
  }

  @Test
  void byteLevelTokensRoundTripAnyText() {
    Random random = new Random(12);
    for (int i = 0; i < 500; i++) {
      String text = randomText(random, 60, c -> true);
      assertEquals(text, roberta.decode(roberta.encode(text, false), false));
    }
  }

  @Test
  void unigramTokensRoundTripTextOfKnownCharactersUpToWhitespace() {
    Random random = new Random(13);
    IntPredicate known =
        c ->
            c == ' '
                || c == '\n'
                || c > ' '
                    && c < 0x7F
                    && IntStream.of(t5.encode(Character.toString(c))).noneMatch(id -> id == 2);
    for (int i = 0; i < 300; i++) {
      String text = randomText(random, 60, known);
      String expected = String.join(" ", text.strip().split("\\s+"));
      assertEquals(expected, t5.decode(t5.encode(text), true));
    }
  }

  @ParameterizedTest
  @EnumSource
  void streamedPiecesAddUpToTheWholeText(Kind kind) {
    Tokenizer tokenizer = kind.tokenizer();
    Random random = new Random(14);
    TokenStream shown = tokenizer.stream(true);
    TokenStream all = tokenizer.stream(false);
    for (int i = 0; i < 300; i++) {
      // Ids of a text, and ids of no text at all, past the vocabulary included.
      int[] ids =
          i % 2 == 0
              ? tokenizer.encode(randomText(random, 40, c -> true))
              : random.ints(40, 0, tokenizer.vocabularySize() + 20).toArray();
      assertEquals(tokenizer.decode(ids, true), collect(shown, ids));
      assertEquals(tokenizer.decode(ids, false), collect(all, ids));
    }
  }

  private static String collect(TokenStream stream, int[] ids) {
    List<String> pieces = new ArrayList<>();
    for (int id : ids) {
      pieces.add(stream.append(id));
    }
    pieces.add(stream.finish());
    for (String piece : pieces) {
      if (!piece.isEmpty()) {
        assertTrue(!Character.isLowSurrogate(piece.charAt(0)), piece);
        assertTrue(!Character.isHighSurrogate(piece.charAt(piece.length() - 1)), piece);
      }
    }
    return String.join("", pieces);
  }

  @Test
  void streamHoldsAnIncompleteCharacterBack() {
    int[] ids = roberta.encode("\uD83D\uDE00!", false); // four bytes, a token each, and "!"
    assertEquals(5, ids.length);
    TokenStream stream = roberta.stream(true);
    List<String> pieces = IntStream.of(ids).mapToObj(stream::append).toList();
    assertEquals(List.of("", "", "", "\uD83D\uDE00", "!"), pieces);
    assertEquals("", stream.finish());
    stream.append(ids[0]);
    assertEquals("\uFFFD", stream.finish());
  }

  @Test
  void streamKeepsTheSpaceBetweenWords() {
    TokenStream stream = t5.stream(true);
    StringBuilder text = new StringBuilder();
    for (int id : t5.encode("Fine, thank you.")) {
      text.append(stream.append(id));
    }
    assertEquals("Fine, thank you.", text.toString());
    assertEquals("", stream.finish());
  }

  @Test
  void cutsTheTextAndKeepsTheSpecialTokens() {
    int[] whole = t5.encode("a b c d e f g");
    int[] cut = t5.encode("a b c d e f g", 5);
    assertEquals(5, cut.length);
    assertArrayEquals(Arrays.copyOf(whole, 4), Arrays.copyOf(cut, 4));
    assertEquals(t5.eosId(), cut[4]);
    assertArrayEquals(whole, t5.encode("a b c d e f g", whole.length));
    assertArrayEquals(new int[] {0, 2}, roberta.encode("a b c", 2));
    assertThrows(IllegalArgumentException.class, () -> roberta.encode("a b c", 1));
    assertThrows(IllegalArgumentException.class, () -> t5.encode("a", 0));
  }

  @Test
  void encodesManyInOrder() {
    List<String> texts = List.of("hello", "", "Fine, thank you for your help.");
    List<int[]> ids = t5.encode(texts, 6);
    for (int i = 0; i < texts.size(); i++) {
      assertArrayEquals(t5.encode(texts.get(i), 6), ids.get(i));
    }
  }

  @ParameterizedTest
  @EnumSource
  void tokensAndIdsAreEachOthersInverse(Kind kind) {
    Tokenizer tokenizer = kind.tokenizer();
    for (int id = 0; id < tokenizer.vocabularySize(); id++) {
      assertEquals(id, tokenizer.tokenToId(tokenizer.idToToken(id)));
    }
    assertEquals(-1, tokenizer.tokenToId("no such token"));
    assertNull(tokenizer.idToToken(tokenizer.vocabularySize()));
    assertNull(tokenizer.idToToken(-1));
  }

  @Test
  void knowsTheSpecialTokens() {
    for (Tokenizer tokenizer : List.of(t5, sentencePiece)) {
      assertEquals(397, tokenizer.vocabularySize());
      assertEquals(0, tokenizer.padId());
      assertEquals(1, tokenizer.eosId());
      assertEquals(2, tokenizer.unkId());
      assertEquals(297, tokenizer.tokenToId("<extra_id_99>"));
      assertEquals(396, tokenizer.tokenToId("<extra_id_0>"));
    }
    assertEquals(600, roberta.vocabularySize());
    assertEquals(1, roberta.padId());
    assertEquals(2, roberta.eosId());
    assertEquals(3, roberta.unkId());
  }

  @Test
  void idsPastTheVocabularyHaveNoText() {
    int[] ids = t5.encode("hello");
    int[] padded = Arrays.copyOf(ids, ids.length + 1);
    padded[ids.length] = 415; // a row that only pads the model's table
    assertEquals(t5.decode(ids, true), t5.decode(padded, true));
    assertThrows(IllegalArgumentException.class, () -> t5.decode(new int[] {5, -100}, true));
  }

  @ParameterizedTest
  @ValueSource(strings = {"cut \uD83D", "\uDE00 cut", "\uD83D\uD83D\uDE00", "a\uDE00\uD83Db"})
  void refusesHalfACharacter(String text) {
    for (Kind kind : Kind.values()) {
      String sentence =
          assertThrows(InvalidInputException.class, () -> kind.tokenizer().encode(text))
              .getMessage();
      assertTrue(sentence.contains("unpaired surrogate"), sentence);
    }
  }

  @Test
  void takesAnyWholeCharacter() {
    for (String text :
        List.of("\0", "a\0b", "\uFFFD", "\uD83D\uDE00", "\u200B", "\uFEFF", "e\u0301\u0301")) {
      for (Kind kind : Kind.values()) {
        kind.tokenizer().decode(kind.tokenizer().encode(text), false);
      }
      assertEquals(text, roberta.decode(roberta.encode(text), true));
    }
  }

  @Test
  void manyThreadsGetTheSameIds() throws Exception {
    List<String> texts = new ArrayList<>();
    Random random = new Random(15);
    for (int i = 0; i < 200; i++) {
      texts.add(randomText(random, 80, c -> true));
    }
    List<int[]> expected = texts.stream().map(t5::encode).toList();
    try (var executor = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<int[]>> results = new ArrayList<>();
      for (String text : texts) {
        results.add(executor.submit(() -> t5.encode(text)));
      }
      for (int i = 0; i < texts.size(); i++) {
        assertArrayEquals(expected.get(i), results.get(i).get());
      }
    }
  }

  @Test
  void closingWaitsForCallsAndEndsThem() throws Exception {
    Tokenizer tokenizer = Tokenizer.load(Fixtures.resource("fixtures/t5-tiny"));
    try (var executor = Executors.newFixedThreadPool(3)) {
      List<Future<Integer>> running = new ArrayList<>();
      for (int t = 0; t < 3; t++) {
        running.add(
            executor.submit(
                () -> {
                  int calls = 0;
                  while (true) {
                    tokenizer.encode("Good morning, I'm Mike. ".repeat(50));
                    calls++;
                  }
                }));
      }
      Thread.sleep(50);
      tokenizer.close();
      for (Future<Integer> calls : running) {
        ExecutionException ended = assertThrows(ExecutionException.class, calls::get);
        assertTrue(ended.getCause() instanceof IllegalStateException, ended.toString());
      }
    }
    tokenizer.close();
    assertThrows(IllegalStateException.class, () -> tokenizer.decode(new int[] {5}, true));
  }

  @Test
  void tellsItsThroughput() {
    String text = "Good morning, I'm Mike. I'd like a room for two nights, please. ".repeat(14);
    for (Kind kind : Kind.values()) {
      long tokens = 0;
      long start = System.nanoTime();
      for (int i = 0; i < 300; i++) {
        tokens += kind.tokenizer().encode(text).length;
      }
      double seconds = (System.nanoTime() - start) / 1e9;
      System.out.printf("%s: %.2f million tokens a second%n", kind, tokens / seconds / 1e6);
      assertTrue(tokens > 0);
    }
  }

  /** Words of all scripts, whitespace, emoji, combining marks and the tokens' own spellings. */
  static final String[] PARTS = {
    "hello",
    "Zürich",
    "ﬁne",
    "１２３",
    "½",
    "\u2581",
    "</s>",
    "<pad>",
    "<extra_id_7>",
    "\u200B",
    "\uD83D\uDE00",
    "\uD83D\uDC69\u200D\uD83D\uDCBB",
    "e\u0301",
    "你好",
    "\u3000",
    "ß",
    "\t",
    "\n",
    " ",
    "  ",
    "#Person1#:",
    "don't",
    "$5.30",
    "\u00A0",
    "\0",
    "\uFFFD",
    "(*)"
  };

  /** Returns some of these parts and some other characters. */
  static String randomText(Random random, int maxParts, IntPredicate allowed) {
    StringBuilder text = new StringBuilder();
    for (int i = random.nextInt(maxParts); i > 0; i--) {
      String part =
          random.nextInt(3) == 0
              ? Character.toString(randomCodePoint(random))
              : PARTS[random.nextInt(PARTS.length)];
      if (part.codePoints().allMatch(allowed)) {
        text.append(part);
      }
      text.append(random.nextInt(3) == 0 ? " " : "");
    }
    return text.toString();
  }

  private static int randomCodePoint(Random random) {
    int limit = new int[] {0x80, 0x800, 0x10000, 0x110000}[random.nextInt(4)];
    int codePoint = random.nextInt(limit);
    return codePoint >= 0xD800 && codePoint < 0xE000 ? 0x41 : codePoint;
  }
}
