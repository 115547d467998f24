package dev.precis.encoder;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Classifier;
import dev.precis.Classifier.Scores;
import dev.precis.Fixtures;
import dev.precis.checkpoint.Checkpoint;
import dev.precis.checkpoint.SafeTensors;
import dev.precis.checkpoint.TensorView;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.tensor.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.regex.Matcher;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** The classifier against what transformers computes with the same folder. */
class RobertaGoldenTest {
  private static final Path MODEL = Fixtures.folder("roberta-tiny");
  private static final JsonNode GOLDEN = Fixtures.json("roberta.json");

  /** A copy of the model without some of its files. */
  static Path copy(Path to, String... without) throws IOException {
    Files.createDirectories(to);
    for (String name :
        List.of(
            "config.json", "merges.txt", "vocab.json", "model.safetensors", "pytorch_model.bin")) {
      if (!List.of(without).contains(name)) {
        Files.copy(MODEL.resolve(name), to.resolve(name));
      }
    }
    return to;
  }

  private static List<String> texts() {
    List<String> texts = new ArrayList<>();
    GOLDEN.forEach(each -> texts.add(each.get("text").stringValue()));
    return texts;
  }

  private static void assertGolden(Path folder) {
    try (Classifier classifier = Classifier.load(folder)) {
      List<float[]> logits = classifier.logits(texts(), done -> {});
      for (int i = 0; i < GOLDEN.size(); i++) {
        JsonNode want = GOLDEN.get(i);
        int[] ids = new int[want.get("ids").size()];
        for (int t = 0; t < ids.length; t++) {
          ids[t] = want.get("ids").get(t).intValue();
        }
        assertArrayEquals(ids, classifier.encode(want.get("text").stringValue()), "text " + i);
        for (int k = 0; k < 2; k++) {
          assertEquals(
              want.get("logits").get(k).doubleValue(), logits.get(i)[k], 1e-4, "text " + i);
        }
      }
    }
  }

  @Test
  void safetensors(@TempDir Path folder) throws IOException {
    assertGolden(copy(folder, "pytorch_model.bin"));
  }

  @Test
  void torchFile(@TempDir Path folder) throws IOException {
    assertGolden(copy(folder, "model.safetensors"));
  }

  @Test
  void shards(@TempDir Path folder) throws IOException {
    copy(folder, "model.safetensors", "pytorch_model.bin");
    List<List<TensorView>> shards = List.of(new ArrayList<>(), new ArrayList<>());
    var index = Json.mapper().createObjectNode();
    var map = index.putObject("weight_map");
    try (Checkpoint whole = Checkpoint.open(MODEL)) {
      for (String name : whole.names()) {
        int shard = name.contains("layer.1") ? 1 : 0;
        shards.get(shard).add(whole.get(name));
        map.put(name, "part-" + shard + ".safetensors");
      }
      for (int i = 0; i < 2; i++) {
        SafeTensors.write(
            folder.resolve("part-" + i + ".safetensors"), shards.get(i), Map.of("format", "pt"));
      }
    }
    Files.writeString(folder.resolve("model.safetensors.index.json"), index.toString());
    assertGolden(folder);
  }

  @Test
  void bfloat16IsNear() {
    List<String> texts = texts();
    try (Classifier exact = Classifier.load(MODEL);
        Classifier narrow =
            Classifier.load(MODEL, new Classifier.LoadOptions().dtype(DType.BFLOAT16))) {
      List<float[]> want = exact.logits(texts, done -> {});
      List<float[]> got = narrow.logits(texts, done -> {});
      double largest = 0;
      for (int i = 0; i < texts.size(); i++) {
        for (int k = 0; k < 2; k++) {
          largest = Math.max(largest, Math.abs(want.get(i)[k] - got.get(i)[k]));
        }
      }
      assertTrue(largest < 0.05, "difference " + largest);
      assertTrue(largest > 0, "bfloat16 rounds");
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 7, 300})
  void aTextsScoreIsItsOwn(int count) {
    List<String> texts = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      texts.add(texts().get(i % GOLDEN.size()));
    }
    Collections.shuffle(texts, new Random(count));
    try (Classifier classifier = Classifier.load(MODEL)) {
      List<Scores> together = classifier.score(texts);
      for (int i = 0; i < texts.size(); i += Math.max(1, count / 20)) {
        Scores alone = classifier.score(List.of(texts.get(i))).getFirst();
        for (String label : classifier.labels()) {
          assertEquals(
              alone.logits().get(label), together.get(i).logits().get(label), 2e-6, "text " + i);
        }
        assertEquals(alone.label(), together.get(i).label());
      }
    }
  }

  @Test
  void labelsAreNames() {
    try (Classifier classifier = Classifier.load(MODEL)) {
      assertEquals(List.of("nothate", "hate"), classifier.labels());
      Scores scores = classifier.score(List.of(texts().getFirst())).getFirst();
      assertEquals(List.of("nothate", "hate"), List.copyOf(scores.logits().keySet()));
      assertEquals("nothate", scores.label());
      double difference = scores.logits().get("hate") - scores.logits().get("nothate");
      assertEquals(1 / (1 + Math.exp(-difference)), scores.probabilities().get("hate"), 1e-12);
      assertEquals(1, scores.probabilities().values().stream().mapToDouble(p -> p).sum(), 1e-12);
      assertTrue(classifier.score(List.of()).isEmpty());
    }
  }

  @Test
  void aLabelMayStandForItself(@TempDir Path folder) throws IOException {
    Path config = copy(folder).resolve("config.json");
    Files.writeString(
        config,
        Files.readString(config)
            .replaceFirst("\\{", "{\"problem_type\": \"multi_label_classification\","));
    try (Classifier classifier = Classifier.load(folder)) {
      Scores scores = classifier.score(List.of("you fool")).getFirst();
      for (String label : classifier.labels()) {
        assertEquals(
            1 / (1 + Math.exp(-scores.logits().get(label))),
            scores.probabilities().get(label),
            1e-12);
      }
    }
  }

  @Test
  void whatIsLongIsCutAndKeepsItsEnd(@TempDir Path folder) throws IOException {
    String text = "good morning ".repeat(200);
    try (Classifier classifier = Classifier.load(MODEL)) {
      assertEquals(128, classifier.maxTokens());
      int[] ids = classifier.encode(text);
      assertEquals(128, ids.length);
      assertEquals(0, ids[0]);
      assertEquals(2, ids[127]);
    }
    copy(folder);
    Files.writeString(folder.resolve("tokenizer_config.json"), "{\"model_max_length\": 20}");
    try (Classifier classifier = Classifier.load(folder)) {
      assertEquals(20, classifier.encode(text).length);
    }
    Files.writeString(
        folder.resolve("tokenizer_config.json"),
        "{\"model_max_length\": 1000000000000000019884624838656}");
    try (Classifier classifier = Classifier.load(folder)) {
      assertEquals(128, classifier.encode(text).length);
    }
  }

  private static void refused(Path folder, String... named) {
    String said =
        assertThrows(InvalidInputException.class, () -> Classifier.load(folder).close())
            .getMessage();
    for (String name : named) {
      assertTrue(said.contains(name), said);
    }
    assertEquals(1, said.lines().count());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"model_type\": \"roberta\"|\"model_type\": \"albert\"|albert|RoBERTa",
        "\"is_decoder\": false|\"is_decoder\": true|is_decoder|reads both ways",
        "\"hidden_act\": \"gelu\"|\"hidden_act\": \"mish\"|hidden_act|mish",
        "\"num_attention_heads\": 4|\"num_attention_heads\": 5|hidden_size|5",
        "\"1\": \"hate\"|\"1\": \"nothate\"|id2label|different name",
        "\"1\": \"hate\"|\"2\": \"hate\"|id2label|1",
        "\"vocab_size\": 600|\"vocab_size\": 500|vocabulary has 500|not of one model",
        "\"vocab_size\": 600|\"vocab_size\": 601|word_embeddings.weight is [600, 64]|[601, 64]",
        "\"hidden_dropout_prob\": 0.0|\"hidden_dropout_prob\": 1.0|hidden_dropout_prob|1.0",
        "\"type_vocab_size\": 1|\"type_vocab_size\": 2|token_type_embeddings|[2, 64]",
      })
  void whatIsNotSupportedIsRefused(
      String before, String after, String named, String too, @TempDir Path folder)
      throws IOException {
    Path config = copy(folder).resolve("config.json");
    String text = Files.readString(config);
    assertTrue(text.contains(before), before);
    Files.writeString(config, text.replace(before, after));
    refused(folder, named, too);
  }

  /**
   * Hand-edited folders have names in id2label and LABEL_0 in label2id, as transformers runs them.
   */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"LABEL_0\": 0, \"LABEL_1\": 1}",
        "{\"nothate\": 1, \"hate\": 0}",
        "{\"hate\": \"one\"}",
        "null"
      })
  void onlyTheNamesOfTheLogitsCount(String ids, @TempDir Path folder) throws IOException {
    Path config = copy(folder).resolve("config.json");
    String text = Files.readString(config);
    String edited =
        text.replaceAll(
            "\"label2id\":\\s*\\{[^}]*}", "\"label2id\": " + Matcher.quoteReplacement(ids));
    assertNotEquals(text, edited);
    Files.writeString(config, edited);
    assertEquals(List.of("nothate", "hate"), EncoderConfig.read(folder).labels());
  }

  @Test
  void missingPartsAreNamed(@TempDir Path folder) throws IOException {
    refused(copy(folder.resolve("a"), "merges.txt"), "has no tokenizer", "merges.txt");
    refused(copy(folder.resolve("b"), "config.json"), "config.json does not exist");
    refused(copy(folder.resolve("c"), "model.safetensors", "pytorch_model.bin"), "has no weights");
    Path bare = copy(folder.resolve("d"), "model.safetensors", "pytorch_model.bin");
    try (Checkpoint whole = Checkpoint.open(MODEL)) {
      SafeTensors.write(
          bare.resolve("model.safetensors"),
          whole.names().stream()
              .filter(name -> !name.startsWith("classifier."))
              .map(whole::get)
              .toList(),
          Map.of());
    }
    refused(bare, "without a classifier", "precis reward");
  }

  @Test
  void weightsThatAreNoNumbersAreRefused(@TempDir Path folder) throws IOException {
    copy(folder, "model.safetensors", "pytorch_model.bin");
    try (Checkpoint whole = Checkpoint.open(MODEL)) {
      List<TensorView> tensors = new ArrayList<>();
      for (String name : whole.names()) {
        TensorView view = whole.get(name);
        if (name.equals("classifier.dense.bias")) {
          float[] values = view.toFloat32();
          values[3] = Float.NaN;
          view =
              new TensorView(
                  name,
                  DType.FLOAT32,
                  view.shape(),
                  java.lang.foreign.MemorySegment.ofArray(values));
        }
        tensors.add(view);
      }
      SafeTensors.write(folder.resolve("model.safetensors"), tensors, Map.of());
    }
    String said =
        assertThrows(InvalidInputException.class, () -> Classifier.load(folder).close())
            .getMessage();
    assertTrue(said.contains("classifier.dense.bias") && said.contains("element 3"), said);
  }
}
