package dev.precis.data.arrow;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * A table of a FlatBuffers message. Offsets come from the file: each is checked, and a wrong one is
 * a {@link DamagedException}.
 *
 * @param buffer the message, little-endian
 * @param at position of the table
 */
record FlatTable(ByteBuffer buffer, int at) {
  private static final int MOST_ITEMS = 1 << 20;

  /** Thrown if a message does not say what it must. */
  static final class DamagedException extends RuntimeException {
    DamagedException(String message) {
      super(message, null, false, false);
    }
  }

  /** Returns the table that a message begins with. */
  static FlatTable root(ByteBuffer buffer) {
    return new FlatTable(buffer, follow(buffer, 0));
  }

  private static void check(boolean valid) {
    if (!valid) {
      throw new DamagedException("an offset in it is wrong");
    }
  }

  private static int int32(ByteBuffer buffer, int at) {
    check(at >= 0 && at <= buffer.limit() - 4);
    return buffer.getInt(at);
  }

  private static int follow(ByteBuffer buffer, int at) {
    long target = (long) at + (int32(buffer, at) & 0xFFFFFFFFL);
    check(target <= buffer.limit() - 4);
    return (int) target;
  }

  /** Returns the position of a field of the table, or 0 where it has its default. */
  private int field(int index, int size) {
    long table = (long) at - int32(buffer, at);
    check(table >= 0 && table <= buffer.limit() - 4);
    int length = buffer.getShort((int) table) & 0xFFFF;
    int entry = 4 + 2 * index;
    if (entry + 2 > length) {
      return 0;
    }
    check(table + entry + 2 <= buffer.limit());
    int offset = buffer.getShort((int) table + entry) & 0xFFFF;
    check(offset == 0 || at + (long) offset + size <= buffer.limit());
    return offset == 0 ? 0 : at + offset;
  }

  int int8(int index, int otherwise) {
    int field = field(index, 1);
    return field == 0 ? otherwise : buffer.get(field);
  }

  int int16(int index, int otherwise) {
    int field = field(index, 2);
    return field == 0 ? otherwise : buffer.getShort(field);
  }

  int int32(int index, int otherwise) {
    int field = field(index, 4);
    return field == 0 ? otherwise : buffer.getInt(field);
  }

  long int64(int index, long otherwise) {
    int field = field(index, 8);
    return field == 0 ? otherwise : buffer.getLong(field);
  }

  /** Returns a table that a field refers to, or null. */
  FlatTable table(int index) {
    int field = field(index, 4);
    return field == 0 ? null : new FlatTable(buffer, follow(buffer, field));
  }

  /** Returns a text, or an empty one where there is none. */
  String text(int index) {
    int field = field(index, 4);
    if (field == 0) {
      return "";
    }
    int start = follow(buffer, field);
    int length = int32(buffer, start);
    check(length >= 0 && length <= buffer.limit() - start - 4);
    byte[] bytes = new byte[length];
    buffer.get(start + 4, bytes);
    return new String(bytes, StandardCharsets.UTF_8);
  }

  /** Returns a list of tables, empty where there is none. */
  List<FlatTable> tables(int index) {
    int[] place = vector(index, 4);
    List<FlatTable> all = new ArrayList<>();
    for (int i = 0; i < place[1]; i++) {
      all.add(new FlatTable(buffer, follow(buffer, place[0] + 4 * i)));
    }
    return all;
  }

  /**
   * Returns a list of structures of 64-bit numbers, one after the other.
   *
   * @param width numbers in a structure
   */
  long[] longs(int index, int width) {
    int[] place = vector(index, 8 * width);
    long[] all = new long[place[1] * width];
    for (int i = 0; i < all.length; i++) {
      all[i] = buffer.getLong(place[0] + 8 * i);
    }
    return all;
  }

  /** Returns the position of a vector's first element and their number. */
  private int[] vector(int index, int size) {
    int field = field(index, 4);
    if (field == 0) {
      return new int[] {0, 0};
    }
    int start = follow(buffer, field);
    int count = int32(buffer, start);
    check(count >= 0 && count <= MOST_ITEMS && (long) count * size <= buffer.limit() - start - 4L);
    return new int[] {start + 4, count};
  }
}
