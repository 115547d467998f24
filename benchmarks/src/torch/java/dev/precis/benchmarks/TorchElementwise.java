package dev.precis.benchmarks;

import static dev.precis.benchmarks.TorchTensors.call;
import static dev.precis.benchmarks.TorchTensors.view;

import dev.precis.benchmarks.Provider.Call;
import dev.precis.ops.Activation;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

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
        yield () -> y.copy_(x);
      }
    };
  }

  private static Call activation(ElementwiseProblem.ActivationFunction p) {
    Tensor x = view(p.x());
    if (p.kind() == Activation.RELU && !p.gated()) {
      return call(() -> torch.relu(x), view(p.y()));
    }
    if (p.kind() != Activation.GELU_TANH || !p.gated()) {
      throw new UnsupportedOperationException(p.kind() + " in libtorch");
    }
    // transformers computes the two halves apart: each is contiguous.
    long width = p.y().columns();
    Tensor gate = x.narrow(1, 0, width).contiguous();
    Tensor value = x.narrow(1, width, width).contiguous();
    return call(() -> torch.mul(torch.gelu(gate, "tanh"), value), view(p.y()));
  }
}
