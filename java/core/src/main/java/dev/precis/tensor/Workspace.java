package dev.precis.tensor;

import dev.precis.device.Device;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * Memory for the length of a step (an arena allocator): tensors are handed out one behind the other
 * and all taken back at once by {@link #reset}. A step that needs more than there is gets more; the
 * next reset makes one piece of it all, so that from the second step of a shape on nothing is
 * allocated.
 *
 * <p>On a GPU, integers lie in memory that the host reaches as well, for the host writes them and
 * the library looks at them; so does what is asked for with {@link #shared}, and not what is asked
 * for with {@link #device}.
 *
 * <p>Contents are undefined when handed out. Not thread-safe.
 */
public final class Workspace implements AutoCloseable {
  static final long ALIGNMENT = 64;
  private static final long SMALLEST = 1 << 20;

  /** Pieces of one kind of memory, which are handed out one after another. */
  private static final class Pieces {
    private record Piece(Arena arena, MemorySegment memory) {}

    private final Device device;
    private final boolean shared;
    private final List<Piece> pieces = new ArrayList<>();
    private int current; // the piece that is handed out
    private long used; // of the current piece
    private long before; // bytes of the pieces before it
    private long peak;

    Pieces(Device device, boolean shared) {
      this.device = device;
      this.shared = shared;
    }

    MemorySegment memory(long bytes) {
      long rounded = size(bytes);
      while (current < pieces.size() && used + rounded > sizeOf(current)) {
        before += sizeOf(current);
        current++;
        used = 0;
      }
      if (current == pieces.size()) {
        add(Math.max(rounded, Math.max(SMALLEST, total() / 2)));
      }
      peak = Math.max(peak, before + used + rounded);
      MemorySegment memory = pieces.get(current).memory.asSlice(used, bytes);
      used += rounded;
      return memory;
    }

    private long sizeOf(int piece) {
      return pieces.get(piece).memory.byteSize();
    }

    private void add(long bytes) {
      Arena arena = Arena.ofShared();
      pieces.add(
          new Piece(
              arena, shared ? device.allocateShared(arena, bytes) : device.allocate(arena, bytes)));
    }

    long total() {
      long total = 0;
      for (Piece piece : pieces) {
        total += piece.memory.byteSize();
      }
      return total;
    }

    Place place() {
      return new Place(current, used, before);
    }

    void release(Place place) {
      current = place.current;
      used = place.used;
      before = place.before;
    }

    void reset() {
      if (pieces.size() > 1) {
        long total = total();
        close();
        add(total);
      }
      begin();
    }

    private void begin() {
      current = 0;
      used = 0;
      before = 0;
    }

    void reserve(long bytes) {
      if (pieces.size() != 1 || total() < bytes) {
        close();
        add(Math.max(bytes, SMALLEST));
      }
      reset();
    }

    void close() {
      for (Piece piece : pieces) {
        piece.arena.close();
      }
      pieces.clear();
      begin();
    }
  }

  private record Place(int current, long used, long before) {}

  private final Device owner;
  private final Pieces device;
  private final Pieces shared; // on the CPU the same

  /** Makes an empty workspace on a device, which must outlive it. */
  public Workspace(Device owner) {
    this.owner = owner;
    device = new Pieces(owner, false);
    shared = owner.onGpu() ? new Pieces(owner, true) : device;
  }

  /** Returns the device whose memory this is. */
  Device owner() {
    return owner;
  }

  /** Returns the bytes that a tensor of so many bytes takes. */
  public static long size(long bytes) {
    return (Math.max(bytes, 1) + ALIGNMENT - 1) & -ALIGNMENT;
  }

  /** Hands out a contiguous tensor, valid until the next {@link #reset} or {@link #release}. */
  public Tensor tensor(DType dtype, long... dims) {
    boolean whole = dtype == DType.INT32 || dtype == DType.INT64;
    return tensor(whole ? shared : device, dtype, dims);
  }

  /** Hands out a contiguous tensor that the device alone reaches, whatever its type is. */
  public Tensor device(DType dtype, long... dims) {
    return tensor(device, dtype, dims);
  }

  /** Hands out a contiguous tensor that the host reads or writes often. */
  public Tensor shared(DType dtype, long... dims) {
    return tensor(shared, dtype, dims);
  }

  private Tensor tensor(Pieces pieces, DType dtype, long... dims) {
    long bytes = dtype.bytes();
    for (long dim : dims) {
      bytes = Math.multiplyExact(bytes, dim);
    }
    Tensor tensor = Tensor.of(pieces.memory(bytes), dtype, dims);
    return pieces.shared ? tensor.sharedWith(owner) : tensor.on(owner);
  }

  /** Returns the present place of the workspace, for {@link #release}. */
  public Mark mark() {
    return new Mark(device.place(), shared.place());
  }

  /** A place in a workspace. */
  public static final class Mark {
    private final Place device;
    private final Place shared;

    private Mark(Place device, Place shared) {
      this.device = device;
      this.shared = shared;
    }
  }

  /** Takes back everything that was handed out since the mark. */
  public void release(Mark mark) {
    device.release(mark.device);
    shared.release(mark.shared);
  }

  /** Takes back everything. */
  public void reset() {
    device.reset();
    shared.reset();
  }

  /** Makes the workspace one piece of at least so many bytes, and takes back everything. */
  public void reserve(long bytes) {
    device.reserve(bytes);
    shared.reset();
  }

  /** Returns the most that was in use at a time since the last {@link #resetPeak}, in bytes. */
  public long peak() {
    return device.peak;
  }

  /** Begins to measure {@link #peak} anew. */
  public void resetPeak() {
    device.peak = 0;
  }

  /** Returns the bytes held. */
  public long bytes() {
    return device == shared ? device.total() : device.total() + shared.total();
  }

  @Override
  public void close() {
    device.close();
    shared.close();
  }
}
