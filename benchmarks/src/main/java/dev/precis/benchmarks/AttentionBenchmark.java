package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.util.stream.IntStream;
import org.openjdk.jmh.annotations.Param;

/** Self-attention over whole sequences with T5's relative position bias, 12 heads of 64. */
public class AttentionBenchmark extends KernelBenchmark {
  private static final int HEADS = 12;
  private static final int WIDTH = HEADS * 64;
  private static final int BUCKETS = 32;
  private static final int MAX_DISTANCE = 128;

  /** Sequences x tokens of each. */
  @Param({"1x64", "1x256", "8x256", "1x512"})
  String shape;

  @Param({"float32", "bfloat16"})
  String dtype;

  /** The encoder's sees all, the decoder's what came before. */
  @Param({"encoder", "decoder"})
  String stack;

  @Override
  Problem problem(int copy) {
    DType type = activationType();
    long tokens = (long) size(0) * size(1);
    // T5 does not divide by the root of the width: its scores are of the order of 1 all the same.
    Tensor q = random(type, 0.15, 1, tokens, WIDTH);
    Tensor k = random(type, 1, 2, tokens, WIDTH);
    Tensor v = random(type, 1, 3, tokens, WIDTH);
    Tensor bias = random(DType.FLOAT32, 1, 4, BUCKETS, HEADS);
    Tensor offsets = ints(IntStream.rangeClosed(0, size(0)).map(s -> s * size(1)).toArray());
    return new AttentionProblem.Attention(
        q,
        k,
        v,
        bias,
        offsets,
        size(1),
        HEADS,
        stack.equals("decoder"),
        MAX_DISTANCE,
        output(type, tokens, WIDTH));
  }

  @Override
  void verify(Problem problem) {
    AttentionProblem.Attention p = (AttentionProblem.Attention) problem;
    verifyRows(p.out(), m -> AttentionReference.row(p, m), Tolerance.ofAttention(activationType()));
  }

  @Override
  String op() {
    return super.op() + "/" + stack;
  }

  @Override
  String dtype() {
    return dtype;
  }

  @Override
  String shape() {
    return shape;
  }

  @Override
  Work work() {
    double pairs = size(1) * (stack.equals("decoder") ? (size(1) + 1) / 2.0 : size(1));
    return Work.flops(4 * pairs * WIDTH * size(0));
  }
}
