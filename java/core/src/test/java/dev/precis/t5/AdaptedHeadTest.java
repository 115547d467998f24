package dev.precis.t5;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.T5;
import dev.precis.checkpoint.Checkpoint;
import dev.precis.checkpoint.SafeTensors;
import dev.precis.checkpoint.TensorView;
import dev.precis.io.InvalidInputException;
import dev.precis.random.SplitMix64;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** An adapter on the output layer, whose logits are not to exist whole. */
class AdaptedHeadTest {
  @TempDir Path folder;

  private static TensorView matrix(String module, int rows, int columns, SplitMix64 random) {
    float[] values = new float[rows * columns];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (0.3 * random.normal());
    }
    return new TensorView(
        "base_model.model." + module + ".weight",
        DType.FLOAT32,
        new long[] {rows, columns},
        MemorySegment.ofArray(values));
  }

  /** A batch's mean cross-entropy as {@link T5Model#crossEntropy} has it. */
  private static double loss(T5 t5, T5ForwardTest.Batch batch, boolean asLogProbabilities) {
    T5Model model = t5.model();
    int vocab = model.config().vocabSize();
    List<int[]> inputs = new ArrayList<>();
    List<Integer> labels = new ArrayList<>();
    for (int[] label : batch.labels()) {
      int[] input = new int[label.length];
      input[0] = model.config().decoderStartTokenId();
      System.arraycopy(label, 0, input, 1, label.length - 1);
      inputs.add(input);
      for (int id : label) {
        labels.add(id);
      }
    }
    try (Workspace workspace = model.ops().newWorkspace()) {
      Ragged source = Ragged.of(batch.sources(), vocab, workspace);
      Ragged target = Ragged.of(inputs, vocab, workspace);
      Tensor hidden = model.decode(model.encode(source, workspace), target, workspace);
      Tensor ids = workspace.tensor(DType.INT32, labels.size());
      Tensor losses = workspace.tensor(DType.FLOAT32, labels.size());
      for (int i = 0; i < labels.size(); i++) {
        ids.memory().setAtIndex(ValueLayout.JAVA_INT, i, labels.get(i));
      }
      if (asLogProbabilities) {
        model.logProbabilities(hidden, ids, losses, null);
      } else {
        model.crossEntropy(hidden, ids, losses, workspace);
      }
      double sum = 0;
      for (int i = 0; i < labels.size(); i++) {
        sum += losses.memory().getAtIndex(ValueLayout.JAVA_FLOAT, i);
      }
      return sum / labels.size();
    }
  }

  @Test
  void theLossIsThatOfItsLogits() throws IOException {
    Path start = Fixtures.folder("t5-tiny-lora");
    Files.copy(start.resolve("adapter_config.json"), folder.resolve("adapter_config.json"));
    SplitMix64 random = new SplitMix64(6);
    SafeTensors.write(
        folder.resolve("adapter_model.safetensors"),
        List.of(matrix("lm_head.lora_A", 8, 64, random), matrix("lm_head.lora_B", 416, 8, random)),
        Map.of("format", "pt"));
    try (Checkpoint golden = Fixtures.arrays("forward_t5-tiny.safetensors")) {
      T5ForwardTest.Batch batch = T5ForwardTest.Batch.of(golden);
      assertTrue(batch.labels().stream().mapToInt(each -> each.length).sum() > 16, "some pieces");
      Path model = Fixtures.folder("t5-tiny");
      T5.LoadOptions adapted = new T5.LoadOptions().dtype(DType.FLOAT32).adapters(List.of(folder));
      double wanted = T5ForwardTest.run(model, adapted, batch.sources(), batch.labels()).loss();
      try (T5 t5 = T5.load(model, adapted)) {
        assertEquals(wanted, loss(t5, batch, false), 1e-5);
        String said =
            assertThrows(InvalidInputException.class, () -> loss(t5, batch, true)).getMessage();
        assertTrue(said.contains("output layer") && said.contains("merge"), said);
        t5.useAdapters(List.of());
        double plain = loss(t5, batch, false);
        assertEquals(-plain, loss(t5, batch, true), 1e-6);
        assertTrue(Math.abs(plain - wanted) > 0.01, plain + " and " + wanted);
      }
    }
  }
}
