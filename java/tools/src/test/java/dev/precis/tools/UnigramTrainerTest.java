package dev.precis.tools;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.data.builtin.BuiltInDialogue;
import dev.precis.data.builtin.BuiltInDialogues;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.text.PromptTemplate;
import dev.precis.text.SentencePieceModel;
import dev.precis.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

final class UnigramTrainerTest {
  private static final int SIZE = 2048;
  private static final List<String> WHOLE =
      List.of("#Person1#", "#Person2#", "#Person3#", "#Person4#");

  @TempDir private static Path folder;
  private static List<String> texts;
  private static JsonNode json;

  @BeforeAll
  static void train() throws IOException {
    BuiltInDialogues data = BuiltInDialogues.generate(0, 3000);
    texts = texts(data.train());
    DialogueTokenizers.unigram(data, SIZE).write(folder);
    json = Json.mapper().readTree(Files.readString(folder.resolve("tokenizer.json")));
  }

  private static List<String> texts(List<BuiltInDialogue> dialogues) {
    List<String> texts = new ArrayList<>();
    for (BuiltInDialogue each : dialogues) {
      texts.add(PromptTemplate.DEFAULT.fill(each.dialogue()));
      texts.addAll(each.summaries());
    }
    return texts;
  }

  private static UnigramTrainer trained(List<String> texts, int size) {
    UnigramTrainer trainer = new UnigramTrainer(size, WHOLE);
    texts.forEach(trainer::add);
    return trainer;
  }

  private static String oneLine(String text) {
    return text.strip().replaceAll("\\s+", " ");
  }

  @Test
  void textsComeBackWithoutUnknownTokens() {
    BuiltInDialogues others = BuiltInDialogues.generate(5, 500);
    try (Tokenizer tokenizer = Tokenizer.load(folder)) {
      assertEquals(0, tokenizer.padId());
      assertEquals(1, tokenizer.eosId());
      assertEquals(2, tokenizer.unkId());
      // The dialogues have fewer words than there is room for: nothing is learnt for its own sake.
      assertTrue(tokenizer.vocabularySize() <= SIZE && tokenizer.vocabularySize() > 1200);
      Stream.concat(texts.stream(), texts(others.test()).stream())
          .forEach(
              text -> {
                int[] ids = tokenizer.encode(text);
                assertEquals(1, ids[ids.length - 1]);
                assertTrue(Arrays.stream(ids).noneMatch(id -> id == 2), text);
                assertEquals(oneLine(text), tokenizer.decode(ids, true));
              });
    }
  }

  @Test
  void everyPrintableCharacterIsKnown() {
    try (Tokenizer tokenizer = Tokenizer.load(folder)) {
      StringBuilder all = new StringBuilder();
      for (char c = '!'; c <= '~'; c++) {
        all.append(c).append("\u007e").append(c).append(' ');
      }
      String text = all.toString().strip();
      int[] ids = tokenizer.encode(text);
      assertTrue(Arrays.stream(ids).noneMatch(id -> id == 2));
      assertEquals(text, tokenizer.decode(ids, true));
      assertTrue(Arrays.stream(tokenizer.encode("\u65e5")).anyMatch(id -> id == 2));
    }
  }

  /** The model has to copy these: they are the same token everywhere. */
  @Test
  void namesAreSingleTokensAndNumbersAreDigits() {
    try (Tokenizer tokenizer = Tokenizer.load(folder)) {
      for (String word : List.of("Priya", "Wei", "#Person2#", "Wednesday", "dollars", "Toronto")) {
        assertEquals(1, tokenizer.encode(word, false).length, word);
      }
      assertArrayEquals(
          new String[] {"\u25814", "8", "2"},
          Arrays.stream(tokenizer.encode("482", false)).mapToObj(tokenizer::idToToken).toArray());
      int[] sentence = tokenizer.encode("Then #Person1#'s call on Friday.", false);
      assertArrayEquals(
          new String[] {
            "\u2581Then", "\u2581#Person1#", "'s", "\u2581call", "\u2581on", "\u2581Friday", "."
          },
          Arrays.stream(sentence).mapToObj(tokenizer::idToToken).toArray());
    }
  }

  @Test
  void textsAreShortInTokens() {
    try (Tokenizer tokenizer = Tokenizer.load(folder)) {
      long words = 0;
      long tokens = 0;
      for (String text : texts) {
        words += text.split("\\s+").length;
        tokens += tokenizer.encode(text, false).length;
      }
      double perWord = (double) tokens / words;
      assertTrue(perWord < 1.4, "tokens per word: " + perWord);
    }
  }

  /** Pieces are of one kind, the most probable first, probabilities adding up to one. */
  @Test
  void vocabularyIsSound() {
    JsonNode vocabulary = json.get("model").get("vocab");
    double sum = 0;
    double last = 0;
    List<String> seen = new ArrayList<>();
    for (int id = 0; id < vocabulary.size(); id++) {
      String piece = vocabulary.get(id).get(0).stringValue();
      double score = vocabulary.get(id).get(1).doubleValue();
      assertFalse(seen.contains(piece), piece);
      seen.add(piece);
      if (id < 3) {
        assertEquals(0, score);
        continue;
      }
      assertTrue(score <= last, piece);
      last = score;
      sum += Math.exp(score);
      boolean whole = WHOLE.contains(piece.substring(1));
      assertTrue(
          whole || piece.matches("\u2581?([A-Za-z]+|'[A-Za-z]+|\\d|[^A-Za-z\\d\u2581]+)|\u2581"),
          piece);
    }
    assertEquals(List.of("<pad>", "</s>", "<unk>"), seen.subList(0, 3));
    assertEquals(1, sum, 1e-5);
  }

  @Test
  void bytesDependOnTheWordsAlone(@TempDir Path again) throws IOException {
    trained(texts.reversed(), SIZE).write(again);
    for (String file : List.of("tokenizer.json", "tokenizer_config.json")) {
      assertArrayEquals(
          Files.readAllBytes(folder.resolve(file)), Files.readAllBytes(again.resolve(file)), file);
    }
    trained(texts.subList(0, 100), SIZE).write(again);
    assertNotEquals(
        Files.readString(folder.resolve("tokenizer.json")),
        Files.readString(again.resolve("tokenizer.json")));
  }

  /** The engine segments texts in the most probable way, as found by trying all. */
  @Test
  void cutsAreTheMostProbable() {
    try (Tokenizer tokenizer = Tokenizer.load(folder)) {
      JsonNode vocabulary = json.get("model").get("vocab");
      for (String word : List.of("hello", "Marias", "(ok)", "42nd", "don't", "Oak-tree")) {
        double best = best("\u2581" + word, tokenizer, vocabulary);
        double sum =
            IntStream.of(tokenizer.encode(word, false))
                .mapToDouble(id -> vocabulary.get(id).get(1).doubleValue())
                .sum();
        assertEquals(best, sum, 1e-4, word);
      }
    }
  }

  private static double best(String rest, Tokenizer tokenizer, JsonNode vocabulary) {
    double best = rest.isEmpty() ? 0 : Double.NEGATIVE_INFINITY;
    for (int end = 1; end <= rest.length(); end++) {
      int id = tokenizer.tokenToId(rest.substring(0, end));
      if (id >= 0) {
        double score = vocabulary.get(id).get(1).doubleValue();
        best = Math.max(best, score + best(rest.substring(end), tokenizer, vocabulary));
      }
    }
    return best;
  }

  /** Two words of two letters: what is frequent together becomes a piece, the rest stays apart. */
  @Test
  void learnsWhatIsFrequent() {
    UnigramTrainer trainer = new UnigramTrainer(94 + 1 + 3 + 2, List.of());
    trainer.add("abab cdcd", 50);
    trainer.add("ab cd");
    List<String> learned =
        trainer.train().pieces().stream()
            .map(SentencePieceModel.Piece::text)
            .filter(
                piece ->
                    piece.length() > 1
                        && !piece.startsWith("<")
                        && !piece.startsWith("\u2581\u2581"))
            .filter(piece -> !piece.equals("</s>"))
            .sorted()
            .toList();
    assertEquals(List.of("\u2581abab", "\u2581cdcd"), learned);
  }

  @Test
  void vocabularyIsNoLargerThanAskedFor() {
    for (int size : new int[] {150, 400, 1000}) {
      int pieces = trained(texts.subList(0, 2000), size).train().pieces().size();
      assertTrue(pieces <= size && pieces > size * 0.95, size + ": " + pieces);
    }
  }

  @Test
  void tooSmallAVocabularyIsRefused() {
    UnigramTrainer trainer = new UnigramTrainer(100, WHOLE);
    trainer.add("caf\u00e9");
    InvalidInputException e = assertThrows(InvalidInputException.class, trainer::train);
    assertEquals(
        "A vocabulary of 100 tokens is too small: 100 characters and whole words and 3 special"
            + " tokens must be in it",
        e.getMessage());
  }

  /** Characters beyond the 16 bits of a Java char, and words that nobody writes. */
  @Test
  void anyTextCanBeLearnt(@TempDir Path other) throws IOException {
    UnigramTrainer trainer = new UnigramTrainer(300, List.of());
    trainer.add("\ud83d\ude00\ud83d\ude00 na\u00efve na\u00efve \u65e5\u672c\u65e5\u672c", 3);
    trainer.add("x".repeat(100_000));
    trainer.write(other);
    try (Tokenizer tokenizer = Tokenizer.load(other)) {
      String text = "na\u00efve \ud83d\ude00 \u65e5\u672c\u65e5\u672c x";
      int[] ids = tokenizer.encode(text);
      assertTrue(Arrays.stream(ids).noneMatch(id -> id == 2));
      assertEquals(text, tokenizer.decode(ids, true));
    }
  }

  @Test
  void digamma() {
    assertEquals(-0.5772156649015329, UnigramTrainer.digamma(1), 1e-10);
    assertEquals(-1.9635100260214235, UnigramTrainer.digamma(0.5), 1e-10);
    assertEquals(Math.log(1e6) - 0.5e-6, UnigramTrainer.digamma(1e6), 1e-10);
    assertEquals(1.0 / 3.7, UnigramTrainer.digamma(4.7) - UnigramTrainer.digamma(3.7), 1e-10);
  }
}
