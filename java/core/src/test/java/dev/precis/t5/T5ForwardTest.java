package dev.precis.t5;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.T5;
import dev.precis.checkpoint.Checkpoint;
import dev.precis.io.NativeCache;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Hidden states, logits and loss against transformers and PEFT. */
class T5ForwardTest {
  /** Encoder states and logits of a batch, row by row, and the mean cross-entropy. */
  record Outcome(List<float[]> hidden, List<float[]> logits, double loss) {}

  static Outcome run(Path folder, T5.LoadOptions options, List<int[]> sources, List<int[]> labels) {
    try (T5 t5 = T5.load(folder, options)) {
      T5Model model = t5.model();
      try (Workspace workspace = model.ops().newWorkspace()) {
        int vocab = model.config().vocabSize();
        T5Model.Encoded encoded = model.encode(Ragged.of(sources, vocab, workspace), workspace);
        List<int[]> inputs = new ArrayList<>();
        for (int[] label : labels) {
          int[] input = new int[label.length];
          input[0] = model.config().decoderStartTokenId();
          System.arraycopy(label, 0, input, 1, label.length - 1);
          inputs.add(input);
        }
        Ragged target = Ragged.of(inputs, vocab, workspace);
        Tensor decoded = model.decode(encoded, target, workspace);
        Tensor logits = workspace.tensor(DType.FLOAT32, target.tokens(), vocab);
        model.logits(decoded, logits);
        List<float[]> hiddenRows = new ArrayList<>();
        for (int i = 0; i < encoded.source().tokens(); i++) {
          hiddenRows.add(encoded.hidden().row(i));
        }
        List<float[]> logitRows = new ArrayList<>();
        for (int i = 0; i < target.tokens(); i++) {
          logitRows.add(logits.row(i));
        }
        double loss = 0;
        int n = 0;
        for (int[] label : labels) {
          for (int id : label) {
            float[] row = logitRows.get(n++);
            double sum = 0;
            for (float x : row) {
              sum += Math.exp(x);
            }
            loss += Math.log(sum) - row[id];
          }
        }
        return new Outcome(hiddenRows, logitRows, loss / n);
      }
    }
  }

  /** The rows of a padded (batch, length, width) golden that are not padding. */
  static List<float[]> rows(Checkpoint golden, String name, List<int[]> sequences) {
    long[] shape = golden.get(name).shape();
    float[] all = golden.get(name).toFloat32();
    List<float[]> rows = new ArrayList<>();
    int width = (int) shape[2];
    for (int b = 0; b < shape[0]; b++) {
      for (int t = 0; t < sequences.get(b).length; t++) {
        int at = (int) (b * shape[1] + t) * width;
        rows.add(Arrays.copyOfRange(all, at, at + width));
      }
    }
    return rows;
  }

  static double error(List<float[]> got, List<float[]> want) {
    return Fixtures.relativeError(flat(got), flat(want));
  }

  private static float[] flat(List<float[]> rows) {
    float[] all = new float[rows.size() * rows.getFirst().length];
    for (int i = 0; i < rows.size(); i++) {
      System.arraycopy(rows.get(i), 0, all, i * rows.get(i).length, rows.get(i).length);
    }
    return all;
  }

  record Batch(List<int[]> sources, List<int[]> labels) {
    static Batch of(Checkpoint golden) {
      long[][] labels = Fixtures.longs(golden.get("labels"));
      List<int[]> kept = new ArrayList<>();
      for (long[] row : labels) {
        kept.add(Arrays.stream(row).filter(id -> id != -100).mapToInt(Math::toIntExact).toArray());
      }
      return new Batch(
          Fixtures.unpadded(golden.get("input_ids"), golden.get("attention_mask")), kept);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "t5-tiny, FLOAT32, 1, 1e-4",
    "t5-tiny, FLOAT32, 2, 1e-4",
    "t5-tiny-v1.0, FLOAT32, 2, 1e-4",
    "t5-tiny, BFLOAT16, 2, 2e-2",
    "t5-tiny-v1.0, BFLOAT16, 1, 2e-2",
    "t5-tiny, INT8, 2, 5e-2",
    "t5-tiny-v1.0, INT8, 1, 5e-2",
    "t5-tiny, INT4, 2, 3e-1",
    "t5-tiny-v1.0, INT4, 1, 3e-1"
  })
  void matchesTransformers(String name, DType dtype, int threads, double tolerance) {
    try (Checkpoint golden = Fixtures.arrays("forward_" + name + ".safetensors")) {
      Batch batch = Batch.of(golden);
      Outcome outcome =
          run(
              Fixtures.folder(name),
              new T5.LoadOptions().dtype(dtype).threads(threads),
              batch.sources(),
              batch.labels());
      double hidden =
          error(outcome.hidden(), rows(golden, "encoder_last_hidden_state", batch.sources()));
      double logits = error(outcome.logits(), rows(golden, "logits", batch.labels()));
      float loss = golden.get("loss").toFloat32()[0];
      assertTrue(hidden < tolerance, "encoder states differ by " + hidden);
      assertTrue(logits < tolerance, "logits differ by " + logits);
      assertEquals(loss, outcome.loss(), loss * tolerance);
    }
  }

  static List<String> instructionSets() {
    return NativeCache.platform().endsWith("-aarch64")
        ? List.of("portable", "neon", "neon_dotprod", "neon_bf16")
        : List.of("portable", "avx2", "avx512", "avx512_bf16");
  }

  @ParameterizedTest
  @MethodSource("instructionSets")
  void everyInstructionSetMatches(String isa) {
    try (Checkpoint golden = Fixtures.arrays("forward_t5-tiny.safetensors")) {
      Batch batch = Batch.of(golden);
      Outcome outcome;
      try {
        outcome =
            run(
                Fixtures.folder("t5-tiny"),
                new T5.LoadOptions().dtype(DType.FLOAT32).isa(isa),
                batch.sources(),
                batch.labels());
      } catch (dev.precis.device.NativeException e) {
        // This processor lacks it; the message says what it offers.
        assertEquals(dev.precis.device.NativeException.Status.UNSUPPORTED, e.status());
        return;
      }
      double logits = error(outcome.logits(), rows(golden, "logits", batch.labels()));
      assertTrue(logits < 1e-4, "logits differ by " + logits);
    }
  }

  /** Of PEFT: an adapter on the base, and the model that another one is merged into. */
  @ParameterizedTest
  @CsvSource({
    "t5-tiny-lora, lora_forward_backward.safetensors",
    "t5-tiny-lora-after20, merged_forward.safetensors"
  })
  void adaptersMatchPeft(String adapter, String arrays) {
    try (Checkpoint forward = Fixtures.arrays("forward_t5-tiny.safetensors");
        Checkpoint golden = Fixtures.arrays(arrays)) {
      Batch batch = Batch.of(forward);
      Outcome outcome =
          run(
              Fixtures.folder("t5-tiny"),
              new T5.LoadOptions().dtype(DType.FLOAT32).adapters(List.of(Fixtures.folder(adapter))),
              batch.sources(),
              batch.labels());
      double logits = error(outcome.logits(), rows(golden, "logits", batch.labels()));
      assertTrue(logits < 1e-4, "logits differ by " + logits);
    }
  }

  @ParameterizedTest
  @CsvSource({"FLOAT32", "BFLOAT16", "INT8", "INT4"})
  void aBatchGivesTheBitsOfSingleOnes(DType dtype) {
    try (Checkpoint golden = Fixtures.arrays("forward_t5-tiny.safetensors")) {
      Batch batch = Batch.of(golden);
      T5.LoadOptions options = new T5.LoadOptions().dtype(dtype);
      Outcome together = run(Fixtures.folder("t5-tiny"), options, batch.sources(), batch.labels());
      int at = 0;
      for (int i = 0; i < batch.sources().size(); i++) {
        Outcome alone =
            run(
                Fixtures.folder("t5-tiny"),
                options.threads(1),
                List.of(batch.sources().get(i)),
                List.of(batch.labels().get(i)));
        for (float[] row : alone.logits()) {
          assertArrayEquals(row, together.logits().get(at++), 0f);
        }
      }
    }
  }
}
