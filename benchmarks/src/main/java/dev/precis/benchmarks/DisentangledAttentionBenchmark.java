package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import java.util.stream.IntStream;
import org.openjdk.jmh.annotations.Param;

/** DeBERTa's self-attention over whole sequences, 12 heads of 64, with both position terms. */
public class DisentangledAttentionBenchmark extends KernelBenchmark<AttentionProblem.Disentangled> {
  /** The shape: sequences x tokens of each. */
  @Param({"1x64", "1x256", "8x256", "1x512"})
  String shape;

  @Param({"float32", "bfloat16"})
  String dtype;

  @Override
  AttentionProblem.Disentangled problem(int copy) {
    DType type = activationType();
    int sequences = size(0);
    int length = size(1);
    long tokens = (long) sequences * length;
    return new AttentionProblem.Disentangled(
        random(type, 1, 1, tokens, T5Base.WIDTH),
        random(type, 1, 2, tokens, T5Base.WIDTH),
        random(type, 1, 3, tokens, T5Base.WIDTH),
        random(type, 1, 4, 2L * length - 1, T5Base.WIDTH),
        random(type, 1, 5, 2L * length - 1, T5Base.WIDTH),
        ints(IntStream.rangeClosed(0, sequences).map(s -> s * length).toArray()),
        length,
        T5Base.HEADS,
        (float) (1 / Math.sqrt(3.0 * T5Base.WIDTH / T5Base.HEADS)),
        output(type, tokens, T5Base.WIDTH));
  }

  @Override
  void verify(AttentionProblem.Disentangled p) {
    verifyRows(p.out(), m -> AttentionReference.row(p, m), Tolerance.ofAttention(activationType()));
  }

  @Override
  Work work() {
    double tokens = (double) size(0) * size(1);
    double width = (double) T5Base.WIDTH * activationType().bytes();
    return Work.ofArithmetic()
        .hot((3 * tokens + 2 * (2.0 * size(1) - 1)) * width, tokens * width)
        .operations(activationType(), 8 * tokens * size(1) * T5Base.WIDTH);
  }
}
