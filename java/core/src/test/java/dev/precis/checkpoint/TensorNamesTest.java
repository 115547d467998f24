package dev.precis.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Notes;
import dev.precis.t5.T5Config;
import dev.precis.t5.T5Weights;
import dev.precis.tensor.DType;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.zip.ZipEntry;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Tensors under the names that programs give them come out under the model's. */
class TensorNamesTest {
  private static final Path T5 = Fixtures.folder("t5-tiny");
  private static final Path TIED = Fixtures.folder("t5-tiny-v1.0");

  @TempDir Path folder;

  @AfterEach
  void noListener() {
    Notes.listener(null);
  }

  /** Writes a copy of a model with other names; a name that becomes null is left out. */
  private void write(
      Path from, UnaryOperator<String> name, Map<String, String> metadata, TensorView... extra)
      throws IOException {
    Files.writeString(folder.resolve("config.json"), Files.readString(from.resolve("config.json")));
    try (Checkpoint checkpoint = Checkpoint.open(from)) {
      List<TensorView> tensors = new ArrayList<>(List.of(extra));
      for (String each : checkpoint.names()) {
        TensorView view = checkpoint.get(each);
        if (name.apply(each) != null) {
          tensors.add(new TensorView(name.apply(each), view.dtype(), view.shape(), view.data()));
        }
      }
      SafeTensors.write(folder.resolve("model.safetensors"), tensors, metadata);
    }
  }

  private static TensorView tensor(String name, float... values) {
    return new TensorView(
        name, DType.FLOAT32, new long[] {values.length}, MemorySegment.ofArray(values));
  }

  private void assertIs(Path original) {
    try (Checkpoint want = Checkpoint.open(original);
        Checkpoint got = Checkpoint.open(folder)) {
      for (String name : want.names()) {
        assertTrue(got.contains(name), name + " is missing");
        assertEquals(-1, want.get(name).data().mismatch(got.get(name).data()), name);
      }
    }
  }

  private String refusal() {
    return assertThrows(
            InvalidInputException.class,
            () -> {
              try (Checkpoint checkpoint = Checkpoint.open(folder)) {
                checkpoint.get("shared.weight");
              }
            })
        .getMessage();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "module.",
        "_orig_mod.",
        "pretrained_model.",
        "model.",
        "base_model.model.",
        "transformer.",
        "module._orig_mod.pretrained_model.",
        "_orig_mod.module.",
        "my_own.t5."
      })
  void prefixesAreRemoved(String prefix) throws IOException {
    write(T5, name -> prefix + name, Map.of());
    assertIs(T5);
    write(Fixtures.folder("roberta-tiny"), name -> prefix + name, Map.of());
    assertIs(Fixtures.folder("roberta-tiny"));
  }

  @ParameterizedTest
  @CsvSource({
    "encoder.block.0., encoder._orig_mod.block.0.",
    "decoder.block.1., decoder.block.1._checkpoint_wrapped_module.",
    "lm_head.weight, lm_head.0.weight",
    "SelfAttention.q.weight, SelfAttention.q.base_layer.weight",
  })
  void namesAreChangedInside(String part, String changed) throws IOException {
    write(T5, name -> name.replace(part, changed), Map.of("format", "pt"));
    assertIs(T5);
  }

  @Test
  void oldNormsAndAnEncoderAloneAreRead() throws IOException {
    Path roberta = Fixtures.folder("roberta-tiny");
    write(
        roberta,
        name ->
            name.replaceFirst("^roberta\\.", "")
                .replace("LayerNorm.weight", "LayerNorm.gamma")
                .replace("LayerNorm.bias", "LayerNorm.beta"),
        Map.of());
    assertIs(roberta);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "encoder.embed_tokens.weight",
        "decoder.embed_tokens.weight",
        "lm_head.weight",
        "pretrained_model.decoder.embed_tokens.weight"
      })
  void theEmbeddingHasFourNames(String name) throws IOException {
    write(TIED, each -> each.equals("shared.weight") ? name : each, Map.of("format", "pt"));
    assertIs(TIED);
  }

  @Test
  void theMetadataOfSaveModelNamesAliases() throws IOException {
    String kept = "decoder.embed_tokens.weight";
    write(
        T5,
        each -> each.equals("shared.weight") ? kept : each.equals("lm_head.weight") ? null : each,
        Map.of("shared.weight", kept, "lm_head.weight", kept));
    try (Checkpoint checkpoint = Checkpoint.open(folder);
        Checkpoint original = Checkpoint.open(T5)) {
      MemorySegment want = original.get("shared.weight").data();
      assertEquals(-1, want.mismatch(checkpoint.get("shared.weight").data()));
      assertEquals(-1, want.mismatch(checkpoint.get("lm_head.weight").data()));
    }
  }

  @Test
  void anUntiedOutputLayerIsNoEmbedding() throws IOException {
    write(T5, each -> each.equals("shared.weight") ? null : each, Map.of());
    assertTrue(refusal().contains("has no tensor shared.weight"), refusal());
  }

  @Test
  void twoTensorsOfOneNameMustBeTheSame() throws IOException {
    String norm = "encoder.final_layer_norm.weight";
    float[] values;
    try (Checkpoint checkpoint = Checkpoint.open(T5)) {
      values = checkpoint.get(norm).toFloat32();
    }
    write(T5, each -> each, Map.of(), tensor("ref_model." + norm, values));
    assertIs(T5);
    values[3] += 1;
    write(T5, each -> each, Map.of(), tensor("ref_model." + norm, values));
    assertTrue(refusal().contains("ref_model." + norm) && refusal().contains("differ"), refusal());
    write(T5, each -> each, Map.of(), tensor("decoder.embed_tokens.weight", 1, 2));
    assertTrue(refusal().contains("decoder.embed_tokens.weight"), refusal());
  }

  @Test
  void whatIsNotReadIsNamedOnce() throws IOException {
    write(
        T5,
        each -> each,
        Map.of(),
        tensor("v_head.summary.weight", 1),
        tensor("encoder.block.0.total_ops", 1));
    List<String> notes = new ArrayList<>();
    Notes.listener(notes::add);
    for (int i = 0; i < 2; i++) {
      try (Checkpoint checkpoint = Checkpoint.open(folder)) {
        T5Weights.noteUnused(checkpoint, T5Config.read(folder));
      }
    }
    assertEquals(1, notes.size(), notes.toString());
    assertTrue(notes.getFirst().contains("holds v_head.summary.weight, which"), notes.toString());
  }

  @ParameterizedTest
  @CsvSource({
    "SelfAttention.q.weight, SelfAttention.q.lora_A.default.weight",
    "lm_head.weight, lm_head.modules_to_save.default.weight"
  })
  void aModelWithAdaptersThatAreNotMergedIsNamedAsSuch(String name, String changed)
      throws IOException {
    write(T5, each -> "base_model.model." + each.replace(name, changed), Map.of());
    assertTrue(refusal().contains("merge_and_unload()"), refusal());
  }

  @Test
  void theCommonPrefixExplainsWhatIsNoT5() throws IOException {
    Files.copy(T5.resolve("config.json"), folder.resolve("config.json"));
    SafeTensors.write(
        folder.resolve("model.safetensors"),
        List.of(tensor("gpt.h.0.attn.weight", 1), tensor("gpt.h.1.attn.weight", 1)),
        Map.of());
    assertTrue(refusal().contains("begin with \"gpt.h.\""), refusal());
  }

  private void writeBin(PickleBytes pickle, Map<String, byte[]> storages) throws IOException {
    Files.copy(T5.resolve("config.json"), folder.resolve("config.json"));
    PickleBytes.zip(folder.resolve("pytorch_model.bin"), pickle.stop(), storages, ZipEntry.STORED);
  }

  private static PickleBytes entry(PickleBytes to, String name, String key) {
    return to.text(name).tensor("FloatStorage", key, 2, 0, new long[] {2}, new long[] {1});
  }

  @ParameterizedTest
  @ValueSource(strings = {"state_dict", "model", "model_state_dict", "module"})
  void aStateDictMayBeInsideAnother(String wrapper) throws IOException {
    PickleBytes pickle = new PickleBytes().op('}').op('(').text("epoch").number(3).text(wrapper);
    entry(pickle.op('}').op('('), "module.shared.weight", "0").op('u').op('u');
    writeBin(pickle, Map.of("0", new byte[8]));
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      assertEquals(2, checkpoint.get("shared.weight").elements());
      assertFalse(checkpoint.contains("epoch"));
    }
  }

  @Test
  void twoStateDictsAreAmbiguous() throws IOException {
    PickleBytes pickle = new PickleBytes().op('}').op('(').text("model");
    entry(pickle.op('}').op('('), "shared.weight", "0").op('u').text("state_dict");
    entry(pickle.op('}').op('('), "shared.weight", "1").op('u').op('u');
    Map<String, byte[]> storages = new LinkedHashMap<>();
    storages.put("0", new byte[8]);
    storages.put("1", new byte[8]);
    writeBin(pickle, storages);
    assertTrue(refusal().contains("\"model\"") && refusal().contains("\"state_dict\""), refusal());
  }

  @Test
  void aDictionaryWithoutTensorsNamesItsEntries() throws IOException {
    writeBin(
        new PickleBytes().op('}').op('(').text("epoch").number(3).text("lr").number(1).op('u'),
        Map.of());
    assertTrue(refusal().contains("\"epoch\", \"lr\""), refusal());
  }
}
