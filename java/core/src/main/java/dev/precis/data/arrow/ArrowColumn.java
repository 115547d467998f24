package dev.precis.data.arrow;

import dev.precis.data.arrow.FlatTable.DamagedException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The values of a column in a batch. */
@FunctionalInterface
interface ArrowColumn {
  /** Stands for a value of a type that data is not read from, such as a date. */
  Object OTHER = new Object();

  /** The longest text. */
  int MOST_BYTES = 1 << 26;

  /** The most items that a list may have. */
  int MOST_ITEMS = 1 << 20;

  /** Returns the value in a row: a text, number, boolean, list, map, {@link #OTHER} or null. */
  Object get(int row);

  /** Tells which values are there. */
  @FunctionalInterface
  interface Validity {
    boolean test(int row);
  }

  /** Returns which values are there, by a bitmap; an empty one means all. */
  static Validity valid(ByteBuffer bits, int count) {
    if (bits.limit() == 0) {
      return row -> true;
    }
    if (bits.limit() < (count + 7L) / 8) {
      throw new DamagedException("a column is shorter than its number of rows");
    }
    return row -> (bits.get(row >> 3) >> (row & 7) & 1) != 0;
  }

  /** Values of which some are null. */
  record Checked(Validity valid, ArrowColumn values) implements ArrowColumn {
    @Override
    public Object get(int row) {
      return valid.test(row) ? values.get(row) : null;
    }
  }

  /** Whole numbers. */
  record Int(ByteBuffer values, int bits, boolean signed) implements ArrowColumn {
    @Override
    public Object get(int row) {
      return number(row);
    }

    long number(int row) {
      return switch (bits) {
        case 8 -> signed ? values.get(row) : values.get(row) & 0xFF;
        case 16 -> signed ? values.getShort(2 * row) : values.getShort(2 * row) & 0xFFFF;
        case 32 -> signed ? values.getInt(4 * row) : values.getInt(4 * row) & 0xFFFFFFFFL;
        default -> values.getLong(8 * row);
      };
    }
  }

  /** Floating-point numbers. */
  record Floating(ByteBuffer values, int bits) implements ArrowColumn {
    @Override
    public Object get(int row) {
      return switch (bits) {
        case 16 -> (double) Float.float16ToFloat(values.getShort(2 * row));
        case 32 -> (double) values.getFloat(4 * row);
        default -> values.getDouble(8 * row);
      };
    }
  }

  /** Booleans, one a bit. */
  record Bool(ByteBuffer values) implements ArrowColumn {
    @Override
    public Object get(int row) {
      return (values.get(row >> 3) >> (row & 7) & 1) != 0;
    }
  }

  /** Where values of different lengths begin and end. */
  record Offsets(ByteBuffer values, boolean large, int count) {
    private long at(int index) {
      return large ? values.getLong(8 * index) : values.getInt(4 * index);
    }

    /** Returns the end of the last value, which the values' own column must reach. */
    int last() {
      long last = count == 0 ? 0 : at(count);
      if (last < 0 || last > Integer.MAX_VALUE) {
        throw new DamagedException("an offset in it is wrong");
      }
      return (int) last;
    }

    /** Returns the begin and the length of a value, checked. */
    long[] of(int row, long limit) {
      long from = at(row);
      long to = at(row + 1);
      if (from < 0 || to < from || to > limit) {
        throw new DamagedException("an offset in it is wrong");
      }
      return new long[] {from, to - from};
    }
  }

  /** Decodes UTF-8. */
  static String text(ByteBuffer bytes, int from, int length) {
    if (length > MOST_BYTES) {
      throw new DamagedException("a text in it is longer than " + MOST_BYTES + " bytes");
    }
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(bytes.slice(from, length)).toString();
    } catch (CharacterCodingException e) {
      throw new DamagedException("a text in it is not UTF-8");
    }
  }

  /** Texts. */
  record Text(Offsets offsets, ByteBuffer bytes) implements ArrowColumn {
    @Override
    public Object get(int row) {
      long[] place = offsets.of(row, bytes.limit());
      return text(bytes, (int) place[0], (int) place[1]);
    }
  }

  /** Texts of which short ones are in the views and long ones in buffers of their own. */
  record TextView(ByteBuffer views, List<ByteBuffer> buffers) implements ArrowColumn {
    private static final int INLINED = 12;

    @Override
    public Object get(int row) {
      int at = 16 * row;
      int length = views.getInt(at);
      if (length >= 0 && length <= INLINED) {
        return text(views, at + 4, length);
      }
      int index = views.getInt(at + 8);
      int from = views.getInt(at + 12);
      if (length < 0
          || index < 0
          || index >= buffers.size()
          || from < 0
          || from > buffers.get(index).limit() - length) {
        throw new DamagedException("an offset in it is wrong");
      }
      return text(buffers.get(index), from, length);
    }
  }

  /** Lists. */
  record Items(Offsets offsets, ArrowColumn items) implements ArrowColumn {
    @Override
    public Object get(int row) {
      long[] place = offsets.of(row, offsets.last());
      return list(items, (int) place[0], place[1]);
    }
  }

  /** Lists that all have the same length. */
  record FixedItems(int length, ArrowColumn items) implements ArrowColumn {
    @Override
    public Object get(int row) {
      return list(items, row * length, length);
    }
  }

  /** Returns the items of a list. */
  static List<Object> list(ArrowColumn items, int from, long length) {
    if (length > MOST_ITEMS) {
      throw new DamagedException("a list has more than " + MOST_ITEMS + " items");
    }
    List<Object> list = new ArrayList<>();
    for (int i = 0; i < length; i++) {
      list.add(items.get(from + i));
    }
    return list;
  }

  /** Structures. */
  record Struct(List<ArrowField> fields, List<ArrowColumn> members) implements ArrowColumn {
    @Override
    public Object get(int row) {
      Map<String, Object> values = new LinkedHashMap<>();
      for (int i = 0; i < members.size(); i++) {
        values.put(fields.get(i).name(), members.get(i).get(row));
      }
      return values;
    }
  }

  /** Values of a dictionary, by their indices. */
  record Dictionary(Validity valid, Int indices, ArrowColumn values, int count)
      implements ArrowColumn {
    @Override
    public Object get(int row) {
      if (!valid.test(row)) {
        return null;
      }
      long index = indices.number(row);
      if (index < 0 || index >= count) {
        throw new DamagedException("an index into a dictionary is wrong");
      }
      return values.get((int) index);
    }
  }
}
