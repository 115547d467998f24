package dev.precis.benchmarks;

import static dev.precis.benchmarks.TorchTensors.call;
import static dev.precis.benchmarks.TorchTensors.inPlace;
import static dev.precis.benchmarks.TorchTensors.view;

import dev.precis.benchmarks.Provider.Call;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
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
    OptimizerProblem.Step step = p.step();
    return fused(
        "aten::_fused_adamw_",
        p.state(),
        p.gradient(),
        step,
        TorchOperator.list(view(p.state().second())),
        TorchOperator.list(),
        TorchOperator.list(scalar(step.number())),
        new IValue((double) step.learningRate()),
        new IValue((double) p.beta1()),
        new IValue((double) p.beta2()),
        new IValue((double) step.weightDecay()),
        new IValue((double) p.epsilon()),
        new IValue(false),
        new IValue(false));
  }

  /** Calls what torch.optim.SGD calls with {@code fused=True}. */
  private static Call sgd(OptimizerProblem.Sgd p) {
    OptimizerProblem.Step step = p.step();
    return fused(
        "aten::_fused_sgd_",
        p.state(),
        p.gradient(),
        step,
        new IValue((double) step.weightDecay()),
        new IValue((double) p.momentum()),
        new IValue((double) step.learningRate()),
        new IValue(0.0),
        new IValue(false),
        new IValue(false),
        new IValue(false));
  }

  /**
   * Returns the call of a fused step. It divides the gradient in memory, as a step does only once:
   * further calls divide by 1, which takes as long, lest the gradient fade into denormals.
   *
   * @param own arguments, between those that all fused steps begin with (parameters, gradients,
   *     moments) and end with (the gradients' divisor, and whether some are infinite)
   */
  private static Call fused(
      String operator,
      OptimizerProblem.State s,
      dev.precis.tensor.Tensor gradient,
      OptimizerProblem.Step step,
      IValue... own) {
    Tensor divisor = scalar(1 / step.gradientScale());
    List<IValue> arguments = new ArrayList<>();
    arguments.add(TorchOperator.list(view(s.parameter())));
    arguments.add(TorchOperator.list(view(gradient).clone()));
    arguments.add(TorchOperator.list(view(s.first())));
    Collections.addAll(arguments, own);
    arguments.add(new IValue(divisor));
    arguments.add(new IValue());
    TorchOperator fused = new TorchOperator(operator, arguments.toArray(IValue[]::new));
    Scalar one = new Scalar(1.0);
    return new Call() {
      private boolean divided;

      @Override
      public void run() {
        fused.run();
        if (!divided) {
          divisor.fill_(one);
          divided = true;
        }
      }
    };
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
