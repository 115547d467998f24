package dev.precis.ops;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.precis.ffi.generated.precis_row_rules;
import dev.precis.tensor.DType;
import dev.precis.tensor.MirroredMemory;
import java.lang.foreign.MemorySegment;

/** The rules of each row where rows have different ones, see {@link LogitRules}. */
public final class RowRules {
  private static final long BYTES = precis_row_rules.sizeof();

  private final MemorySegment memory; // of the host
  private final MemorySegment address;

  /**
   * Takes rules for so many rows; they are undefined.
   *
   * @param memory has {@link #bytes} for them; the caller brings them to the device
   */
  public RowRules(int rows, MirroredMemory memory) {
    MirroredMemory.Array array = memory.take(DType.UINT8, rows * BYTES);
    this.memory = array.host();
    address = array.tensor(0, rows * BYTES).address();
  }

  /** Returns the bytes that the rules of so many rows take. */
  public static long bytes(int rows) {
    return MirroredMemory.size(DType.UINT8, rows * BYTES);
  }

  /** Sets the rules of a row; their meanings are those of {@link LogitRules}. */
  public void set(int row, float repetitionPenalty, int noRepeatNgramSize, int minNewTokens) {
    long at = row * BYTES;
    memory.set(JAVA_FLOAT, at + precis_row_rules.repetition_penalty$offset(), repetitionPenalty);
    memory.set(JAVA_INT, at + precis_row_rules.no_repeat_ngram_size$offset(), noRepeatNgramSize);
    memory.set(JAVA_INT, at + precis_row_rules.min_new_tokens$offset(), minNewTokens);
  }

  /** Sets a row to rules that change nothing. */
  public void clear(int row) {
    set(row, 1, 0, 0);
  }

  /** Returns where the rules of the first row are. */
  MemorySegment address() {
    return address;
  }
}
