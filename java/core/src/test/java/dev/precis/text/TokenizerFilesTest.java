package dev.precis.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Base64;
import java.util.Random;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Files that are damaged, lie, or are of other kinds. */
class TokenizerFilesTest {
  private static final Path T5 = Fixtures.resource("fixtures/t5-tiny");

  @TempDir Path folder;

  private static ObjectNode t5Json() throws IOException {
    return (ObjectNode) Json.mapper().readTree(Files.readString(T5.resolve("tokenizer.json")));
  }

  private String refusal() {
    return assertThrows(InvalidInputException.class, () -> Tokenizer.load(folder).close())
        .getMessage();
  }

  private String refusalOf(String file, byte[] content) throws IOException {
    Path path = Files.write(folder.resolve(file), content);
    String sentence = refusal();
    assertTrue(sentence.startsWith(path.toString()), sentence);
    assertEquals(1, sentence.lines().count(), sentence);
    return sentence;
  }

  private String refusalOf(String file, String content) throws IOException {
    return refusalOf(file, content.getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void namesWhatItLooksFor() {
    String sentence = refusal();
    for (String name :
        new String[] {"tokenizer.json", "spiece.model", "vocab.json", "merges.txt"}) {
      assertTrue(sentence.contains(name), sentence);
    }
  }

  // ------------------------------------------------------------------------- tokenizer.json

  @ParameterizedTest
  @ValueSource(doubles = {0, 0.1, 0.5, 0.9, 0.999})
  void refusesATruncatedTokenizerJson(double part) throws IOException {
    byte[] whole = Files.readAllBytes(T5.resolve("tokenizer.json"));
    refusalOf("tokenizer.json", Arrays.copyOf(whole, (int) (whole.length * part)));
  }

  static Stream<Arguments> lies() {
    return Stream.of(
        lie("model", json -> json.remove("model")),
        lie("vocab", json -> model(json).remove("vocab")),
        lie("WordPiece", json -> model(json).put("type", "WordPiece")),
        lie("WordLevel", json -> model(json).put("type", "WordLevel")),
        lie("unk_id", json -> model(json).remove("unk_id")),
        lie("unk_id", json -> model(json).put("unk_id", 397)),
        lie("\"unk_id\" must be", json -> model(json).put("unk_id", -1)),
        lie("entry 5", json -> vocab(json).set(5, vocab(json).arrayNode().add("x"))),
        lie("entry 5", json -> vocab(json).set(5, vocab(json).arrayNode().add("x").add("y"))),
        lie("entry 5", json -> vocab(json).set(5, vocab(json).arrayNode().add(1).add(2))),
        lie("entry 0", json -> vocab(json).insert(0, "x")),
        lie("claims the id 297", json -> vocab(json).remove(296)),
        lie("claims the id 9 ", json -> addedToken(json, 9, "<new>")),
        lie("added token needs", json -> addedToken(json, 397, "")),
        lie("\"id\" must be", json -> addedToken(json, -1, "<new>")),
        lie("normalizer of the type ByteLevel", json -> part(json, "normalizer", "ByteLevel")),
        lie("decoder of the type null", json -> json.putObject("decoder")),
        lie("pre_tokenizer", json -> json.put("pre_tokenizer", "ByteLevel")),
        lie("no precompiled_charsmap", json -> part(json, "normalizer", "Precompiled")),
        lie("base64", json -> charsmap(json, "*")),
        lie("base64", json -> charsmap(json, "AAAA=")),
        lie("base64", json -> charsmap(json, "AB==")),
        lie("charsmap is damaged", json -> charsmap(json, "")),
        lie("Sequence of the type", json -> sequence(json, "Sequence of the type")),
        lie(
            "adds the id 397, which no token has",
            json ->
                ((ArrayNode) json.at("/post_processor/special_tokens/<~1s>/ids"))
                    .set(0, json.numberNode(397))),
        lie(
            "single\" must be a list",
            json ->
                json.putObject("post_processor")
                    .put("type", "TemplateProcessing")
                    .put("single", "$A:0 [END]:0")
                    .put("pair", "$A:0 $B:1")
                    .putObject("special_tokens")));
  }

  private static Arguments lie(String reason, Consumer<ObjectNode> edit) {
    return Arguments.of(reason, edit);
  }

  private static ObjectNode model(ObjectNode json) {
    return (ObjectNode) json.get("model");
  }

  private static ArrayNode vocab(ObjectNode json) {
    return (ArrayNode) model(json).get("vocab");
  }

  private static void part(ObjectNode json, String part, String type) {
    json.putObject(part).put("type", type);
  }

  private static void charsmap(ObjectNode json, String base64) {
    json.putObject("normalizer").put("type", "Precompiled").put("precompiled_charsmap", base64);
  }

  private static void sequence(ObjectNode json, String type) {
    ObjectNode outer = json.putObject("normalizer").put("type", "Sequence");
    outer.putArray("normalizers").addObject().put("type", type);
  }

  private static void addedToken(ObjectNode json, int id, String content) {
    ((ArrayNode) json.get("added_tokens")).addObject().put("id", id).put("content", content);
  }

  @ParameterizedTest
  @MethodSource("lies")
  void refusesATokenizerJsonThatLies(String reason, Consumer<ObjectNode> edit) throws IOException {
    ObjectNode json = t5Json();
    edit.accept(json);
    String sentence = refusalOf("tokenizer.json", json.toString());
    assertTrue(sentence.toLowerCase().contains(reason.toLowerCase()), sentence);
  }

  @Test
  void refusesOtherShapesOfJson() throws IOException {
    refusalOf("tokenizer.json", "[]");
    refusalOf("tokenizer.json", "{}");
    refusalOf("tokenizer.json", "[".repeat(100_000));
    refusalOf("tokenizer.json", t5Json() + " {}");
    refusalOf("tokenizer.json", "{\"model\": {\"vocab\": []}}");
    refusalOf("tokenizer.json", "{\"model\": {\"vocab\": [[\"a\", 1e999]], \"unk_id\": 0}}");
    byte[] json = t5Json().toString().getBytes(StandardCharsets.UTF_8);
    json[json.length / 2] = (byte) 0xFF;
    refusalOf("tokenizer.json", json);
  }

  @Test
  void refusesAModelWithDropout() throws IOException {
    String model = "{\"model\": {\"type\": \"BPE\", \"dropout\": 0.1, \"vocab\": {\"a\": 0}}}";
    assertTrue(refusalOf("tokenizer.json", model).contains("dropout"));
  }

  @ParameterizedTest
  @CsvSource({
    "'{\"a\": 0, \"b\": 0}'",
    "'{\"a\": 0, \"b\": 2}'",
    "'{\"a\": 0.5}'",
    "'{\"a\": -1}'"
  })
  void refusesABpeVocabularyWithGaps(String vocab) throws IOException {
    refusalOf("tokenizer.json", "{\"model\": {\"vocab\": " + vocab + ", \"merges\": []}}");
  }

  @Test
  void takesPartsInAnyOrder() throws IOException {
    ObjectNode json = t5Json();
    ObjectNode model = (ObjectNode) json.remove("model");
    ObjectNode turned = json.objectNode();
    turned.set("model", model);
    turned.setAll(json);
    Files.writeString(folder.resolve("tokenizer.json"), turned.toString());
    try (Tokenizer tokenizer = Tokenizer.load(folder);
        Tokenizer t5 = Tokenizer.load(T5)) {
      assertArrayEquals(t5.encode("hello there"), tokenizer.encode("hello there"));
    }
  }

  @Test
  void cutsAndPadsNothingThoughTheFileSaysSo() throws IOException {
    ObjectNode json = t5Json();
    json.putObject("truncation")
        .put("direction", "Right")
        .put("max_length", 4)
        .put("strategy", "LongestFirst")
        .put("stride", 0);
    ObjectNode padding = json.putObject("padding").put("direction", "Right").put("pad_id", 0);
    padding.put("pad_type_id", 0).put("pad_token", "<pad>").putNull("pad_to_multiple_of");
    padding.putObject("strategy").put("Fixed", 64);
    Files.writeString(folder.resolve("tokenizer.json"), json.toString());
    try (Tokenizer tokenizer = Tokenizer.load(folder);
        Tokenizer t5 = Tokenizer.load(T5)) {
      String text = "Good morning, I'm Mike.";
      assertArrayEquals(t5.encode(text), tokenizer.encode(text));
    }
  }

  /** A charsmap that passes the check must not lead anywhere outside of itself. */
  @Test
  void damagedCharsmapsAreRefusedOrHarmless() throws IOException {
    byte[] charsmap =
        Base64.getDecoder()
            .decode(t5Json().get("normalizer").get("precompiled_charsmap").stringValue());
    Charsmap.parse(charsmap, "whole");
    Random random = new Random(16);
    int refused = 0;
    for (int round = 0; round < 60; round++) {
      byte[] damaged = charsmap.clone();
      ByteBuffer bytes = ByteBuffer.wrap(damaged).order(ByteOrder.LITTLE_ENDIAN);
      int units = bytes.getInt(0) / 4;
      for (int i = 0; i < 40; i++) {
        bytes.putInt(4 + 4 * random.nextInt(units), random.nextInt());
      }
      try {
        Charsmap.parse(damaged, "damaged");
      } catch (InvalidInputException e) {
        refused++;
      }
    }
    assertEquals(60, refused);
    for (int round = 0; round < 12; round++) {
      byte[] damaged = charsmap.clone();
      ByteBuffer bytes = ByteBuffer.wrap(damaged).order(ByteOrder.LITTLE_ENDIAN);
      int at = 4 + 4 * random.nextInt(bytes.getInt(0) / 4);
      bytes.putInt(at, bytes.getInt(at) ^ 1 << random.nextInt(32));
      ObjectNode json = t5Json();
      charsmap(json, Base64.getEncoder().encodeToString(damaged));
      Files.writeString(folder.resolve("tokenizer.json"), json.toString());
      try (Tokenizer tokenizer = Tokenizer.load(folder)) {
        for (int i = 0; i < 50; i++) {
          tokenizer.encode(TokenizerTest.randomText(random, 60, c -> true));
        }
      } catch (InvalidInputException e) {
        // refused
      }
    }
  }

  @Test
  void refusesCharsmapsOfWrongLengths() {
    for (int trieBytes : new int[] {0, 4, 1024, 2048, -1024, Integer.MAX_VALUE}) {
      byte[] bytes = new byte[1024];
      ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putInt(trieBytes);
      assertThrows(InvalidInputException.class, () -> Charsmap.parse(bytes, "charsmap"));
    }
    byte[] fits = new byte[4 + 1024 + 1];
    ByteBuffer.wrap(fits).order(ByteOrder.LITTLE_ENDIAN).putInt(1024);
    Charsmap.parse(fits, "charsmap");
    fits[fits.length - 1] = (byte) 0x80;
    assertThrows(InvalidInputException.class, () -> Charsmap.parse(fits, "charsmap"));
  }

  // ------------------------------------------------------------------------- tokenizer_config.json

  @Test
  void theConfigNamesSpecialTokens() throws IOException {
    Files.copy(T5.resolve("spiece.model"), folder.resolve("spiece.model"));
    Path config = folder.resolve("tokenizer_config.json");
    Files.writeString(
        config,
        "{\"pad_token\": {\"content\": \"</s>\", \"lstrip\": false}, \"eos_token\": \"<pad>\","
            + " \"unk_token\": null, \"extra_ids\": 3}");
    try (Tokenizer tokenizer = Tokenizer.load(folder)) {
      assertEquals(1, tokenizer.padId());
      assertEquals(0, tokenizer.eosId());
      assertEquals(2, tokenizer.unkId());
      assertEquals(300, tokenizer.vocabularySize());
      assertEquals(299, tokenizer.tokenToId("<extra_id_0>"));
    }
    for (String wrong :
        new String[] {
          "[]",
          "{",
          "{\"pad_token\": 3}",
          "{\"pad_token\": {}}",
          "{\"eos_token\": \"<none>\"}",
          "{\"extra_ids\": -1}",
          "{\"extra_ids\": 1e9}",
          "{\"extra_ids\": 99999999999}"
        }) {
      refusalOf("tokenizer_config.json", wrong);
    }
  }

  // ------------------------------------------------------------------------- spiece.model

  @Test
  void refusesATruncatedSentencePieceModel() throws IOException {
    byte[] whole = Files.readAllBytes(T5.resolve("spiece.model"));
    Random random = new Random(17);
    for (int i = 0; i < 200; i++) {
      byte[] part = Arrays.copyOf(whole, random.nextInt(whole.length));
      try {
        // Cut between two fields it is shorter, but whole in itself.
        SentencePieceModel model = SentencePieceModel.parse(part, "spiece.model");
        assertTrue(model.pieces().size() >= 3);
      } catch (InvalidInputException e) {
        assertTrue(e.getMessage().startsWith("spiece.model"), e.getMessage());
      }
    }
    refusalOf("spiece.model", new byte[0]);
    refusalOf("spiece.model", Arrays.copyOf(whole, whole.length - 1));
  }

  @Test
  void damagedSentencePieceModelsAreRefusedOrUsable() throws IOException {
    byte[] whole = Files.readAllBytes(T5.resolve("spiece.model"));
    Random random = new Random(18);
    for (int i = 0; i < 500; i++) {
      byte[] damaged = whole.clone();
      for (int j = 0; j < 3; j++) {
        damaged[random.nextInt(i % 2 == 0 ? 6_000 : whole.length)] = (byte) random.nextInt();
      }
      try {
        SentencePieceModel.parse(damaged, "spiece.model");
      } catch (InvalidInputException e) {
        assertTrue(e.getMessage().startsWith("spiece.model"), e.getMessage());
      }
    }
  }

  /** A hand-made model; {@code extra} is put behind its three pieces. */
  private static byte[] model(byte[]... extra) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(piece("<unk>", 0, 2));
    out.writeBytes(piece("</s>", 0, 3));
    out.writeBytes(piece("\u2581a", -1, 1));
    for (byte[] field : extra) {
      out.writeBytes(field);
    }
    return out.toByteArray();
  }

  private static byte[] piece(String text, float score, int type) {
    byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
    ByteBuffer piece = ByteBuffer.allocate(utf8.length + 9).order(ByteOrder.LITTLE_ENDIAN);
    piece.put((byte) 0x0A).put((byte) utf8.length).put(utf8);
    piece.put((byte) 0x15).putFloat(score).put((byte) 0x18).put((byte) type);
    return field(1, piece.array());
  }

  private static byte[] field(int number, byte... value) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.write(number << 3 | 2);
    out.write(value.length);
    out.writeBytes(value);
    return out.toByteArray();
  }

  @Test
  void readsAHandMadeModelWithoutACharsmap() throws IOException {
    Files.write(folder.resolve("spiece.model"), model(piece("b", -2, 1)));
    try (Tokenizer tokenizer = Tokenizer.load(folder)) {
      assertArrayEquals(new int[] {2, 3, 1}, tokenizer.encode(" ab "));
      assertEquals(104, tokenizer.vocabularySize());
      assertEquals(-1, tokenizer.padId());
      assertEquals("ab", tokenizer.decode(new int[] {2, 3, 1}, true));
    }
  }

  static Stream<Arguments> wrongModels() {
    return Stream.of(
        Arguments.of("no finite score", model(piece("x", Float.NaN, 1))),
        Arguments.of("no finite score", model(piece("x", Float.NEGATIVE_INFINITY, 1))),
        Arguments.of("is there twice", model(piece("\u2581a", -1, 1))),
        Arguments.of("is empty", model(piece("", -1, 1))),
        Arguments.of("exactly one unknown piece", model(piece("x", -1, 2))),
        Arguments.of("exactly one unknown piece", piece("</s>", 0, 3)),
        Arguments.of("an </s>", piece("<unk>", 0, 2)),
        Arguments.of("type 9", model(piece("x", 0, 9))),
        Arguments.of("Unigram", model(field(2, (byte) 0x18, (byte) 2))),
        Arguments.of("suffix", model(field(2, new byte[] {(byte) 0xC0, 1, 1}))),
        Arguments.of("escape whitespace", model(field(3, (byte) 0x28, (byte) 0))),
        Arguments.of("charsmap is damaged", model(field(3, new byte[] {0x12, 2, 0, 0}))),
        Arguments.of("UTF-8", model(field(1, new byte[] {0x0A, 1, (byte) 0xFF}))),
        Arguments.of("cut off", model(new byte[] {0x0A, 0x7F, 0})),
        Arguments.of("cut off", model(new byte[] {0x0A})),
        Arguments.of(
            "does not end", model(new byte[] {0x48, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0})),
        Arguments.of("cut off", model(new byte[] {0x0A, -1, -1, -1, -1, -1, -1, -1, -1, -1, 1})),
        Arguments.of("wire type 3", model(new byte[] {0x2B})),
        Arguments.of("wire type 0", model(new byte[] {0x08, 1})),
        Arguments.of("number 0", model(new byte[] {0x02, 0})));
  }

  @ParameterizedTest
  @MethodSource("wrongModels")
  void saysWhatIsWrongWithASentencePieceModel(String reason, byte[] model) throws IOException {
    String sentence = refusalOf("spiece.model", model);
    assertTrue(sentence.contains(reason), sentence);
  }

  // ------------------------------------------------------------------------- vocab.json,
  // merges.txt

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          {"a": 0}                                | a b   | no <s> and </s>
          {"<s>": 0, "</s>": 1, "a": "x"}         | a b   | whole number
          {"<s>": 0, "</s>": 1, "a": 99999999999} | a b   | vocab.json
          {"<s>": 0, "</s>": 5}                   | a b   | must be 0 to 1
          []                                      | a b   | JSON object
          {"<s>": 0,                              | a b   | not valid JSON
          {"<s>": 0, "</s>": 1, "a": 2}           | a     | merges.txt, line 1
          {"<s>": 0, "</s>": 1, "a": 2}           | a b c | merges.txt, line 1
          {"<s>": 0, "</s>": 1, "a": 2}           | a b   | merge 1 needs
          """)
  void saysWhatIsWrongWithAByteLevelBpe(String vocab, String merges, String reason)
      throws IOException {
    Files.writeString(folder.resolve("vocab.json"), vocab);
    Files.writeString(folder.resolve("merges.txt"), merges);
    String sentence = refusal();
    assertTrue(sentence.contains(reason), sentence);
    assertTrue(sentence.startsWith(folder.toString()), sentence);
  }
}
