package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import java.util.stream.IntStream;
import org.openjdk.jmh.annotations.Param;

/** Self-attention over whole sequences with T5's relative position bias, 12 heads of 64. */
public class AttentionBenchmark extends KernelBenchmark<AttentionProblem.Attention> {
  /** The shape: sequences x tokens of each. */
  @Param({"1x64", "1x256", "8x256", "1x512"})
  String shape;

  @Param({"float32", "bfloat16"})
  String dtype;

  /** The encoder's attention is bidirectional, the decoder's is causal. */
  @Param({"encoder", "decoder"})
  String stack;

  @Override
  AttentionProblem.Attention problem(int copy) {
    return problem(this, stack.equals("decoder"));
  }

  /** Returns attention over the shape of a benchmark. */
  static AttentionProblem.Attention problem(KernelBenchmark<?> of, boolean causal) {
    DType type = of.activationType();
    int sequences = of.size(0);
    int length = of.size(1);
    long tokens = (long) sequences * length;
    // T5 does not divide by the root of the width: its scores are of the order of 1 all the same.
    return new AttentionProblem.Attention(
        of.random(type, 0.15, 1, tokens, T5Base.WIDTH),
        of.random(type, 1, 2, tokens, T5Base.WIDTH),
        of.random(type, 1, 3, tokens, T5Base.WIDTH),
        of.random(DType.FLOAT32, 1, 4, T5Base.BUCKETS, T5Base.HEADS),
        of.ints(IntStream.rangeClosed(0, sequences).map(s -> s * length).toArray()),
        length,
        T5Base.HEADS,
        causal,
        T5Base.MAX_DISTANCE,
        of.output(type, tokens, T5Base.WIDTH));
  }

  @Override
  void verify(AttentionProblem.Attention p) {
    verifyRows(p.out(), m -> AttentionReference.row(p, m), Tolerance.ofAttention(activationType()));
  }

  @Override
  String op() {
    return super.op() + "/" + stack;
  }

  @Override
  Work work() {
    double pairs = size(1) * (stack.equals("decoder") ? (size(1) + 1) / 2.0 : size(1));
    double bytes = (double) size(0) * size(1) * T5Base.WIDTH * activationType().bytes();
    return Work.ofArithmetic()
        .hot(3 * bytes, bytes)
        .operations(activationType(), 4 * pairs * T5Base.WIDTH * size(0));
  }
}
