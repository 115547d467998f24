package dev.precis.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.io.InvalidInputException;
import dev.precis.tensor.DType;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.zip.ZipEntry;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class PeftAdapterTest {
  private static final String Q = "base_model.model.encoder.q";
  private static final String CONFIG =
      "{'peft_type':'LORA','r':2,'lora_alpha':6,'target_modules':['q','v']";

  @TempDir Path folder;

  private static TensorView matrix(String name, int rows, int columns) {
    float[] values = new float[rows * columns];
    for (int i = 0; i < values.length; i++) {
      values[i] = i;
    }
    return new TensorView(
        name, DType.FLOAT32, new long[] {rows, columns}, MemorySegment.ofArray(values));
  }

  private void write(String config, TensorView... tensors) throws IOException {
    Files.writeString(folder.resolve("adapter_config.json"), config.replace('\'', '"'));
    SafeTensors.write(
        folder.resolve("adapter_model.safetensors"), List.of(tensors), Map.of("format", "pt"));
  }

  private void writeGood(String config) throws IOException {
    write(config, matrix(Q + ".lora_A.weight", 2, 4), matrix(Q + ".lora_B.weight", 3, 2));
  }

  private String refusal() {
    return assertThrows(InvalidInputException.class, () -> PeftAdapter.open(folder).close())
        .getMessage();
  }

  @Test
  void readsWhatPeftWrote() {
    try (PeftAdapter adapter =
        PeftAdapter.open(Fixtures.resource("fixtures/t5-tiny-lora-after20"))) {
      assertEquals(8, adapter.rank());
      assertEquals(16, adapter.alpha());
      assertEquals(0, adapter.dropout());
      assertEquals(Optional.of("t5-tiny"), adapter.baseModel());
      assertEquals(Set.of("q", "v"), Set.copyOf(adapter.targetModules()));
      // 3 encoder layers, 3 decoder layers with self- and cross-attention, q and v of each.
      assertEquals(18, adapter.modules().size());
      PeftAdapter.Module q = adapter.modules().get("encoder.block.0.layer.0.SelfAttention.q");
      assertEquals(64, q.in());
      assertEquals(96, q.out());
      assertEquals(8, q.rank());
      assertEquals(2.0, q.scaling());
      assertArrayEquals(new long[] {8, 64}, q.a().shape());
      assertArrayEquals(new long[] {96, 8}, q.b().shape());
    }
  }

  @Test
  void readsOldBinFilesAndAdapterNames() throws IOException {
    Files.writeString(
        folder.resolve("adapter_config.json"), (CONFIG + ",'bias':'none'}").replace('\'', '"'));
    PickleBytes.save(
        folder.resolve("adapter_model.bin"),
        List.of(
            matrix(Q + ".lora_A.default.weight", 2, 4), matrix(Q + ".lora_B.default.weight", 3, 2)),
        ZipEntry.STORED);
    try (PeftAdapter adapter = PeftAdapter.open(folder)) {
      assertEquals(Set.of("encoder.q"), adapter.modules().keySet());
      assertEquals(3.0, adapter.modules().get("encoder.q").scaling());
      assertArrayEquals(
          new float[] {0, 1, 2, 3, 4, 5}, adapter.modules().get("encoder.q").b().toFloat32());
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{'q':4} | {} | false | 4 | 1.5",
        "{'encoder.q':4} | {'q':8} | false | 4 | 2",
        "{'^encoder\\\\.q':4,'q':9} | {} | false | 4 | 1.5",
        "{'q':4} | {} | true | 4 | 3",
        "{'coder.q':4} | {'encoder':8} | false | 2 | 3",
      })
  void honoursPatterns(String ranks, String alphas, boolean rslora, int rank, double scaling)
      throws IOException {
    write(
        CONFIG
            + ",'use_rslora':%s,'rank_pattern':%s,'alpha_pattern':%s}"
                .formatted(rslora, ranks, alphas),
        matrix(Q + ".lora_A.weight", rank, 4),
        matrix(Q + ".lora_B.weight", 3, rank));
    try (PeftAdapter adapter = PeftAdapter.open(folder)) {
      PeftAdapter.Module q = adapter.modules().get("encoder.q");
      assertEquals(rank, q.rank());
      assertEquals(scaling, q.scaling(), 1e-12);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "'use_dora':true",
        "'use_qalora':true",
        "'lora_bias':true",
        "'bias':'some'",
        "'modules_to_save':['lm_head']",
        "'trainable_token_indices':[1]",
        "'layer_replication':[[0,4]]",
        "'target_parameters':['x']",
        "'kasa_config':{'beta':1}",
        "'init_lora_weights':'pissa_niter_4'",
        "'init_lora_weights':'olora'",
        "'lora_dropout':1.0",
        "'lora_dropout':-0.1",
        "'lora_dropout':'x'",
        "'rank_pattern':{'q':0}",
        "'use_rslora':3"
      })
  void refusesWhatItCannotHonour(String setting) throws IOException {
    writeGood(CONFIG + "," + setting + "}");
    String message = refusal();
    String key = setting.substring(1, setting.indexOf('\'', 1));
    assertTrue(message.contains("adapter_config.json") && message.contains(key), message);
  }

  @ParameterizedTest
  @ValueSource(strings = {"all", "lora_only"})
  void biasesChangeNothingWhereThereAreNone(String bias) throws IOException {
    writeGood(CONFIG + ",'bias':'" + bias + "'}");
    PeftAdapter.open(folder).close();
    write(
        CONFIG + ",'bias':'" + bias + "'}",
        matrix(Q + ".lora_A.weight", 2, 4),
        matrix(Q + ".lora_B.weight", 3, 2),
        matrix(Q + ".bias", 3, 1));
    assertTrue(refusal().contains("trained biases are not supported"), refusal());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "_orig_mod.base_model.model.",
        "module.base_model.model.",
        "pretrained_model.base_model.model.",
        "module._orig_mod.base_model.model.",
        "base_model.model.base_model.model.",
        "base_model.model.model.",
        "my_own."
      })
  void prefixesAreRemoved(String prefix) throws IOException {
    String q = "encoder.block.0.layer.0.SelfAttention.q";
    write(
        CONFIG + "}",
        matrix(prefix + q + ".lora_A.my_adapter.weight", 2, 4),
        matrix(prefix + q + ".lora_B.my_adapter.weight", 3, 2));
    try (PeftAdapter adapter = PeftAdapter.open(folder)) {
      assertEquals(Set.of(q), adapter.modules().keySet());
    }
  }

  @Test
  void refusesTwoAdaptersInOneFile() throws IOException {
    write(
        CONFIG + "}",
        matrix(Q + ".lora_A.one.weight", 2, 4),
        matrix(Q + ".lora_B.one.weight", 3, 2),
        matrix("base_model.model.encoder.v.lora_A.two.weight", 2, 4),
        matrix("base_model.model.encoder.v.lora_B.two.weight", 3, 2));
    assertTrue(refusal().contains("one, two"), refusal());
  }

  @Test
  void acceptsWhatChangesNothing() throws IOException {
    writeGood(
        CONFIG
            + ",'use_dora':false,'modules_to_save':null,'loftq_config':{},'layers_pattern':null,"
            + "'init_lora_weights':'gaussian','target_parameters':[],'bias':'none',"
            + "'fan_in_fan_out':true,'exclude_modules':['k'],'lora_dropout':0.05,'layers_to_transform':[0],'unknown_future_key':null}");
    try (PeftAdapter adapter = PeftAdapter.open(folder)) {
      assertEquals(0.05, adapter.dropout());
    }
  }

  @Test
  void takesARegularExpressionForTargets() throws IOException {
    writeGood(CONFIG.replace("['q','v']", "'.*encoder.*q'") + "}");
    try (PeftAdapter adapter = PeftAdapter.open(folder)) {
      assertEquals(List.of(".*encoder.*q"), adapter.targetModules());
    }
  }

  @Test
  void refusesTensorsThatDoNotFit() throws IOException {
    TensorView a = matrix(Q + ".lora_A.weight", 2, 4);
    TensorView b = matrix(Q + ".lora_B.weight", 3, 2);
    write(CONFIG + "}", a);
    assertTrue(refusal().contains("lora_A but no lora_B for module encoder.q"));
    write(CONFIG + "}", b);
    assertTrue(refusal().contains("lora_B but no lora_A for module encoder.q"));
    write(CONFIG + "}");
    assertTrue(refusal().contains("holds no tensors"));
    write(CONFIG + "}", matrix(Q + ".lora_A.weight", 3, 4), matrix(Q + ".lora_B.weight", 3, 3));
    assertTrue(refusal().contains("rank 3 in lora_A and 3 in lora_B"));
    write(CONFIG + "}", a, matrix(Q + ".lora_B.weight", 3, 5));
    assertTrue(refusal().contains("rank 2 in lora_A and 5 in lora_B"));
    write(CONFIG + "}", a, b, matrix(Q + ".lora_magnitude_vector", 1, 1));
    assertTrue(refusal().contains("lora_magnitude_vector"));
    write(CONFIG + "}", a, b, matrix(Q + ".lora_A.default.weight", 2, 4));
    assertTrue(refusal().contains("two names"));
    TensorView flat =
        new TensorView(
            Q + ".lora_A.weight",
            DType.FLOAT32,
            new long[] {8},
            MemorySegment.ofArray(new float[8]));
    write(CONFIG + "}", flat, b);
    assertTrue(refusal().contains("shape [8], where a matrix is needed"));
  }

  @Test
  void refusesFoldersThatAreNoAdapter() throws IOException {
    assertTrue(refusal().endsWith("adapter_config.json is missing"));
    Path inside = Files.createDirectory(folder.resolve("adapter"));
    Files.createFile(inside.resolve("adapter_config.json"));
    assertTrue(refusal().endsWith("it looks like the folder of a run: give " + inside));
    Files.writeString(folder.resolve("adapter_config.json"), "{\"peft_type\":\"LORA\"}");
    assertTrue(refusal().contains("has no weights"));
    writeGood("{'peft_type':'LOHA'}");
    assertTrue(refusal().contains("but is \"LOHA\""));
    writeGood("{'peft_type':'IA3'}");
    assertTrue(refusal().contains("neither an ia3_l vector nor"));
    writeGood("{'peft_type':'LORA','lora_alpha':1}");
    assertTrue(refusal().contains("has no \"r\""));
    writeGood(CONFIG + ",\n 'x': }");
    assertTrue(refusal().contains("line 2, column"));
  }

  /** A regular expression that a backtracking matcher would follow for years. */
  @Test
  void refusesEndlessPatterns() throws IOException {
    write(
        CONFIG + ",'rank_pattern':{'(.*)(.*)(.*)(.*)(.*)(.*)b':4}}",
        matrix("a".repeat(60) + ".lora_A.weight", 2, 4),
        matrix("a".repeat(60) + ".lora_B.weight", 3, 2));
    assertTrue(refusal().contains("takes too long"));
    writeGood(CONFIG + ",'rank_pattern':{'(':4}}");
    assertTrue(refusal().contains("not a regular expression"));
  }
}
