package dev.precis.benchmarks;

import static dev.precis.benchmarks.TorchTensors.backward;
import static dev.precis.benchmarks.TorchTensors.call;
import static dev.precis.benchmarks.TorchTensors.calls;
import static dev.precis.benchmarks.TorchTensors.leaf;
import static dev.precis.benchmarks.TorchTensors.view;

import dev.precis.benchmarks.Provider.Call;
import dev.precis.tensor.DType;
import org.bytedeco.javacpp.BoolPointer;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.T_TensorTensorTensor_T;
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
      case NormProblem.RmsNormBackward p -> rmsNormBackward(p);
      case NormProblem.LayerNormBackward p -> layerNormBackward(p);
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

  /**
   * Runs autograd's backward of T5's norm as transformers has it, which is faster than that of
   * rms_norm. The gradient of the weight is the first of a step, which autograd keeps as it is,
   * without a sum.
   */
  private static Call rmsNormBackward(NormProblem.RmsNormBackward p) {
    Tensor x = leaf(p.x());
    Tensor weight = leaf(p.weight());
    Tensor dy = view(p.dy());
    Tensor variance = x.pow(new Scalar(2.0)).mean(new long[] {-1}, true, new ScalarTypeOptional());
    Tensor scale = torch.rsqrt(variance.add(new Scalar(p.epsilon())));
    Tensor y = weight.mul(x.mul(scale)).to(dy.scalar_type());
    return backward(y, dy, new Tensor[] {x, weight}, view(p.dx()), view(p.dweight()));
  }

  /** Calls what autograd calls for layer norm, with the mean and the deviation of the forward. */
  private static Call layerNormBackward(NormProblem.LayerNormBackward p) {
    Tensor x = view(p.x());
    Tensor weight = view(p.weight());
    Tensor dy = view(p.dy());
    long[] width = {p.x().columns()};
    TensorOptional scale = new TensorOptional(weight);
    TensorOptional bias = new TensorOptional(torch.zeros_like(weight));
    T_TensorTensorTensor_T forward = torch.native_layer_norm(x, width, scale, bias, p.epsilon());
    Tensor mean = new Tensor(forward.get1());
    Tensor inverseDeviation = new Tensor(forward.get2());
    BoolPointer all = new BoolPointer(3).fill(1);
    // A tuple owns what it returns, which is copied for this reason.
    return calls(
        () -> {
          Tensor slope = dy.to(ScalarType.Float);
          T_TensorTensorTensor_T g =
              torch.native_layer_norm_backward(
                  slope, x, width, mean, inverseDeviation, scale, bias, all);
          return new Tensor[] {new Tensor(g.get0()), new Tensor(g.get1()), new Tensor(g.get2())};
        },
        view(p.dx()),
        view(p.dweight()),
        view(p.dbias()));
  }
}
