package dev.precis.benchmarks;

import dev.precis.benchmarks.Provider.Call;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.function.Supplier;
import java.util.stream.LongStream;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Tensors of libtorch over native memory, calls that make new ones, and their gradients. */
final class TorchTensors {
  private TorchTensors() {}

  /** Returns a call whose result is a new tensor; it frees the previous one. */
  static Call call(Supplier<Tensor> compute, Tensor output) {
    return calls(() -> new Tensor[] {compute.get()}, output);
  }

  /** Returns a call whose results are new tensors; it frees the previous ones. */
  static Call calls(Supplier<Tensor[]> compute, Tensor... outputs) {
    return new Call() {
      private Tensor[] results = {};

      @Override
      public void run() {
        try (var _ = new PointerScope()) {
          Tensor[] next = compute.get();
          for (Tensor each : next) {
            each.retainReference();
          }
          for (Tensor each : results) {
            each.close();
          }
          results = next;
        }
      }

      @Override
      public void publish() {
        for (int i = 0; i < outputs.length; i++) {
          outputs[i].copy_(results[i]);
        }
      }
    };
  }

  /** Returns a call that writes to tensors over the problem's memory; it frees all others. */
  static Call inPlace(Runnable compute) {
    return () -> {
      try (var _ = new PointerScope()) {
        compute.run();
      }
    };
  }

  /** Returns a view of the same memory. */
  static Tensor view(dev.precis.tensor.Tensor tensor) {
    long[] dims = LongStream.range(0, tensor.rank()).map(i -> tensor.dim((int) i)).toArray();
    return view(tensor, dims);
  }

  static Tensor view(dev.precis.tensor.Tensor tensor, long... dims) {
    ScalarType type =
        switch (tensor.dtype()) {
          case FLOAT32 -> ScalarType.Float;
          case BFLOAT16 -> ScalarType.BFloat16;
          case INT32 -> ScalarType.Int;
          default ->
              throw new IllegalArgumentException(
                  tensor + " has a type that is not passed to libtorch");
        };
    return torch.from_blob(new Address(tensor.memory()), dims, new TensorOptions(type));
  }

  static final class Address extends Pointer {
    Address(MemorySegment memory) {
      address = memory.address();
    }
  }

  /** Returns a view that autograd computes the gradient of. */
  static Tensor leaf(dev.precis.tensor.Tensor tensor) {
    return view(tensor).set_requires_grad(true);
  }

  /**
   * Returns the gradients of leaves, as {@code loss.backward()} computes them.
   *
   * @param slopes the loss's derivatives by the outputs
   * @param keepGraph for a further call with the same outputs
   */
  static Tensor[] gradients(
      TensorVector outputs, TensorVector slopes, TensorVector leaves, BoolOptional keepGraph) {
    TensorVector all = torch.grad(outputs, leaves, slopes, keepGraph, false, false);
    Tensor[] each = new Tensor[Math.toIntExact(all.size())];
    // The vector owns what it returns.
    Arrays.setAll(each, i -> new Tensor(all.get(i)));
    return each;
  }

  /** Returns the backward pass alone of a graph that is kept. */
  static Call backward(Tensor output, Tensor slope, Tensor[] leaves, Tensor... gradients) {
    TensorVector outputs = new TensorVector(output);
    TensorVector slopes = new TensorVector(slope);
    TensorVector inputs = new TensorVector(leaves);
    BoolOptional keepGraph = new BoolOptional(true);
    return calls(() -> gradients(outputs, slopes, inputs, keepGraph), gradients);
  }
}
