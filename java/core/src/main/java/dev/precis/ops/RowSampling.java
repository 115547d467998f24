package dev.precis.ops;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.precis.ffi.generated.precis_row_sampling;
import dev.precis.tensor.DType;
import dev.precis.tensor.MirroredMemory;
import java.lang.foreign.MemorySegment;

/** Parameters by which each row's token is chosen, where rows have different ones. */
public final class RowSampling {
  private static final long BYTES = precis_row_sampling.sizeof();

  private final MemorySegment memory; // of the host
  private final MemorySegment address;

  /**
   * Takes parameters for so many rows; they are undefined.
   *
   * @param memory has {@link #bytes} for them; the caller brings them to the device
   */
  public RowSampling(int rows, MirroredMemory memory) {
    MirroredMemory.Array array = memory.take(DType.UINT8, rows * BYTES);
    this.memory = array.host();
    address = array.tensor(0, rows * BYTES).address();
  }

  /** Returns the bytes that the parameters of so many rows take. */
  public static long bytes(int rows) {
    return MirroredMemory.size(DType.UINT8, rows * BYTES);
  }

  /**
   * Sets the parameters of a row.
   *
   * @param greedy true: the largest logit is taken, whatever the parameters are
   */
  public void set(int row, boolean greedy, SamplingParameters parameters) {
    long at = row * BYTES;
    memory.set(JAVA_LONG, at + precis_row_sampling.seed$offset(), parameters.seed());
    memory.set(JAVA_FLOAT, at + precis_row_sampling.temperature$offset(), parameters.temperature());
    memory.set(JAVA_INT, at + precis_row_sampling.top_k$offset(), parameters.topK());
    memory.set(JAVA_FLOAT, at + precis_row_sampling.top_p$offset(), parameters.topP());
    memory.set(JAVA_INT, at + precis_row_sampling.greedy$offset(), Kernels.flag(greedy));
  }

  /** Returns where the parameters of the first row are. */
  MemorySegment address() {
    return address;
  }
}
