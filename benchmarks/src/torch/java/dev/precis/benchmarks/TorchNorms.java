package dev.precis.benchmarks;

import static dev.precis.benchmarks.TorchTensors.call;
import static dev.precis.benchmarks.TorchTensors.notOne;
import static dev.precis.benchmarks.TorchTensors.view;

import dev.precis.benchmarks.Provider.Call;
import dev.precis.tensor.DType;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Normalization of rows, and its gradients in libtorch. */
final class TorchNorms {
  private TorchNorms() {}

  static Call prepare(NormProblem problem) {
    return switch (problem) {
      case NormProblem.RmsNorm p -> rmsNorm(p);
      case NormProblem.LayerNorm p -> layerNorm(p);
      case NormProblem.RmsNormBackward _, NormProblem.LayerNormBackward _ -> throw notOne(problem);
    };
  }

  private static Call rmsNorm(NormProblem.RmsNorm p) {
    Tensor x = view(p.x());
    long[] width = {p.x().columns()};
    TensorOptional weight = new TensorOptional(view(p.weight()));
    DoubleOptional epsilon = new DoubleOptional(p.epsilon());
    boolean converts = p.y().dtype() == DType.BFLOAT16;
    return call(
        () -> {
          Tensor y = torch.rms_norm(x, width, weight, epsilon);
          return converts ? y.to(ScalarType.BFloat16) : y;
        },
        view(p.y()));
  }

  private static Call layerNorm(NormProblem.LayerNorm p) {
    Tensor x = view(p.x());
    long[] width = {p.x().columns()};
    TensorOptional weight = new TensorOptional(view(p.weight()));
    TensorOptional bias = new TensorOptional(view(p.bias()));
    boolean converts = p.y().dtype() == DType.BFLOAT16;
    return call(
        () -> {
          Tensor y = torch.layer_norm(x, width, weight, bias, p.epsilon(), true);
          return converts ? y.to(ScalarType.BFloat16) : y;
        },
        view(p.y()));
  }
}
