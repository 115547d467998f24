package dev.precis.t5;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import dev.precis.Fixtures;
import dev.precis.T5;
import dev.precis.ops.Tape;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Products of a few rows at a time give what whole ones give, bit for bit. */
class ProductPiecesTest {
  private static int[] ids(int length) {
    int[] ids = new int[length];
    Arrays.setAll(ids, i -> 3 + (i * 31) % 400);
    return ids;
  }

  private static float[] hidden(T5 t5, DType activations, long productSize, boolean decoder) {
    T5Stack stack = new T5Stack(t5.model().weights(), activations, 0, productSize);
    try (Workspace workspace = t5.model().ops().newWorkspace()) {
      int vocab = t5.config().vocabSize();
      Ragged source = Ragged.of(List.of(ids(150), ids(61)), vocab, workspace);
      Ragged target = Ragged.of(List.of(ids(70), ids(133)), vocab, workspace);
      Tape tape = Tape.inference(t5.model().ops(), workspace);
      var encoded = stack.encode(tape, source);
      Tensor result = (decoder ? stack.decode(tape, encoded, source, target) : encoded).value();
      float[] values = new float[(int) (result.rows() * result.columns())];
      for (int row = 0; row < result.rows(); row++) {
        System.arraycopy(
            result.row(row), 0, values, row * (int) result.columns(), (int) result.columns());
      }
      return values;
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"FLOAT32", "BFLOAT16", "INT8", "INT4"})
  void sameBits(DType dtype) {
    T5.LoadOptions options =
        new T5.LoadOptions()
            .dtype(dtype)
            .adapters(List.of(Fixtures.folder("t5-tiny-lora-after20")));
    try (T5 t5 = T5.load(Fixtures.folder("t5-tiny"), options)) {
      DType activations = dtype.activations();
      for (boolean decoder : new boolean[] {false, true}) {
        float[] whole = hidden(t5, activations, Long.MAX_VALUE, decoder);
        // At least 64 rows at a time.
        assertArrayEquals(whole, hidden(t5, activations, 1, decoder));
        assertArrayEquals(whole, hidden(t5, activations, 77L * 64 * 288, decoder));
      }
    }
  }
}
