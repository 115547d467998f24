package dev.precis.device;

import dev.precis.io.InvalidInputException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Options of opening a {@link Device}; the defaults are the best of this machine. */
public final class DeviceOptions {
  private static final Pattern CUDA = Pattern.compile("cuda(?::(\\d{1,3}))?");

  private String device = "cpu";
  private boolean manyRows;
  private int threads;
  private String isa;
  private String matmul;

  /**
   * Sets the device: {@code cpu}, {@code cuda} (the first GPU), {@code cuda:N}, or {@code auto}: a
   * GPU if there is one that the library can use, otherwise the CPU. The default is the CPU.
   *
   * @throws IllegalArgumentException if it is none of them
   */
  public DeviceOptions device(String device) {
    if (!device.equals("auto") && !device.equals("cpu") && !CUDA.matcher(device).matches()) {
      throw new IllegalArgumentException("A device is auto, cpu or cuda[:N], not '" + device + "'");
    }
    this.device = device;
    return this;
  }

  /**
   * Sets whether whole sequences are processed at a time, as in training: for cuBLASLt on a GPU.
   */
  public DeviceOptions manyRows(boolean manyRows) {
    this.manyRows = manyRows;
    return this;
  }

  /**
   * Sets the number of threads; 0, the default: one for each physical core that the process may
   * use.
   */
  public DeviceOptions threads(int threads) {
    this.threads = threads;
    return this;
  }

  /**
   * Sets the instruction set: on x86-64 {@code avx2}, {@code avx512} or {@code avx512_bf16}, on
   * aarch64 {@code neon}, {@code neon_dotprod} or {@code neon_bf16}, on both {@code portable};
   * null: the best.
   */
  public DeviceOptions isa(String isa) {
    this.isa = isa;
    return this;
  }

  /**
   * Sets the kernels for matrix products of many rows: {@code native} or {@code onednn}; null: the
   * faster.
   */
  public DeviceOptions matmul(String matmul) {
    this.matmul = matmul;
    return this;
  }

  /**
   * Returns these options with the CPU where any device would do.
   *
   * @param what runs on the CPU alone, in the plural
   * @throws InvalidInputException if a GPU was asked for
   */
  public DeviceOptions onCpu(String what) {
    if (CUDA.matcher(device).matches()) {
      throw new InvalidInputException(
          "%s run on the CPU alone, not on %s: choose the CPU or another type"
              .formatted(what, device));
    }
    return new DeviceOptions().manyRows(manyRows).threads(threads).isa(isa).matmul(matmul);
  }

  /** Returns the device that was asked for. */
  public String device() {
    return device;
  }

  /** Returns the index of the GPU that {@link #device} names, or -1 for the CPU. */
  public int gpuIndex() {
    Matcher cuda = CUDA.matcher(device);
    if (!cuda.matches()) {
      return device.equals("auto") ? 0 : -1;
    }
    return cuda.group(1) == null ? 0 : Integer.parseInt(cuda.group(1));
  }

  /** Returns whether whole sequences are processed at a time. */
  public boolean manyRows() {
    return manyRows;
  }

  /** Returns the number of threads; 0: one for each physical core. */
  public int threads() {
    return threads;
  }

  /** Returns the instruction set, or null for the best. */
  public String isa() {
    return isa;
  }

  /** Returns the kernels of matrix products of many rows, or null for the faster ones. */
  public String matmul() {
    return matmul;
  }
}
