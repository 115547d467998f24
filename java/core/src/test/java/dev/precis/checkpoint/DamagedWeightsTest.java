package dev.precis.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.device.DeviceOptions;
import dev.precis.io.InvalidInputException;
import dev.precis.lora.LoraConfig;
import dev.precis.ops.Ops;
import dev.precis.t5.T5Config;
import dev.precis.t5.T5Weights;
import dev.precis.tensor.DType;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Weights that no model can have, and files that change under their reader. */
class DamagedWeightsTest {
  @TempDir Path folder;

  private static TensorView converted(TensorView view, DType dtype, long element, float value) {
    float[] values = view.toFloat32();
    if (element >= 0) {
      values[(int) element] = value;
    }
    MemorySegment data = Arena.ofAuto().allocate((long) values.length * dtype.bytes(), 8);
    for (int i = 0; i < values.length; i++) {
      switch (dtype) {
        case FLOAT32 -> data.setAtIndex(ValueLayout.JAVA_FLOAT, i, values[i]);
        case BFLOAT16 ->
            data.setAtIndex(
                ValueLayout.JAVA_SHORT, i, (short) (Float.floatToRawIntBits(values[i]) >>> 16));
        case FLOAT16 -> data.setAtIndex(ValueLayout.JAVA_SHORT, i, Float.floatToFloat16(values[i]));
        default -> data.setAtIndex(ValueLayout.JAVA_DOUBLE, i, values[i]);
      }
    }
    return new TensorView(view.name(), dtype, view.shape(), data);
  }

  private void write(String name, DType dtype, long element, float value) throws IOException {
    Path from = Fixtures.folder("t5-tiny");
    Files.copy(from.resolve("config.json"), folder.resolve("config.json"));
    try (Checkpoint checkpoint = Checkpoint.open(from)) {
      List<TensorView> tensors = new ArrayList<>();
      for (String each : checkpoint.names()) {
        tensors.add(
            converted(checkpoint.get(each), dtype, each.equals(name) ? element : -1, value));
      }
      SafeTensors.write(folder.resolve("model.safetensors"), tensors, Map.of("format", "pt"));
    }
  }

  private static void load(Checkpoint checkpoint, Path folder) {
    try (Ops ops = Ops.open(new DeviceOptions().threads(1));
        Arena arena = Arena.ofShared()) {
      T5Weights.load(checkpoint, T5Config.read(folder), ops, arena, DType.FLOAT32);
    }
  }

  private String refusal() {
    return assertThrows(
            InvalidInputException.class,
            () -> {
              try (Checkpoint checkpoint = Checkpoint.open(folder)) {
                load(checkpoint, folder);
              }
            })
        .getMessage();
  }

  @ParameterizedTest
  @CsvSource({
    "shared.weight, FLOAT32, 26623, NaN",
    "lm_head.weight, FLOAT32, 0, Infinity",
    "decoder.block.2.layer.1.EncDecAttention.v.weight, BFLOAT16, 77, -Infinity",
    "encoder.final_layer_norm.weight, FLOAT16, 63, NaN",
    "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight, FLOAT64, 5, NaN",
  })
  void aWeightThatIsNotFiniteIsNamed(String name, DType dtype, long element, float value)
      throws IOException {
    write(name, dtype, element, value);
    String said = refusal();
    assertTrue(said.contains(name) && said.contains("element " + element + " is"), said);
  }

  @ParameterizedTest
  @CsvSource({"FLOAT32", "BFLOAT16", "FLOAT16", "FLOAT64"})
  void theLargestFiniteWeightIsRead(DType dtype) throws IOException {
    write("lm_head.weight", dtype, 9, dtype == DType.FLOAT16 ? 65504 : 3e38f);
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      load(checkpoint, folder);
    }
  }

  @Test
  void anAdapterThatIsNotFiniteIsNamed() throws IOException {
    Path from = Fixtures.folder("t5-tiny-lora");
    Files.copy(from.resolve("adapter_config.json"), folder.resolve("adapter_config.json"));
    try (Checkpoint checkpoint = Checkpoint.openFile(from.resolve("adapter_model.safetensors"))) {
      List<TensorView> tensors = new ArrayList<>();
      checkpoint
          .names()
          .forEach(
              name ->
                  tensors.add(
                      converted(
                          checkpoint.get(name),
                          DType.FLOAT32,
                          tensors.isEmpty() ? 3 : -1,
                          Float.NaN)));
      SafeTensors.write(folder.resolve("adapter_model.safetensors"), tensors, Map.of());
    }
    String said =
        assertThrows(InvalidInputException.class, () -> PeftAdapter.open(folder).close())
            .getMessage();
    assertTrue(said.contains("lora_") && said.contains("element 3 is"), said);
  }

  @Test
  void aFileThatShrinksAfterItWasOpenedIsASentence() throws IOException {
    write("lm_head.weight", DType.FLOAT32, -1, 0);
    Path file = folder.resolve("model.safetensors");
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      try (RandomAccessFile opened = new RandomAccessFile(file.toFile(), "rw")) {
        opened.setLength(8192);
      }
      String said =
          assertThrows(InvalidInputException.class, () -> load(checkpoint, folder)).getMessage();
      assertEquals(
          file + " was changed while it was read: wait until it is complete and start again", said);
    }
  }

  @Test
  void aPathWithAControlCharacterIsRefused() {
    Path strange = folder.resolve("a\u001b[31mb");
    for (Runnable each :
        List.<Runnable>of(
            () -> Checkpoint.open(strange).close(),
            () -> Checkpoint.openFile(strange.resolve("x.safetensors")).close(),
            () -> PeftAdapter.open(strange).close(),
            () -> T5Config.read(strange),
            () -> SafeTensors.write(strange, List.of(), Map.of()))) {
      String said = assertThrows(InvalidInputException.class, each::run).getMessage();
      assertTrue(said.contains("a?[31mb") && said.contains("control character"), said);
    }
  }

  @Test
  void targetModulesMustEnd() {
    LoraConfig config = new LoraConfig(2, 2, 0, List.of("(.*)*(.*)*(.*)*(.*)*x!"), false);
    String said =
        assertThrows(
                InvalidInputException.class,
                () -> config.targets("encoder.block.0.layer.0.SelfAttention.q.encoder.block.0"))
            .getMessage();
    assertTrue(said.contains("target-modules") && said.contains("takes too long"), said);
  }
}
