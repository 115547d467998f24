package dev.precis.ops;

import dev.precis.ffi.generated.precis_lora_rows;
import dev.precis.ffi.generated.precis_lora_segment;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Adapters of the rows of one product, for {@link Ops#loraMatmul}: contiguous rows have the same
 * one, or none.
 */
public final class LoraRows {
  private static final long BYTES = precis_lora_rows.sizeof();

  private MemorySegment memory = MemorySegment.NULL;
  private LoraWeights first;
  private int count;

  /** Makes an empty list: no row has an adapter. */
  public LoraRows() {}

  /** Takes all rows' adapters away. */
  public void clear() {
    first = null;
    count = 0;
  }

  /**
   * Gives an adapter to rows [begin, end), which lie behind those that have one already.
   *
   * @param lora null: none
   */
  public void add(long begin, long end, LoraWeights lora) {
    if (lora == null) {
      return;
    }
    if (memory.byteSize() < (count + 1) * BYTES) {
      MemorySegment larger = Arena.ofAuto().allocate(Math.max(8, 2 * count) * BYTES, 8);
      MemorySegment.copy(memory, 0, larger, 0, count * BYTES);
      memory = larger;
    }
    first = count == 0 ? lora : first;
    MemorySegment to = memory.asSlice(count * BYTES, BYTES);
    precis_lora_rows.row_begin(to, begin);
    precis_lora_rows.row_end(to, end);
    Kernels.put(to, precis_lora_rows.a$offset(), lora.a());
    Kernels.put(to, precis_lora_rows.b$offset(), lora.b());
    for (int i = 0; i < lora.segments().size(); i++) {
      long at = i * precis_lora_segment.sizeof();
      Kernels.put(
          precis_lora_rows.segments(to).asSlice(at, precis_lora_segment.sizeof()),
          lora.segments().get(i));
    }
    precis_lora_rows.segment_count(to, lora.segments().size());
    count++;
  }

  /** Returns whether no row has an adapter. */
  public boolean isEmpty() {
    return count == 0;
  }

  /** Returns one of the adapters. */
  LoraWeights first() {
    return first;
  }

  MemorySegment address() {
    return memory;
  }

  int count() {
    return count;
  }
}
