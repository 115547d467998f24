package dev.precis.benchmarks;

import static dev.precis.benchmarks.TorchTensors.call;
import static dev.precis.benchmarks.TorchTensors.inPlace;
import static dev.precis.benchmarks.TorchTensors.view;

import dev.precis.benchmarks.Provider.Call;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** Steps of optimizers, and the norm that clips their gradients, in libtorch. */
final class TorchOptimizers {
  private TorchOptimizers() {}

  static Call prepare(OptimizerProblem problem) {
    return switch (problem) {
      case OptimizerProblem.SumOfSquares p -> {
        Tensor x = view(p.x());
        yield call(() -> torch.dot(x, x), view(p.result()).squeeze());
      }
      case OptimizerProblem.Adam p -> adam(p);
      case OptimizerProblem.Sgd p -> sgd(p);
      case OptimizerProblem.Adafactor p -> adafactor(p);
    };
  }

  /** Calls what torch.optim.AdamW calls with {@code fused=True}. */
  private static Call adam(OptimizerProblem.Adam p) {
    OptimizerProblem.State s = p.state();
    OptimizerProblem.Step step = p.step();
    Tensor divisor = divisor(step);
    return fused(
        divisor,
        new TorchOperator(
            "aten::_fused_adamw_",
            TorchOperator.list(view(s.parameter())),
            TorchOperator.list(view(p.gradient()).clone()),
            TorchOperator.list(view(s.first())),
            TorchOperator.list(view(s.second())),
            TorchOperator.list(),
            TorchOperator.list(scalar(step.number())),
            new IValue((double) step.learningRate()),
            new IValue((double) p.beta1()),
            new IValue((double) p.beta2()),
            new IValue((double) step.weightDecay()),
            new IValue((double) p.epsilon()),
            new IValue(false),
            new IValue(false),
            new IValue(divisor),
            new IValue()));
  }

  /** Calls what torch.optim.SGD calls with {@code fused=True}. */
  private static Call sgd(OptimizerProblem.Sgd p) {
    OptimizerProblem.State s = p.state();
    OptimizerProblem.Step step = p.step();
    Tensor divisor = divisor(step);
    return fused(
        divisor,
        new TorchOperator(
            "aten::_fused_sgd_",
            TorchOperator.list(view(s.parameter())),
            TorchOperator.list(view(p.gradient()).clone()),
            TorchOperator.list(view(s.first())),
            new IValue((double) step.weightDecay()),
            new IValue((double) p.momentum()),
            new IValue((double) step.learningRate()),
            new IValue(0.0),
            new IValue(false),
            new IValue(false),
            new IValue(false),
            new IValue(divisor),
            new IValue()));
  }

  /**
   * Returns the call of a fused step. It divides the gradient in memory, as a step does only once:
   * further calls divide by 1, which takes as long, lest the gradient fade into denormals.
   */
  private static Call fused(Tensor divisor, TorchOperator operator) {
    Scalar one = new Scalar(1.0);
    return new Call() {
      private boolean divided;

      @Override
      public void run() {
        operator.run();
        if (!divided) {
          divisor.fill_(one);
          divided = true;
        }
      }
    };
  }

  private static Tensor divisor(OptimizerProblem.Step step) {
    return scalar(1 / step.gradientScale());
  }

  private static Tensor scalar(float value) {
    return Tensor.create(value).squeeze();
  }

  /**
   * Computes the step of transformers' Adafactor with {@code scale_parameter}, and with the means
   * of squares as norms, as torch.optim has them. The gradient's scale is applied to the small
   * moments.
   */
  private static Call adafactor(OptimizerProblem.Adafactor p) {
    OptimizerProblem.Step step = p.step();
    Tensor parameter = view(p.state().parameter());
    Tensor row = view(p.state().first()).unsqueeze(1);
    Tensor column = view(p.state().second()).unsqueeze(0);
    Tensor gradient = view(p.gradient());
    double size = Math.sqrt(p.gradient().rows() * p.gradient().columns());
    double kept = 1 - Math.pow(step.number(), -0.8);
    double squaredScale = step.gradientScale() * step.gradientScale();
    ScalarOptional two = new ScalarOptional(new Scalar(2.0));
    Scalar replaced = new Scalar(1 - kept);
    Scalar perRow = new Scalar(squaredScale / p.gradient().columns());
    Scalar perColumn = new Scalar(squaredScale / p.gradient().rows());
    Scalar scale = new Scalar(step.gradientScale());
    long[] rows = {0};
    long[] columns = {1};
    return inPlace(
        () -> {
          double rate =
              step.learningRate() * Math.max(1e-3, torch.norm(parameter).item_double() / size);
          row.lerp_(torch.norm(gradient, two, columns, true).square_().mul_(perRow), replaced);
          column.lerp_(torch.norm(gradient, two, rows, true).square_().mul_(perColumn), replaced);
          Tensor byRow = row.div(torch.mean(row)).rsqrt_().mul_(scale);
          Tensor update = torch.mul(byRow, column.rsqrt()).mul_(gradient);
          double clip = Math.max(1, torch.norm(update).item_double() / size);
          parameter.mul_(new Scalar(1 - rate * step.weightDecay()));
          parameter.add_(update, new Scalar(-rate / clip));
        });
  }
}
