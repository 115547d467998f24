package dev.precis.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.precis.Fixtures;
import dev.precis.io.Json;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Our engine gives the ids and the texts of Hugging Face's library.
 *
 * <p>T5's and RoBERTa's own steps are compared over all of Unicode. Other steps use tables of the
 * library that know Unicode 8 (punctuation) and 13 (normal forms), where Java's are newer: they are
 * compared over characters that all of them know.
 */
class LibraryComparisonTest {
  private static final String GPT4 =
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}"
          + "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

  private static final String[] MORE_PARTS = {
    "ｅ\u0301",
    "\u00A0\u0301",
    "\r\n",
    "'re",
    "İ",
    "Σ",
    "\u0600a",
    "\u0915\u094D\u0937",
    "가",
    "\u1112\u1161\u11AB",
    "<unk>",
    "<s>",
    "<mask>",
    "ﷺ",
    "12",
    "x²",
    "\u0085",
    "\u001C",
    "\u180E",
    "_",
    "—",
    "«",
    ".",
    ",",
    "'s",
    "don",
    "{"
  };

  @TempDir Path folder;

  private static ObjectNode t5Json() throws IOException {
    Path file = Fixtures.resource("fixtures/t5-tiny/tokenizer.json");
    return (ObjectNode) Json.mapper().readTree(Files.readString(file));
  }

  private ObjectNode robertaJson() throws IOException {
    Path from = Fixtures.resource("fixtures/roberta-tiny");
    byte[] json =
        ByteLevelBpe.toTokenizerJson(
            from.resolve("vocab.json"), from.resolve("merges.txt"), TokenizerConfig.read(folder));
    return (ObjectNode) Json.mapper().readTree(new String(json, StandardCharsets.UTF_8));
  }

  private static ObjectNode part(String json) {
    return (ObjectNode) Json.mapper().readTree(json.replace('\'', '"'));
  }

  private static String part(Random random) {
    int i = random.nextInt(TokenizerTest.PARTS.length + MORE_PARTS.length);
    return i < MORE_PARTS.length ? MORE_PARTS[i] : TokenizerTest.PARTS[i - MORE_PARTS.length];
  }

  /** A random text; without {@code anyCharacter} of characters that old tables know. */
  private static String text(Random random, boolean anyCharacter) {
    StringBuilder text = new StringBuilder();
    for (int i = random.nextInt(30); i > 0; i--) {
      if (random.nextInt(3) == 0) {
        int[] limits = anyCharacter ? new int[] {0x80, 0x800, 0x3000, 0x20000} : new int[] {0x17F};
        int limit = limits[random.nextInt(limits.length)];
        int c = random.nextInt(limit);
        text.appendCodePoint(c >= 0xD800 && c < 0xE000 ? 'A' : c);
      } else {
        text.append(part(random));
      }
      text.append(random.nextInt(3) == 0 ? " " : "");
    }
    return text.toString();
  }

  private void compare(ObjectNode json, boolean anyCharacter, int texts) {
    String content = json.toString();
    TokenizerPipeline ours =
        TokenizerJson.read(
            content.getBytes(StandardCharsets.UTF_8), "json", TokenizerConfig.read(folder));
    Random random = new Random(71);
    try (LibraryTokenizer library = new LibraryTokenizer(content)) {
      for (int i = 0; i < texts; i++) {
        String text = text(random, anyCharacter);
        int[] ids = library.encode(text, true);
        assertArrayEquals(ids, ours.encode(text, true), () -> "\"" + text + "\"");
        assertArrayEquals(library.encode(text, false), ours.encode(text, false), text);
        int[] some = i % 2 == 0 ? ids : random.ints(20, 0, ours.vocabulary().size()).toArray();
        assertEquals(library.decode(some, true), ours.decode(some, true));
        assertEquals(library.decode(some, false), ours.decode(some, false));
      }
    }
  }

  private void compareEveryCharacter(ObjectNode json) {
    String content = json.toString();
    TokenizerPipeline ours =
        TokenizerJson.read(
            content.getBytes(StandardCharsets.UTF_8), "json", TokenizerConfig.read(folder));
    try (LibraryTokenizer library = new LibraryTokenizer(content)) {
      for (int c = 0; c < 0x20000; c++) {
        if (c < 0xD800 || c >= 0xE000) {
          String text = "a" + Character.toString(c) + "b";
          assertArrayEquals(library.encode(text, true), ours.encode(text, true), text);
        }
      }
    }
  }

  @Test
  void t5() throws IOException {
    compareEveryCharacter(t5Json());
    compare(t5Json(), true, 3_000);
  }

  @Test
  void roberta() throws IOException {
    compareEveryCharacter(robertaJson());
    compare(robertaJson(), true, 3_000);
  }

  /** Real prose: every dialogue of the fixtures, whole. */
  @Test
  void dialogues() throws IOException {
    String[] texts = Files.readString(Fixtures.resource("fixtures/dialogues.jsonl")).split("\n");
    for (ObjectNode json : new ObjectNode[] {t5Json(), robertaJson()}) {
      String content = json.toString();
      TokenizerPipeline ours =
          TokenizerJson.read(
              content.getBytes(StandardCharsets.UTF_8), "json", TokenizerConfig.read(folder));
      try (LibraryTokenizer library = new LibraryTokenizer(content)) {
        for (String text : texts) {
          assertArrayEquals(library.encode(text, true), ours.encode(text, true), text);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"always", "first", "never"})
  void metaspaceOfAnyScheme(String scheme) throws IOException {
    ObjectNode json = t5Json();
    ObjectNode precompiled = (ObjectNode) json.get("normalizer");
    ObjectNode sequence = json.putObject("normalizer").put("type", "Sequence");
    ArrayNode steps = sequence.putArray("normalizers");
    steps.add(precompiled);
    boolean both = scheme.equals("never");
    steps.addObject().put("type", "Strip").put("strip_left", both).put("strip_right", true);
    steps.add(part("{'type':'Replace','pattern':{'Regex':' {2,}'},'content':'\u2581'}"));
    ObjectNode metaspace =
        json.putObject("pre_tokenizer").put("type", "Metaspace").put("replacement", "\u2581");
    metaspace.put("prepend_scheme", scheme).put("split", !scheme.equals("never"));
    json.set("decoder", metaspace.deepCopy());
    compare(json, true, 2_000);
  }

  @ParameterizedTest
  @ValueSource(strings = {"NFC", "NFD", "NFKC", "NFKD"})
  void unigramWithOtherSteps(String form) throws IOException {
    ObjectNode json = t5Json();
    json.set(
        "normalizer",
        part(
            "{'type':'Sequence','normalizers':[{'type':'%s'},{'type':'Nmt'},{'type':'Lowercase'}]}"
                .formatted(form)));
    json.set(
        "pre_tokenizer",
        part(
            """
            {'type':'Sequence','pretokenizers':[{'type':'%s'},{'type':'Digits',
             'individual_digits':%b},{'type':'Punctuation'},{'type':'Metaspace',
             'replacement':'\u2581','add_prefix_space':true}]}\
            """
                .formatted(
                    form.contains("K") ? "Whitespace" : "WhitespaceSplit", form.endsWith("C"))));
    json.set(
        "decoder",
        part(
            """
            {'type':'Sequence','decoders':[{'type':'Replace','pattern':{'String':'\u2581'},
             'content':' '},{'type':'ByteFallback'},{'type':'Fuse'},
             {'type':'Strip','content':' ','start':1,'stop':0}]}\
            """));
    ObjectNode model = (ObjectNode) json.get("model");
    if (form.equals("NFKC")) {
      for (int b = 0; b < 256; b++) {
        ((ArrayNode) model.get("vocab")).addArray().add("<0x%02X>".formatted(b)).add(-9.0);
      }
      model.put("byte_fallback", true);
    }
    int next = model.get("vocab").size();
    addToken(json, next, "\n", false, false, false);
    addToken(json, next + 1, "{", true, false, false);
    addToken(json, next + 2, "zürich", true, false, false);
    addToken(json, next + 3, "ﬁne", true, true, false);
    addToken(json, next + 4, "don", true, false, true);
    compare(json, false, 2_000);
  }

  private static void addToken(
      ObjectNode json, int id, String content, boolean normalized, boolean strip, boolean word) {
    ((ArrayNode) json.get("added_tokens"))
        .addObject()
        .put("id", id)
        .put("content", content)
        .put("single_word", word)
        .put("lstrip", strip)
        .put("rstrip", strip)
        .put("normalized", normalized)
        .put("special", false);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"})
  void bpeWithOtherSteps(String behavior) throws IOException {
    ObjectNode json = robertaJson();
    boolean invert = behavior.startsWith("Merged");
    json.set(
        "normalizer",
        part(
            """
            {'type':'Sequence','normalizers':[{'type':'NFKC'},{'type':'Lowercase'},
             {'type':'Replace','pattern':{'Regex':'a+'},'content':'b'},
             {'type':'Prepend','prepend':'x'},{'type':'StripAccents'}]}\
            """));
    json.set(
        "pre_tokenizer",
        part(
            """
            {'type':'Sequence','pretokenizers':[{'type':'Split','pattern':{'Regex':'(\\\\s+|\\\\w+)'},
             'behavior':'%s','invert':%b},{'type':'Punctuation','behavior':'%s'},
             {'type':'ByteLevel','add_prefix_space':%b,'trim_offsets':true,'use_regex':true}]}\
            """
                .formatted(behavior, invert, behavior, invert)));
    compare(json, false, 2_000);
  }

  @Test
  void aRegularExpressionOverEveryCharacter() throws IOException {
    ObjectNode json = robertaJson();
    ObjectNode sequence = json.putObject("pre_tokenizer").put("type", "Sequence");
    ArrayNode steps = sequence.putArray("pretokenizers");
    ObjectNode split = steps.addObject().put("type", "Split").put("behavior", "Isolated");
    split.put("invert", false).putObject("pattern").put("Regex", GPT4);
    steps
        .addObject()
        .put("type", "ByteLevel")
        .put("add_prefix_space", false)
        .put("trim_offsets", true)
        .put("use_regex", false);
    compareEveryCharacter(json);
    compare(json, true, 2_000);
  }
}
