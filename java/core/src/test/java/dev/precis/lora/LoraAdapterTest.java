package dev.precis.lora;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.checkpoint.Checkpoint;
import dev.precis.checkpoint.PeftAdapter;
import dev.precis.device.DeviceOptions;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.ops.Ops;
import dev.precis.tensor.DType;
import dev.precis.training.TrainableT5;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LoraAdapterTest {
  private static final Path MODEL = Fixtures.folder("t5-tiny");

  private static LoraConfig config(int rank, String... targets) {
    return new LoraConfig(rank, 16, 0.1f, List.of(targets), false);
  }

  private static TrainableT5 trainable(LoraConfig config) {
    return TrainableT5.lora(MODEL, config, DType.FLOAT32, 0, 3, new DeviceOptions().threads(1));
  }

  @Test
  void writesTheBytesThatPeftWrites(@TempDir Path folder) throws IOException {
    Path from = Fixtures.folder("t5-tiny-lora");
    try (TrainableT5 t5 =
        TrainableT5.loraFrom(MODEL, from, 0, DType.FLOAT32, 0, new DeviceOptions().threads(1))) {
      t5.write(folder);
    }
    assertArrayEquals(
        Files.readAllBytes(from.resolve("adapter_model.safetensors")),
        Files.readAllBytes(folder.resolve("adapter_model.safetensors")));
    JsonObject want = Json.readObject(from.resolve("adapter_config.json"));
    JsonObject got = Json.readObject(folder.resolve("adapter_config.json"));
    for (String key : got.keys()) {
      if (!key.equals("base_model_name_or_path") && !key.equals("target_modules")) {
        assertEquals(want.node().get(key), got.node().get(key), key);
      }
    }
    assertEquals(2, got.texts("target_modules").size());
    try (PeftAdapter again = PeftAdapter.open(folder)) {
      assertEquals(18, again.modules().size());
    }
  }

  @Test
  void aNewAdapterChangesNothingAndIsDrawnFromTheSeed() {
    try (TrainableT5 t5 = trainable(config(4, "q", "wo"));
        TrainableT5 same = trainable(config(4, "q", "wo"))) {
      assertEquals(9 + 6, t5.adapter().modules().size());
      assertEquals(9 * 4 * (64 + 96) + 6 * 4 * (160 + 64), t5.parameters().count());
      for (Parameter parameter : t5.parameters().all()) {
        float[] values = parameter.value().memory().toArray(ValueLayout.JAVA_FLOAT);
        double bound = 1 / Math.sqrt(parameter.value().columns());
        double squares = 0;
        for (float value : values) {
          assertTrue(Math.abs(value) <= bound);
          squares += value * value;
        }
        if (parameter.name().endsWith("lora_B.weight")) {
          assertEquals(0, squares);
        } else {
          // The variance of a uniform distribution.
          assertEquals(bound * bound / 3, squares / values.length, 0.2 * bound * bound / 3);
        }
        assertArrayEquals(
            values,
            same.parameters()
                .find(parameter.name())
                .value()
                .memory()
                .toArray(ValueLayout.JAVA_FLOAT));
      }
    }
  }

  @Test
  void modulesAreChosenAsPeftDoes() {
    LoraConfig names = config(1, "q", "SelfAttention.v");
    assertTrue(names.targets("encoder.block.0.layer.0.SelfAttention.q"));
    assertTrue(names.targets("decoder.block.1.layer.1.EncDecAttention.q"));
    assertTrue(names.targets("encoder.block.0.layer.0.SelfAttention.v"));
    assertTrue(!names.targets("decoder.block.1.layer.1.EncDecAttention.v"));
    LoraConfig pattern = config(1, ".*\\.[01]\\.layer.*SelfAttention\\.(q|o)");
    assertTrue(pattern.targets("encoder.block.0.layer.0.SelfAttention.o"));
    assertTrue(!pattern.targets("encoder.block.2.layer.0.SelfAttention.o"));
    LoraConfig all = config(1, "all-linear");
    assertTrue(all.targets("encoder.block.0.layer.1.DenseReluDense.wi_0"));
    assertTrue(!all.targets("lm_head"));
    try (TrainableT5 tied =
        TrainableT5.lora(
            Fixtures.folder("t5-tiny-v1.0"),
            all,
            DType.FLOAT32,
            0,
            3,
            new DeviceOptions().threads(1))) {
      assertEquals(3 * 6 + 3 * 10, tied.adapter().modules().size());
    }
    assertEquals(4, new LoraConfig(16, 16, 0, List.of("q"), true).scaling());
  }

  @Test
  void whatCannotBeIsRefused() {
    String nothing =
        assertThrows(InvalidInputException.class, () -> trainable(config(4, "query"))).getMessage();
    assertTrue(nothing.contains("query") && nothing.contains("wi_0"), nothing);
    assertThrows(InvalidInputException.class, () -> trainable(config(4, "lm_head")));
    assertThrows(InvalidInputException.class, () -> config(0, "q"));
    assertThrows(InvalidInputException.class, () -> config(4, ".*(").targets("a"));
    assertThrows(
        InvalidInputException.class, () -> new LoraConfig(4, Float.NaN, 0, List.of("q"), false));
    String other =
        assertThrows(
                InvalidInputException.class,
                () ->
                    TrainableT5.loraFrom(
                            Fixtures.folder("t5-tiny-v1.0"),
                            otherShape(),
                            0,
                            DType.FLOAT32,
                            0,
                            new DeviceOptions().threads(1))
                        .close())
            .getMessage();
    assertTrue(other.contains("another model"), other);
  }

  /** The fixture's adapter with names that no T5 has. */
  private static Path otherShape() {
    try {
      Path folder = Files.createTempDirectory("adapter");
      Path from = Fixtures.folder("t5-tiny-lora");
      Files.copy(from.resolve("adapter_config.json"), folder.resolve("adapter_config.json"));
      byte[] bytes = Files.readAllBytes(from.resolve("adapter_model.safetensors"));
      String text = new String(bytes, StandardCharsets.ISO_8859_1);
      Files.write(
          folder.resolve("adapter_model.safetensors"),
          text.replace("block.2.layer.0.SelfAttention", "block.7.layer.0.SelfAttention")
              .getBytes(StandardCharsets.ISO_8859_1));
      return folder;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void mergedWeightsAreThoseOfPeft(@TempDir Path folder) {
    Path to = folder.resolve("merged");
    try (Ops ops = Ops.open(new DeviceOptions().threads(2))) {
      int changed =
          LoraMerge.merge(MODEL, List.of(Fixtures.folder("t5-tiny-lora-after20")), to, ops);
      assertEquals(18, changed);
    }
    try (Checkpoint got = Checkpoint.open(to);
        Checkpoint want = Checkpoint.open(Fixtures.folder("t5-tiny-merged"))) {
      assertTrue(got.names().containsAll(want.names()));
      for (String name : want.names()) {
        double error =
            Fixtures.relativeError(got.get(name).toFloat32(), want.get(name).toFloat32());
        assertTrue(error < 1e-6, name + ": " + error);
      }
    }
  }
}
