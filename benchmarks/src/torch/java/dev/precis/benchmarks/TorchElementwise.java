package dev.precis.benchmarks;

import static dev.precis.benchmarks.TorchTensors.call;
import static dev.precis.benchmarks.TorchTensors.calls;
import static dev.precis.benchmarks.TorchTensors.inPlace;
import static dev.precis.benchmarks.TorchTensors.view;

import dev.precis.benchmarks.Provider.Call;
import dev.precis.ops.Activation;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Element-wise operations and those that look up or add up rows in libtorch. */
final class TorchElementwise {
  private TorchElementwise() {}

  static Call prepare(ElementwiseProblem problem) {
    return switch (problem) {
      case ElementwiseProblem.ActivationFunction p -> activation(p);
      case ElementwiseProblem.Embedding p -> {
        Tensor table = view(p.table());
        Tensor ids = view(p.ids());
        yield call(() -> torch.embedding(table, ids), view(p.y()));
      }
      case ElementwiseProblem.Convert p -> {
        Tensor x = view(p.x());
        Tensor y = view(p.y());
        yield inPlace(() -> y.copy_(x));
      }
      case ElementwiseProblem.ActivationBackward p -> activationBackward(p);
      case ElementwiseProblem.EmbeddingBackward p -> {
        Tensor ids = view(p.ids());
        Tensor dy = view(p.dy()).to(ScalarType.Float);
        Tensor dtable = view(p.dtable());
        yield inPlace(() -> dtable.index_add_(0, ids, dy));
      }
      case ElementwiseProblem.Add p -> {
        Tensor x = view(p.x());
        Tensor y = view(p.y());
        Scalar alpha = new Scalar(p.alpha());
        yield inPlace(() -> y.add_(x, alpha));
      }
      case ElementwiseProblem.AddBias p -> {
        Tensor y = view(p.y());
        Tensor bias = view(p.bias());
        yield inPlace(() -> y.add_(bias));
      }
      case ElementwiseProblem.BiasGradient p -> {
        Tensor dy = view(p.dy());
        Tensor dbias = view(p.dbias());
        long[] rows = {0};
        ScalarTypeOptional type = new ScalarTypeOptional(ScalarType.Float);
        yield inPlace(() -> dbias.add_(torch.sum(dy, rows, false, type)));
      }
      case ElementwiseProblem.Dropout p -> {
        Tensor x = view(p.x());
        yield call(() -> torch.dropout(x, p.probability(), true), view(p.y()));
      }
      case ElementwiseProblem.Zero p -> {
        Tensor y = view(p.y());
        yield inPlace(() -> y.zero_());
      }
    };
  }

  private static Call activation(ElementwiseProblem.ActivationFunction p) {
    Tensor x = view(p.x());
    if (p.kind() == Activation.RELU && !p.gated()) {
      return call(() -> torch.relu(x), view(p.y()));
    }
    if (p.kind() != Activation.GELU_TANH || !p.gated()) {
      throw new UnsupportedOperationException(
          p.kind() + " is not compared in libtorch; choose gated GELU or ReLU.");
    }
    // transformers computes the two halves apart: each is contiguous.
    long width = p.y().columns();
    Tensor gate = x.narrow(1, 0, width).contiguous();
    Tensor value = x.narrow(1, width, width).contiguous();
    return call(() -> torch.mul(torch.gelu(gate, "tanh"), value), view(p.y()));
  }

  private static Call activationBackward(ElementwiseProblem.ActivationBackward p) {
    Tensor x = view(p.x());
    Tensor dy = view(p.dy());
    Tensor dx = view(p.dx());
    if (p.kind() == Activation.RELU && !p.gated()) {
      Scalar zero = new Scalar(0.0);
      return call(() -> torch.threshold_backward(dy, x, zero), dx);
    }
    if (p.kind() != Activation.GELU_TANH || !p.gated()) {
      throw new UnsupportedOperationException(
          p.kind() + " is not compared in libtorch; choose gated GELU or ReLU.");
    }
    long width = p.dy().columns();
    Tensor gate = x.narrow(1, 0, width).contiguous();
    Tensor value = x.narrow(1, width, width).contiguous();
    // The product's backward has it from the forward.
    Tensor activated = torch.gelu(gate, "tanh");
    return calls(
        () ->
            new Tensor[] {
              torch.gelu_backward(torch.mul(dy, value), gate, "tanh"), torch.mul(dy, activated)
            },
        dx.narrow(1, 0, width),
        dx.narrow(1, width, width));
  }
}
