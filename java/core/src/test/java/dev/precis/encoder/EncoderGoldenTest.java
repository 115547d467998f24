package dev.precis.encoder;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Classifier;
import dev.precis.Fixtures;
import dev.precis.checkpoint.Checkpoint;
import dev.precis.checkpoint.SafeTensors;
import dev.precis.checkpoint.TensorView;
import dev.precis.evaluation.TextPair;
import dev.precis.io.InvalidInputException;
import dev.precis.text.Encoding;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Texts and pairs under the classifiers of each family, against transformers. */
class EncoderGoldenTest {
  private static final Path ENCODERS = Fixtures.resource("encoders");
  private static final JsonNode GOLDEN =
      JsonMapper.shared().readTree(ENCODERS.resolve("golden.json").toFile());

  /** The length that the goldens were cut to, where the model itself reads more. */
  private static final int MAX_LENGTH = 64;

  @TempDir Path folder;

  private static Path folder(String name) {
    return name.equals("roberta-tiny") ? Fixtures.folder(name) : ENCODERS.resolve(name);
  }

  /** Copies a model, and lets its classifier read as many tokens as the goldens have. */
  private Path copy(String name) throws IOException {
    try (Stream<Path> files = Files.list(folder(name))) {
      for (Path file : files.toList()) {
        Files.copy(file, folder.resolve(file.getFileName()));
      }
    }
    Path config = folder.resolve("tokenizer_config.json");
    if (!Files.exists(config)) {
      Files.writeString(config, "{\"model_max_length\": " + MAX_LENGTH + "}");
    }
    return folder;
  }

  private static int[] ints(JsonNode node) {
    return StreamSupport.stream(node.spliterator(), false).mapToInt(JsonNode::intValue).toArray();
  }

  private static boolean isPair(JsonNode row) {
    return !row.get("second").isNull();
  }

  private static TextPair pair(JsonNode row) {
    return new TextPair(row.get("first").stringValue(), row.get("second").stringValue());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "bert-tiny",
        "distilbert-tiny",
        "electra-tiny",
        "xlm-roberta-tiny",
        "deberta-v3-tiny",
        "deberta-c2p-tiny",
        "deberta-p2c-tiny",
        "deberta-both-tiny",
        "roberta-tiny"
      })
  void idsTypesAndLogitsAreThoseOfTransformers(String name) throws IOException {
    try (Classifier classifier = Classifier.load(copy(name))) {
      List<JsonNode> rows = List.copyOf(GOLDEN.get(name).values());
      List<JsonNode> singles = rows.stream().filter(row -> !isPair(row)).toList();
      List<JsonNode> pairs = rows.stream().filter(EncoderGoldenTest::isPair).toList();
      for (JsonNode row : singles) {
        String text = row.get("first").stringValue();
        int[] ids = classifier.encode(text);
        assertArrayEquals(ints(row.get("ids")), ids, text);
        assertEquals(
            row.get("decoded").stringValue(), classifier.tokenizer().decode(ids, true), text);
      }
      for (JsonNode row : pairs) {
        Encoding encoding =
            classifier
                .tokenizer()
                .encodePair(pair(row).first(), pair(row).second(), classifier.maxTokens());
        assertArrayEquals(ints(row.get("ids")), encoding.ids(), pair(row).toString());
        assertArrayEquals(ints(row.get("types")), encoding.types(), pair(row).toString());
      }
      assertLogits(
          singles,
          classifier.logits(
              singles.stream().map(row -> row.get("first").stringValue()).toList(), done -> {}));
      assertLogits(
          pairs,
          classifier.pairLogits(pairs.stream().map(EncoderGoldenTest::pair).toList(), done -> {}));
    }
  }

  private static void assertLogits(List<JsonNode> rows, List<float[]> logits) {
    assertTrue(rows.size() > 3);
    for (int i = 0; i < rows.size(); i++) {
      JsonNode want = rows.get(i).get("logits");
      assertEquals(want.size(), logits.get(i).length);
      for (int k = 0; k < want.size(); k++) {
        assertEquals(want.get(k).doubleValue(), logits.get(i)[k], 1e-4, "row " + i);
      }
    }
  }

  @Test
  void thePairsOrderCounts() {
    try (Classifier classifier = Classifier.load(ENCODERS.resolve("bert-tiny"))) {
      List<float[]> logits =
          classifier.pairLogits(
              List.of(new TextPair("the cat", "the dog"), new TextPair("the dog", "the cat")),
              done -> {});
      assertTrue(Math.abs(logits.get(0)[0] - logits.get(1)[0]) > 1e-3);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"bert-tiny", "distilbert-tiny", "electra-tiny"})
  void anEncoderSavedAloneHasNoClassifier(String name) throws IOException {
    copy(name);
    try (Checkpoint whole = Checkpoint.open(folder(name))) {
      String prefix = name.substring(0, name.indexOf('-')) + ".";
      List<TensorView> bare = new ArrayList<>();
      for (String each : whole.names()) {
        TensorView view = whole.get(each);
        if (each.startsWith(prefix)) {
          bare.add(
              new TensorView(
                  each.substring(prefix.length()), view.dtype(), view.shape(), view.data()));
        }
      }
      Path file = folder.resolve("model.safetensors");
      Files.delete(file);
      SafeTensors.write(file, bare, Map.of());
      try (Checkpoint resolved = Checkpoint.open(folder)) {
        assertTrue(resolved.contains(prefix + "embeddings.LayerNorm.weight"));
      }
    }
    String said =
        assertThrows(InvalidInputException.class, () -> Classifier.load(folder).close())
            .getMessage();
    assertTrue(said.contains("without a classifier") && said.contains("precis reward"), said);
  }

  @Test
  void aTokenizerOfAnotherFamilyIsNotReadFromItsVocabulary() throws IOException {
    copy("bert-tiny");
    Files.writeString(
        folder.resolve("tokenizer_config.json"),
        "{\"tokenizer_class\": \"BertJapaneseTokenizer\"}");
    String said =
        assertThrows(InvalidInputException.class, () -> Classifier.load(folder).close())
            .getMessage();
    assertTrue(said.contains("BertJapaneseTokenizer") && said.contains("vocab.txt"), said);
  }

  @Test
  void aDamagedVocabularyIsNamed() throws IOException {
    copy("bert-tiny");
    Path file = folder.resolve("vocab.txt");
    Files.writeString(file, Files.readString(file).replace("world\n", "hello\n"));
    String said =
        assertThrows(InvalidInputException.class, () -> Classifier.load(folder).close())
            .getMessage();
    assertTrue(said.contains("line 7") && said.contains("\"hello\" is there twice"), said);
  }

  @Test
  void aTypeThatTheModelDoesNotHaveIsRefused() throws IOException {
    copy("xlm-roberta-tiny");
    Path file = folder.resolve("tokenizer.json");
    String json = Files.readString(file);
    String typed = json.replaceAll("(\"id\": \"B\",\\s*\"type_id\": )0", "$11");
    assertTrue(!json.equals(typed));
    Files.writeString(file, typed);
    try (Classifier classifier = Classifier.load(folder)) {
      String said =
          assertThrows(
                  InvalidInputException.class,
                  () -> classifier.scorePairs(List.of(new TextPair("a", "b"))))
              .getMessage();
      assertTrue(said.contains("the type 1") && said.contains("type_vocab_size is 1"), said);
    }
  }

  @Test
  void aLengthWithoutRoomForAPairIsRefused() throws IOException {
    copy("xlm-roberta-tiny");
    Files.writeString(folder.resolve("tokenizer_config.json"), "{\"model_max_length\": 4}");
    try (Classifier classifier = Classifier.load(folder)) {
      String said =
          assertThrows(
                  InvalidInputException.class,
                  () -> classifier.scorePairs(List.of(new TextPair("a", "b"))))
              .getMessage();
      assertTrue(said.contains("no room for a pair"), said);
    }
  }

  @Test
  void aLongPrefixOfWordPiecesIsRefused() throws IOException {
    copy("electra-tiny");
    Path file = folder.resolve("tokenizer.json");
    String json = Files.readString(file);
    String edited =
        json.replaceAll(
            "(\"continuing_subword_prefix\":\\s*)\"##\"", "$1\"" + "#".repeat(101) + "\"");
    assertTrue(!json.equals(edited));
    Files.writeString(file, edited);
    String said =
        assertThrows(InvalidInputException.class, () -> Classifier.load(folder).close())
            .getMessage();
    assertTrue(said.contains("continuing_subword_prefix") && said.contains("100"), said);
  }
}
