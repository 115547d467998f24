package dev.precis.ops;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.precis.ffi.generated.precis_row_sampling;
import dev.precis.tensor.DType;
import dev.precis.tensor.Workspace;
import java.lang.foreign.MemorySegment;

/** Parameters by which each row's token is chosen, where rows have different ones. */
public final class RowSampling {
  private static final long BYTES = precis_row_sampling.sizeof();

  private final MemorySegment memory;

  /** Allocates parameters for so many rows; they are undefined. */
  public RowSampling(int rows, Workspace workspace) {
    memory = workspace.tensor(DType.INT32, rows, BYTES / 4).memory();
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

  /** Copies the parameters of {@code count} rows, which may overlap. */
  public void copy(RowSampling source, int from, int to, int count) {
    MemorySegment.copy(source.memory, from * BYTES, memory, to * BYTES, count * BYTES);
  }

  /** Returns where the parameters of the first row are. */
  MemorySegment address() {
    return memory;
  }
}
