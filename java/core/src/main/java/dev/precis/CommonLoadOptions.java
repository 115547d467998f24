package dev.precis;

import dev.precis.device.DeviceOptions;
import dev.precis.io.InvalidInputException;
import dev.precis.tensor.DType;
import java.util.Set;

/** Options of loading that every model has; S is the options' own class. */
abstract class CommonLoadOptions<S extends CommonLoadOptions<S>> {
  private final String rule;
  private final Set<DType> types;
  private final DeviceOptions device = new DeviceOptions();
  private DType dtype;

  /** Allows these types; the rule says so in words. */
  CommonLoadOptions(String rule, DType... types) {
    this.rule = rule;
    this.types = Set.of(types);
  }

  abstract S self();

  final DeviceOptions device() {
    return device;
  }

  /** Returns the type that was asked for, or another one if none was. */
  final DType dtypeOr(DType otherwise) {
    return dtype == null ? otherwise : dtype;
  }

  /**
   * Sets the type of the weights; null, the default: float32 or bfloat16, as the checkpoint is.
   *
   * @throws InvalidInputException if such a model cannot be loaded in this type
   */
  public S dtype(DType dtype) {
    if (dtype != null && !types.contains(dtype)) {
      throw new InvalidInputException(rule + ", not " + dtype + ".");
    }
    this.dtype = dtype;
    return self();
  }

  /**
   * Sets the device: {@code cpu}, the default, {@code cuda} (the first GPU), {@code cuda:N}, or
   * {@code auto}: a GPU if there is one that can be used, otherwise the CPU.
   *
   * @throws IllegalArgumentException if it is none of them
   */
  public S device(String device) {
    this.device.device(device);
    return self();
  }

  /** Sets the number of threads; 0, the default: one for each physical core. */
  public S threads(int threads) {
    device.threads(threads);
    return self();
  }
}
