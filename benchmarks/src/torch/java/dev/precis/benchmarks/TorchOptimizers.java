package dev.precis.benchmarks;

import static dev.precis.benchmarks.TorchTensors.call;
import static dev.precis.benchmarks.TorchTensors.notOne;
import static dev.precis.benchmarks.TorchTensors.view;

import dev.precis.benchmarks.Provider.Call;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** The part of the optimizers that is one call of libtorch. */
final class TorchOptimizers {
  private TorchOptimizers() {}

  static Call prepare(OptimizerProblem problem) {
    return switch (problem) {
      case OptimizerProblem.SumOfSquares p -> {
        Tensor x = view(p.x());
        yield call(() -> torch.dot(x, x), view(p.result()).squeeze());
      }
      case OptimizerProblem.Adam _, OptimizerProblem.Sgd _, OptimizerProblem.Adafactor _ ->
          throw notOne(problem);
    };
  }
}
