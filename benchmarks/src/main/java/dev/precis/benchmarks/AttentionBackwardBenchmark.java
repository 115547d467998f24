package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.openjdk.jmh.annotations.Param;

/**
 * The gradients of attention over whole sequences, 12 heads of 64, with a frozen position bias as
 * LoRA leaves it.
 */
public class AttentionBackwardBenchmark
    extends KernelBenchmark<AttentionProblem.AttentionBackward> {
  /** The shape: sequences x tokens of each. */
  @Param({"1x64", "1x256", "8x256"})
  String shape;

  @Param({"float32", "bfloat16"})
  String dtype;

  /** The encoder's attention is bidirectional, the decoder's is causal. */
  @Param({"encoder", "decoder"})
  String stack;

  @Override
  AttentionProblem.AttentionBackward problem(int copy) {
    DType type = activationType();
    long tokens = (long) size(0) * size(1);
    return new AttentionProblem.AttentionBackward(
        AttentionBenchmark.problem(this, stack.equals("decoder")),
        random(type, 1, 5, tokens, T5Base.WIDTH),
        output(type, tokens, T5Base.WIDTH),
        output(type, tokens, T5Base.WIDTH),
        output(type, tokens, T5Base.WIDTH));
  }

  @Override
  void verify(AttentionProblem.AttentionBackward p) {
    for (int sequence : IntStream.of(0, size(0) - 1).distinct().toArray()) {
      AttentionReference.Gradients want = AttentionReference.gradients(p, sequence);
      verify(p.dq(), sequence, want.dq());
      verify(p.dk(), sequence, want.dk());
      verify(p.dv(), sequence, want.dv());
    }
  }

  /**
   * A row alone can be zero: a first query that sees one key. It is held to the sequence's size.
   */
  private void verify(Tensor got, int sequence, double[][] want) {
    double size =
        Math.sqrt(
            Arrays.stream(want)
                .flatMapToDouble(Arrays::stream)
                .map(v -> v * v)
                .average()
                .orElseThrow());
    for (int i = 0; i < want.length; i++) {
      long row = (long) sequence * want.length + i;
      verifyRow(got, row, want[i], Tolerance.ofAttention(activationType()), size);
    }
  }

  @Override
  String op() {
    return super.op() + "/" + stack;
  }

  /** Counts five products where the forward has two: the scores are computed again. */
  @Override
  Work work() {
    double pairs = size(1) * (stack.equals("decoder") ? (size(1) + 1) / 2.0 : size(1));
    double bytes = (double) size(0) * size(1) * T5Base.WIDTH * activationType().bytes();
    return Work.ofArithmetic()
        .hot(5 * bytes, 3 * bytes)
        .operations(activationType(), 10 * pairs * T5Base.WIDTH * size(0));
  }
}
