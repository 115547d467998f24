package dev.precis.benchmarks;

import dev.precis.benchmarks.Provider.Call;
import dev.precis.ops.LogitRules;
import dev.precis.ops.Ops;
import dev.precis.ops.SamplingParameters;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.ValueLayout;

/** Operations from logits to tokens by this project's kernels. */
final class PrecisSampling {
  private final PrecisProvider precis;
  private final Ops ops;

  PrecisSampling(PrecisProvider precis) {
    this.precis = precis;
    this.ops = precis.ops();
  }

  Call prepare(SamplingProblem problem) {
    return switch (problem) {
      case SamplingProblem.Softmax p -> () -> ops.softmax(p.x(), p.y(), p.logarithm());
      case SamplingProblem.Sample p -> sample(p);
      case SamplingProblem.TopK p -> () -> ops.topK(p.x(), p.values(), p.indices());
      case SamplingProblem.ProcessLogits p -> {
        LogitRules rules =
            new LogitRules(
                p.history(), p.lengths(), p.endTokens(), p.penalty(), p.ngram(), p.minNewTokens());
        yield () -> ops.processLogits(p.scores(), rules);
      }
    };
  }

  private Call sample(SamplingProblem.Sample p) {
    int rows = Math.toIntExact(p.logits().rows());
    LogitRules none =
        new LogitRules(
            Tensor.of(precis.allocateShared(precis.arena(), 4L * rows), DType.INT32, rows, 1),
            Tensor.of(precis.allocateShared(precis.arena(), 4L * rows), DType.INT32, rows),
            Tensor.of(precis.allocateShared(precis.arena(), 4), DType.INT32, 1),
            1,
            0,
            0);
    if (p.greedy()) {
      return () -> ops.greedy(p.logits(), none, p.tokens(), null);
    }
    Tensor streams = Tensor.of(precis.allocateShared(precis.arena(), 8L * rows), DType.INT64, rows);
    Tensor offsets = Tensor.of(precis.allocateShared(precis.arena(), 8L * rows), DType.INT64, rows);
    for (int r = 0; r < rows; r++) {
      streams.memory().setAtIndex(ValueLayout.JAVA_LONG, r, r);
    }
    SamplingParameters parameters =
        new SamplingParameters(p.seed(), p.temperature(), p.topK(), p.topP());
    SamplingParameters.Outputs outputs =
        new SamplingParameters.Outputs(p.tokens(), null, null, null);
    return () -> {
      for (int r = 0; r < rows; r++) {
        long offset = offsets.memory().getAtIndex(ValueLayout.JAVA_LONG, r);
        offsets.memory().setAtIndex(ValueLayout.JAVA_LONG, r, offset + 1);
      }
      ops.sample(p.logits(), none, parameters, streams, offsets, outputs);
    };
  }
}
