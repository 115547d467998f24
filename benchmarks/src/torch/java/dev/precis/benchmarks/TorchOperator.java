package dev.precis.benchmarks;

import org.bytedeco.pytorch.Dispatcher;
import org.bytedeco.pytorch.GenericList;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.IValueVector;
import org.bytedeco.pytorch.OperatorHandle;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorType;
import org.bytedeco.pytorch.Type;

/**
 * An operator in place that the binding has no method for, such as those of torch.optim, with its
 * arguments.
 */
final class TorchOperator implements Runnable {
  private final OperatorHandle operator;
  private final IValueVector arguments;

  /** The stack that arguments are taken from. */
  private final IValueVector stack = new IValueVector();

  /** Finds an operator such as {@code aten::_fused_sgd_}. */
  TorchOperator(String name, IValue... arguments) {
    this.operator = Dispatcher.singleton().findSchemaOrThrow(name, "");
    this.arguments = new IValueVector(arguments);
  }

  @Override
  public void run() {
    stack.put(arguments);
    operator.callBoxed(stack);
  }

  /** Returns a list of tensors as an argument. */
  static IValue list(Tensor... tensors) {
    GenericList list = new GenericList(new Type.TypePtr(TensorType.get()));
    for (Tensor tensor : tensors) {
      list.push_back(new IValue(tensor));
    }
    return new IValue(list);
  }
}
