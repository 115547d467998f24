package dev.precis.benchmarks;

import static dev.precis.benchmarks.TorchTensors.call;
import static dev.precis.benchmarks.TorchTensors.notOne;
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
      case ProductProblem.MatmulPack _, ProductProblem.TransposePacked _ -> throw notOne(problem);
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

  /** Computes the products of loraMatmul's backward; dy B is computed twice, 4 % of the whole. */
  private static Call loraBackward(ProductProblem.LoraBackward p) {
    Tensor x = view(p.x());
    Tensor dy = view(p.dy());
    Tensor w = view(p.w());
    Tensor a = view(p.a());
    Tensor b = view(p.b());
    Tensor t = view(p.t()).to(x.scalar_type());
    Scalar scaling = new Scalar(p.scaling());
    Call dx =
        call(() -> torch.add(torch.mm(dy, w), torch.mm(torch.mm(dy, b), a), scaling), view(p.dx()));
    Call da = call(() -> torch.mul(torch.mm(torch.mm(dy, b).t(), x), scaling), view(p.da()));
    Call db = call(() -> torch.mm(dy.t(), t), view(p.db()));
    return new Call() {
      @Override
      public void run() {
        dx.run();
        da.run();
        db.run();
      }

      @Override
      public void publish() {
        dx.publish();
        da.publish();
        db.publish();
      }
    };
  }
}
