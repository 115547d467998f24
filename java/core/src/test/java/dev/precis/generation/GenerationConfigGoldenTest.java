package dev.precis.generation;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.T5;
import dev.precis.checkpoint.GenerationKey;
import dev.precis.tensor.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** The settings of a model's folder against transformers 5.17, token for token. */
class GenerationConfigGoldenTest {
  private static final JsonNode GOLDEN =
      JsonMapper.shared().readTree(Fixtures.resource("generation/generation_config.json").toFile());

  @TempDir Path temporary;

  private Path folder(ObjectNode config, JsonNode generation) throws IOException {
    Path folder = Files.createDirectories(temporary.resolve("model"));
    try (Stream<Path> files = Files.list(Fixtures.folder("t5-tiny"))) {
      for (Path file : files.toList()) {
        Path copy = folder.resolve(file.getFileName());
        if (!Files.exists(copy)) {
          Files.copy(file, copy);
        }
      }
    }
    Files.writeString(folder.resolve("config.json"), config.toString());
    Path settings = folder.resolve("generation_config.json");
    Files.deleteIfExists(settings);
    if (generation != null) {
      Files.writeString(settings, generation.toString());
    }
    return folder;
  }

  private static ObjectNode config() {
    Path file = Fixtures.folder("t5-tiny").resolve("config.json");
    return (ObjectNode) JsonMapper.shared().readTree(file.toFile());
  }

  private static List<int[]> sources() {
    List<int[]> sources = new ArrayList<>();
    for (JsonNode source : GOLDEN.get("sources")) {
      int[] tokens = new int[source.size()];
      Arrays.setAll(tokens, i -> source.get(i).intValue());
      sources.add(tokens);
    }
    return sources;
  }

  private static void expect(JsonNode golden, T5 t5, int batchSize) {
    List<List<GeneratedTokens>> all =
        t5.generateTokens(sources(), t5.defaultOptions(), batchSize, null);
    for (int i = 0; i < all.size(); i++) {
      JsonNode results = golden.get("results").get(i);
      assertEquals(results.size(), all.get(i).size());
      for (int j = 0; j < results.size(); j++) {
        GeneratedTokens got = all.get(i).get(j);
        int[] want = new int[results.get(j).get("tokens").size()];
        for (int n = 0; n < want.length; n++) {
          want[n] = results.get(j).get("tokens").get(n).intValue();
        }
        String what = golden.get("settings") + ", source " + i + ", result " + j;
        assertArrayEquals(want, got.tokens(), () -> what + ": " + Arrays.toString(got.tokens()));
        float score = results.get(j).get("score").floatValue();
        assertEquals(score, got.score(), 2e-4 * Math.max(1, Math.abs(score)), what);
      }
    }
  }

  @Test
  void fileIsFollowedInBatchesOfAnySize() throws IOException {
    assertTrue(GOLDEN.get("cases").size() > 60);
    Set<JsonNode> different = new HashSet<>();
    for (JsonNode each : GOLDEN.get("cases")) {
      Path folder = folder(config(), each.get("settings"));
      try (T5 t5 = T5.load(folder, new T5.LoadOptions().dtype(DType.FLOAT32))) {
        for (int batchSize : new int[] {8, 1, 3}) {
          expect(each, t5, batchSize);
        }
      }
      different.add(each.get("results"));
    }
    // The settings change something: few of them give what others give.
    assertTrue(different.size() > 45, "only " + different.size() + " different results");
  }

  @Test
  void olderFoldersHaveTheSameKeysInConfigJson() throws IOException {
    for (JsonNode each : GOLDEN.get("cases")) {
      ObjectNode config = config();
      config.remove(List.of("decoder_start_token_id", "eos_token_id", "pad_token_id"));
      config.setAll((ObjectNode) each.get("settings"));
      try (T5 t5 = T5.load(folder(config, null), new T5.LoadOptions().dtype(DType.FLOAT32))) {
        expect(each, t5, 4);
      }
    }
  }

  @Test
  void generationConfigJsonReplacesTheKeysInConfigJson() throws IOException {
    JsonNode plain = GOLDEN.get("cases").get(0);
    ObjectNode config = config().put("num_beams", 4).put("repetition_penalty", 3.0);
    Path folder = folder(config, plain.get("settings"));
    try (T5 t5 = T5.load(folder, new T5.LoadOptions().dtype(DType.FLOAT32))) {
      expect(plain, t5, 4);
      List<String> ignored =
          t5.defaults().apply(GenerationOptions.builder(), key -> false).ignored();
      assertEquals(
          List.of("num_beams of config.json", "repetition_penalty of config.json"), ignored);
    }
  }

  @Test
  void fileCanBeIgnored() throws IOException {
    JsonNode plain = GOLDEN.get("cases").get(0);
    Path folder =
        folder(
            config(),
            JsonMapper.shared()
                .readTree("{\"eos_token_id\": [17], \"decoder_start_token_id\": 55}"));
    T5.LoadOptions options = new T5.LoadOptions().dtype(DType.FLOAT32).generationConfig(false);
    try (T5 t5 = T5.load(folder, options)) {
      assertEquals(List.of(1), t5.config().eosTokenIds());
      assertEquals(GenerationOptions.DEFAULT, t5.defaultOptions());
      List<List<GeneratedTokens>> all =
          t5.generateTokens(
              sources(), GenerationOptions.builder().maxNewTokens(24).build(), 4, null);
      assertEquals(
          plain.get("results").get(0).get(0).get("tokens").size(),
          all.getFirst().getFirst().tokens().length);
    }
  }

  @Test
  void everyPublishedKeyIsInTheTable() {
    Set<String> published = new HashSet<>();
    for (JsonNode key : GOLDEN.get("keys")) {
      published.add(key.stringValue());
      assertNotNull(GenerationKey.of(key.stringValue()), key + " is neither followed nor named");
    }
    for (GenerationKey key : GenerationKey.ALL) {
      assertTrue(published.contains(key.name()), key.name() + " is no published key");
    }
    assertEquals(published.size(), GenerationKey.ALL.size());
  }

  @Test
  void everyFollowedKeyHasAGolden() {
    Set<String> tried = new HashSet<>();
    for (JsonNode each : GOLDEN.get("cases")) {
      tried.addAll(each.get("settings").propertyNames());
    }
    for (GenerationKey key : GenerationKey.ALL) {
      if (key.treatment() == GenerationKey.Treatment.FOLLOWED) {
        assertTrue(tried.contains(key.name()), key.name());
      }
    }
  }
}
