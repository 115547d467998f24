package dev.precis.encoder;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Classifier;
import dev.precis.Fixtures;
import dev.precis.device.DeviceOptions;
import dev.precis.evaluation.TextPair;
import dev.precis.io.InvalidInputException;
import dev.precis.tensor.DType;
import dev.precis.training.TrainableEncoder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A DeBERTa's relative positions, and the configurations that are not read. */
class DebertaTest {
  private static final Path ENCODERS = Fixtures.resource("encoders");

  @TempDir Path folder;

  /** Copies deberta-v3-tiny with another setting. */
  private Path with(String key, String value) throws IOException {
    for (String file :
        List.of("model.safetensors", "tokenizer.json", "tokenizer_config.json", "config.json")) {
      Files.copy(ENCODERS.resolve("deberta-v3-tiny").resolve(file), folder.resolve(file));
    }
    Path config = folder.resolve("config.json");
    String json =
        Files.readString(config)
            .replaceFirst("\"" + key + "\":\\s*(?:\\[[^\\]]*\\]|[^,\\[]*),", "");
    Files.writeString(config, json.replaceFirst("\\{", "{\"" + key + "\": " + value + ","));
    return folder;
  }

  @Test
  void rowsAreThoseOfTransformers() {
    JsonNode golden = JsonMapper.shared().readTree(ENCODERS.resolve("deberta-rows.json").toFile());
    assertEquals(8, golden.size());
    for (Map.Entry<String, JsonNode> each : golden.properties()) {
      int comma = each.getKey().indexOf(',');
      int buckets = Integer.parseInt(each.getKey().substring(0, comma));
      int most = Integer.parseInt(each.getKey().substring(comma + 1));
      RelativePositions positions =
          new RelativePositions(buckets, most, true, true, true, true, false);
      for (int i = 0; i < each.getValue().size(); i++) {
        int distance = i - most - 3;
        assertEquals(
            each.getValue().get(i).intValue(),
            positions.row(distance),
            each.getKey() + ": " + distance);
      }
    }
  }

  @Test
  void everyDistanceHasARowOfItsOwnWithoutBuckets() {
    RelativePositions positions = new RelativePositions(0, 5, false, true, true, false, false);
    assertEquals(
        List.of(0, 0, 1, 4, 5, 6, 9, 9),
        List.of(-7, -5, -4, -1, 0, 1, 4, 7).stream().map(positions::row).toList());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "conv_kernel_size ; 3 ; conv_kernel_size",
        "relative_attention ; false ; relative_attention",
        "pos_att_type ; \"c2p|p2p\" ; c2p, p2c or both",
        "pooler_hidden_act ; \"tanh\" ; pooler_hidden_act",
        "embedding_size ; 8 ; embedding_size",
        "attention_head_size ; 4 ; attention_head_size",
        "position_buckets ; 1 ; position_buckets",
        "max_relative_positions ; 7 ; position_buckets",
        "is_decoder ; true ; is_decoder"
      },
      quoteCharacter = '\'')
  void whatIsNotSupportedIsNamed(String key, String value, String named) throws IOException {
    with(key, value);
    String said =
        assertThrows(InvalidInputException.class, () -> Classifier.load(folder).close())
            .getMessage();
    assertTrue(said.contains(named) && said.contains("config.json"), said);
  }

  @Test
  void aDebertaIsNotTrained() {
    TrainableEncoder.Options options =
        new TrainableEncoder.Options(List.of("a", "b"), DType.FLOAT32, 0, 1, to -> {});
    String said =
        assertThrows(
                InvalidInputException.class,
                () ->
                    TrainableEncoder.of(
                            ENCODERS.resolve("deberta-v3-tiny"), options, new DeviceOptions())
                        .close())
            .getMessage();
    assertTrue(said.contains("cannot be trained"), said);
  }

  /** Reads the same text shorter or longer than the table of distances reaches, in one batch. */
  @Test
  void bfloat16IsCloseAndABatchChangesNoBit() {
    Path model = ENCODERS.resolve("deberta-v3-tiny");
    List<TextPair> pairs =
        List.of(
            new TextPair("anna lost the cat", "the cat is lost"),
            new TextPair("a b c ".repeat(9), "the end"),
            new TextPair("", "bob"));
    try (Classifier exact = Classifier.load(model);
        Classifier half =
            Classifier.load(model, new Classifier.LoadOptions().dtype(DType.BFLOAT16))) {
      List<float[]> want = exact.pairLogits(pairs, done -> {});
      List<float[]> got = half.pairLogits(pairs, done -> {});
      for (int i = 0; i < pairs.size(); i++) {
        float[] alone = exact.pairLogits(List.of(pairs.get(i)), done -> {}).getFirst();
        for (int k = 0; k < want.get(i).length; k++) {
          assertEquals(want.get(i)[k], alone[k]);
          assertEquals(want.get(i)[k], got.get(i)[k], 0.1);
        }
      }
    }
  }
}
