package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.openjdk.jmh.annotations.Param;

/**
 * The attention of a decoding step over its KV cache, which is cold, because each layer has its
 * own. Self-attention stores the new key and value and has a position bias; cross-attention only
 * reads.
 */
public class AttentionDecodeBenchmark extends KernelBenchmark<AttentionProblem.AttentionDecode> {
  /** The shape: rows x keys of each. */
  @Param({"1x64", "1x256", "8x64", "8x256"})
  String shape;

  @Param({"float32", "bfloat16"})
  String dtype;

  @Param({"self", "cross"})
  String kind;

  private AttentionProblem.AttentionDecode first;

  @Override
  AttentionProblem.AttentionDecode problem(int copy) {
    if (copy > 0) {
      AttentionProblem.AttentionDecode p = first;
      return new AttentionProblem.AttentionDecode(
          p.q(),
          p.kNew(),
          p.vNew(),
          copyOf(p.kCache()),
          copyOf(p.vCache()),
          p.bias(),
          p.keyStarts(),
          p.lengths(),
          p.length(),
          T5Base.HEADS,
          T5Base.MAX_DISTANCE,
          p.out());
    }
    DType type = activationType();
    int rows = size(0);
    int length = size(1);
    boolean self = kind.equals("self");
    Tensor q = random(type, 0.15, 1, rows, T5Base.WIDTH);
    Tensor k = random(type, 1, 2, (long) rows * length, T5Base.WIDTH);
    Tensor v = random(type, 1, 3, (long) rows * length, T5Base.WIDTH);
    Tensor kNew = self ? random(type, 1, 4, rows, T5Base.WIDTH) : null;
    Tensor vNew = self ? random(type, 1, 5, rows, T5Base.WIDTH) : null;
    Tensor bias = self ? random(DType.FLOAT32, 1, 6, T5Base.BUCKETS, T5Base.HEADS) : null;
    int[] lengths = new int[rows];
    Arrays.fill(lengths, length);
    first =
        new AttentionProblem.AttentionDecode(
            q,
            kNew,
            vNew,
            k,
            v,
            bias,
            ints(IntStream.range(0, rows).map(r -> r * length).toArray()),
            ints(lengths),
            length,
            T5Base.HEADS,
            T5Base.MAX_DISTANCE,
            output(type, rows, T5Base.WIDTH));
    return first;
  }

  @Override
  long coldBytes() {
    return 2L * size(0) * size(1) * T5Base.WIDTH * activationType().bytes();
  }

  @Override
  void verify(AttentionProblem.AttentionDecode p) {
    verifyRows(p.out(), m -> AttentionReference.row(p, m), Tolerance.ofAttention(activationType()));
  }

  @Override
  String op() {
    return super.op() + "/" + kind;
  }

  @Override
  Work work() {
    double pairs = (double) size(0) * size(1);
    return Work.ofMemory()
        .cold(coldBytes(), 0)
        .operations(activationType(), 4 * pairs * T5Base.WIDTH);
  }
}
