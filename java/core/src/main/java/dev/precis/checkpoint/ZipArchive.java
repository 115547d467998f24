package dev.precis.checkpoint;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Utf8;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;

/**
 * A mapped zip archive whose stored entries are read in place.
 *
 * <p>{@link java.util.zip.ZipFile} does not tell where an entry's bytes are, hence this reader: the
 * central directory, zip64 included, of a single-disk, unencrypted archive. Checksums are not
 * compared: PyTorch can be told to leave them out.
 */
final class ZipArchive {
  private static final ValueLayout.OfShort U16 =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt U32 =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong U64 =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private static final int LOCAL = 0x04034b50;
  private static final int CENTRAL = 0x02014b50;
  private static final int END = 0x06054b50;
  private static final int END64 = 0x06064b50;
  private static final int LOCATOR64 = 0x07064b50;
  private static final int END_SIZE = 22;
  private static final int CENTRAL_SIZE = 46;
  private static final int LOCAL_SIZE = 30;
  private static final int STORED = 0;
  private static final int DEFLATED = 8;
  private static final int ENCRYPTED_FLAG = 1;
  private static final long ALL_16 = 0xffffL;
  private static final long ALL_32 = 0xffffffffL;

  /** Weights hardly shrink; what unpacks to more than this many times the file is a bomb. */
  private static final long MAX_RATIO = 16;

  private static final long ALWAYS_ALLOWED = 64L << 20;

  /** The place of an entry's bytes in the archive, and their unpacked size. */
  private record Entry(long start, long packed, long size, boolean deflated) {}

  private final Path path;
  private final MemorySegment file;
  private final Arena arena;
  private final Map<String, Entry> entries = new LinkedHashMap<>();
  private final Map<String, MemorySegment> unpacked = new HashMap<>();
  private long unpackedBudget;

  /** Reads and checks the directory of an archive. */
  ZipArchive(Path path, MemorySegment file, Arena arena) {
    this.path = path;
    this.file = file;
    this.arena = arena;
    this.unpackedBudget = MAX_RATIO * file.byteSize() + ALWAYS_ALLOWED;
    try {
      readDirectory();
    } catch (IndexOutOfBoundsException e) {
      throw damaged("its directory points outside the file");
    }
  }

  /** Returns the entries' unpacked sizes by name, in the directory's order. */
  Map<String, Long> sizes() {
    Map<String, Long> sizes = new LinkedHashMap<>();
    entries.forEach((name, entry) -> sizes.put(name, entry.size));
    return sizes;
  }

  /** Returns an entry's bytes: a slice of the mapped file if it is stored, otherwise unpacked. */
  synchronized MemorySegment read(String name) {
    Entry entry = entries.get(name);
    MemorySegment packed = file.asSlice(entry.start, entry.packed);
    return entry.deflated
        ? unpacked.computeIfAbsent(name, n -> inflate(n, packed, entry.size))
        : packed;
  }

  private void readDirectory() {
    long end = findEnd();
    long count = u16(end + 10);
    long size = u32(end + 12);
    long start = u32(end + 16);
    if (count == ALL_16 || size == ALL_32 || start == ALL_32) {
      long locator = end - 20;
      if (locator < 0 || file.get(U32, locator) != LOCATOR64) {
        throw damaged("its zip64 directory is missing");
      }
      long end64 = u64(locator + 8);
      if (file.get(U32, end64) != END64) {
        throw damaged("its zip64 directory is missing");
      }
      count = u64(end64 + 32);
      size = u64(end64 + 40);
      start = u64(end64 + 48);
    }
    if (start > end || size > end - start || count > size / CENTRAL_SIZE) {
      throw damaged("its directory does not fit");
    }
    long at = start;
    for (long i = 0; i < count; i++) {
      at = readEntry(at, start);
    }
  }

  private long findEnd() {
    long last = file.byteSize() - END_SIZE;
    for (long at = last; at >= Math.max(0, last - ALL_16); at--) {
      if (file.get(U32, at) == END && u16(at + 20) == last - at) {
        return at;
      }
    }
    throw damaged("it has no zip directory");
  }

  /** Reads the directory's entry at {@code at}; gives where the next one is. */
  private long readEntry(long at, long directory) {
    if (file.get(U32, at) != CENTRAL) {
      throw damaged("its directory is garbled");
    }
    int nameLength = u16(at + 28);
    int extraLength = u16(at + 30);
    long nameAt = at + CENTRAL_SIZE;
    MemorySegment nameBytes = file.asSlice(nameAt, nameLength);
    String name = Utf8.decode(nameBytes.asByteBuffer(), path + ", an entry's name,");
    if ((u16(at + 8) & ENCRYPTED_FLAG) != 0) {
      throw TensorFile.invalid(path, "is encrypted, which is not read: save it without a password");
    }
    int method = u16(at + 10);
    if (method != STORED && method != DEFLATED) {
      throw damaged("entry " + name + " is packed by method " + method);
    }
    long[] sizeAndPlace = {u32(at + 24), u32(at + 20), u32(at + 42)};
    widen(sizeAndPlace, nameAt + nameLength, extraLength);
    long size = sizeAndPlace[0];
    long packed = sizeAndPlace[1];
    long local = sizeAndPlace[2];
    if (local > directory - LOCAL_SIZE || file.get(U32, local) != LOCAL) {
      throw damaged("entry " + name + " is not where its directory says");
    }
    int localNameLength = u16(local + 26);
    if (localNameLength != nameLength
        || file.asSlice(local + LOCAL_SIZE, nameLength).mismatch(nameBytes) != -1) {
      throw damaged("entry " + name + " has two names");
    }
    long start = local + LOCAL_SIZE + nameLength + u16(local + 28);
    if (start > directory || packed > directory - start || (method == STORED && size != packed)) {
      throw damaged("entry " + name + " does not fit");
    }
    if (entries.put(name, new Entry(start, packed, size, method == DEFLATED)) != null) {
      throw damaged("entry " + name + " is there twice");
    }
    return nameAt + nameLength + extraLength + u16(at + 32);
  }

  /** Replaces those of the three values that did not fit 32 bits by the zip64 field's. */
  private void widen(long[] values, long extra, int extraLength) {
    if (Arrays.stream(values).noneMatch(value -> value == ALL_32)) {
      return;
    }
    long end = extra + extraLength;
    for (long at = extra; at + 4 <= end; at += 4 + u16(at + 2)) {
      if (u16(at) == 1) {
        long field = at + 4;
        for (int i = 0; i < values.length; i++) {
          if (values[i] == ALL_32) {
            values[i] = u64(field);
            field += 8;
          }
        }
        if (field > at + 4 + u16(at + 2)) {
          break;
        }
        return;
      }
    }
    throw damaged("its zip64 sizes are missing");
  }

  private MemorySegment inflate(String name, MemorySegment packed, long size) {
    unpackedBudget -= size;
    if (unpackedBudget < 0) {
      throw TensorFile.invalid(
          path,
          "unpacks to more than "
              + MAX_RATIO
              + " times its size at entry "
              + name
              + ", which no checkpoint does: it is refused");
    }
    MemorySegment target = arena.allocate(size, Long.BYTES);
    byte[] in = new byte[1 << 16];
    byte[] out = new byte[1 << 16];
    long read = 0;
    long written = 0;
    try (Inflater inflater = new Inflater(true)) {
      while (!inflater.finished()) {
        if (inflater.needsInput()) {
          int count = (int) Math.min(in.length, packed.byteSize() - read);
          if (count == 0) {
            break;
          }
          MemorySegment.copy(packed, JAVA_BYTE, read, in, 0, count);
          inflater.setInput(in, 0, count);
          read += count;
        }
        int count = inflater.inflate(out);
        if (inflater.needsDictionary() || count > size - written) {
          written = -1;
          break;
        }
        MemorySegment.copy(out, 0, target, JAVA_BYTE, written, count);
        written += count;
      }
    } catch (DataFormatException e) {
      written = -1;
    }
    if (written != size) {
      throw damaged("entry " + name + " does not unpack to its " + size + " bytes");
    }
    return target.asReadOnly();
  }

  private int u16(long at) {
    return Short.toUnsignedInt(file.get(U16, at));
  }

  private long u32(long at) {
    return Integer.toUnsignedLong(file.get(U32, at));
  }

  private long u64(long at) {
    long value = file.get(U64, at);
    if (value < 0) {
      throw damaged("it has a size beyond all bounds");
    }
    return value;
  }

  private InvalidInputException damaged(String how) {
    return TensorFile.invalid(path, "is cut short or damaged (" + how + "): fetch it again");
  }
}
