package dev.precis.benchmarks;

import dev.precis.benchmarks.Provider.Call;
import java.lang.foreign.MemorySegment;
import java.util.function.Supplier;
import java.util.stream.LongStream;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Tensors of libtorch over native memory, and calls that make new ones. */
final class TorchTensors {
  private TorchTensors() {}

  /** Returns a call whose result is a new tensor; it frees the previous one. */
  static Call call(Supplier<Tensor> compute, Tensor output) {
    return new Call() {
      private Tensor result;

      @Override
      public void run() {
        try (var _ = new PointerScope()) {
          Tensor next = compute.get();
          next.retainReference();
          if (result != null) {
            result.close();
          }
          result = next;
        }
      }

      @Override
      public void publish() {
        output.copy_(result);
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
                  tensor + " has a type that has a type that is not passed to libtorch");
        };
    return torch.from_blob(new Address(tensor.memory()), dims, new TensorOptions(type));
  }

  static final class Address extends Pointer {
    Address(MemorySegment memory) {
      address = memory.address();
    }
  }

  /** Returns the refusal of a problem that no single call of libtorch solves. */
  static UnsupportedOperationException notOne(Problem problem) {
    return new UnsupportedOperationException(
        "torch is not compared on "
            + problem.getClass().getSimpleName()
            + ": no single call of libtorch computes it. Choose another provider.");
  }
}
