package dev.precis.ops;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.precis.ffi.generated.precis_row_rules;
import dev.precis.tensor.DType;
import dev.precis.tensor.Workspace;
import java.lang.foreign.MemorySegment;

/** The rules of each row where rows have different ones, see {@link LogitRules}. */
public final class RowRules {
  private static final long BYTES = precis_row_rules.sizeof();

  private final MemorySegment memory;

  /** Allocates rules for so many rows; they are undefined. */
  public RowRules(int rows, Workspace workspace) {
    memory = workspace.tensor(DType.INT32, rows, BYTES / 4).memory();
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

  /** Copies {@code count} rows of rules, which may overlap. */
  public void copy(RowRules source, int from, int to, int count) {
    MemorySegment.copy(source.memory, from * BYTES, memory, to * BYTES, count * BYTES);
  }

  /** Returns where the rules of the first row are. */
  MemorySegment address() {
    return memory;
  }
}
