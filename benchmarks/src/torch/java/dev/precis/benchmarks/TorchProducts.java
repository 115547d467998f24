package dev.precis.benchmarks;

import static dev.precis.benchmarks.TorchTensors.call;
import static dev.precis.benchmarks.TorchTensors.calls;
import static dev.precis.benchmarks.TorchTensors.view;

import dev.precis.benchmarks.Provider.Call;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** Matrix products, their packed weights and their gradients in libtorch. */
final class TorchProducts {
  private TorchProducts() {}

  static Call prepare(ProductProblem problem) {
    return switch (problem) {
      case ProductProblem.Matmul p -> matmul(p);
      case ProductProblem.LoraMatmul p -> loraMatmul(p);
      case ProductProblem.LoraBackward p -> loraBackward(p);
      case ProductProblem.WeightGradient p -> {
        Tensor dy = view(p.dy());
        Tensor x = view(p.x());
        yield call(() -> torch.mm(dy.t(), x), view(p.dw()));
      }
      // PyTorch has no packed weights of its own: what is nearest writes W' out.
      case ProductProblem.MatmulPack p -> {
        Tensor w = view(p.w());
        yield call(() -> w.t().contiguous(), view(p.unpacked()));
      }
      case ProductProblem.TransposePacked p -> {
        Tensor transposed = view(p.w()).t().contiguous();
        yield call(() -> transposed.t().contiguous(), view(p.unpacked()));
      }
    };
  }

  private static Call matmul(ProductProblem.Matmul p) {
    Tensor x = view(p.x());
    Tensor w = view(p.w());
    return call(() -> torch.linear(x, w), view(p.y()));
  }

  /** Computes the product as PEFT does, with the scaling folded into the sum. */
  private static Call loraMatmul(ProductProblem.LoraMatmul p) {
    Tensor x = view(p.x());
    Tensor w = view(p.w());
    Tensor a = view(p.a());
    Tensor b = view(p.b());
    Scalar scaling = new Scalar(p.scaling());
    return call(
        () -> torch.add(torch.linear(x, w), torch.linear(torch.linear(x, a), b), scaling),
        view(p.y()));
  }

  /** Computes the products of loraMatmul's backward, with the scaling folded into the sum. */
  private static Call loraBackward(ProductProblem.LoraBackward p) {
    Tensor x = view(p.x());
    Tensor dy = view(p.dy());
    Tensor w = view(p.w());
    Tensor a = view(p.a());
    Tensor b = view(p.b());
    Tensor t = view(p.t()).to(x.scalar_type());
    Scalar scaling = new Scalar(p.scaling());
    return calls(
        () -> {
          Tensor low = torch.mm(dy, b);
          return new Tensor[] {
            torch.add(torch.mm(dy, w), torch.mm(low, a), scaling),
            torch.mul(torch.mm(low.t(), x), scaling),
            torch.mm(dy.t(), t)
          };
        },
        view(p.dx()),
        view(p.da()),
        view(p.db()));
  }
}
