package dev.precis.benchmarks;

import dev.precis.benchmarks.Provider.Call;
import dev.precis.ops.DropoutMask;
import dev.precis.ops.LayerNormGradients;
import dev.precis.ops.Ops;

/** Norms and element-wise operations by this project's kernels. */
final class PrecisRows {
  private final Ops ops;

  PrecisRows(PrecisProvider precis) {
    this.ops = precis.ops();
  }

  Call prepare(NormProblem problem) {
    return switch (problem) {
      case NormProblem.RmsNorm p -> () -> ops.rmsNorm(p.x(), p.weight(), p.epsilon(), p.y());
      case NormProblem.RmsNormBackward p ->
          () ->
              ops.rmsNormBackward(
                  p.x(), p.weight(), p.epsilon(), p.dy(), p.dx(), false, p.dweight());
      case NormProblem.LayerNorm p ->
          () -> ops.layerNorm(p.x(), p.weight(), p.bias(), p.epsilon(), p.y());
      case NormProblem.LayerNormBackward p -> {
        LayerNormGradients gradients =
            new LayerNormGradients(p.dx(), false, p.dweight(), p.dbias());
        yield () -> ops.layerNormBackward(p.x(), p.weight(), p.epsilon(), p.dy(), gradients);
      }
    };
  }

  Call prepare(ElementwiseProblem problem) {
    return switch (problem) {
      case ElementwiseProblem.ActivationFunction p ->
          () -> ops.activation(p.x(), p.kind(), p.gated(), p.y());
      case ElementwiseProblem.ActivationBackward p ->
          () -> ops.activationBackward(p.x(), p.kind(), p.gated(), p.dy(), p.dx());
      case ElementwiseProblem.Embedding p -> () -> ops.embedding(p.table(), p.ids(), p.y());
      case ElementwiseProblem.EmbeddingBackward p ->
          () -> ops.embeddingBackward(p.ids(), p.dy(), p.dtable());
      case ElementwiseProblem.Add p -> () -> ops.add(p.x(), p.alpha(), p.y());
      case ElementwiseProblem.AddBias p -> () -> ops.addBias(p.y(), p.bias());
      case ElementwiseProblem.BiasGradient p -> () -> ops.biasGradient(p.dy(), p.dbias());
      case ElementwiseProblem.Dropout p -> {
        DropoutMask mask = new DropoutMask(p.probability(), p.seed(), 0);
        yield () -> ops.dropout(p.x(), p.y(), mask, false);
      }
      case ElementwiseProblem.Convert p -> () -> ops.convert(p.x(), p.y());
      case ElementwiseProblem.Zero p -> () -> ops.zero(p.y());
    };
  }
}
