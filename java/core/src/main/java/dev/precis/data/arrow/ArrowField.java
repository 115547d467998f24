package dev.precis.data.arrow;

import dev.precis.data.arrow.FlatTable.DamagedException;
import java.util.ArrayList;
import java.util.List;

/**
 * A column of the schema.
 *
 * @param type of the values; of a column with a dictionary, of the dictionary's values
 * @param width bits of a number; bytes or items of a value of fixed size
 * @param signed whether a whole number has a sign
 * @param dictionary id of the dictionary that the values are in, or {@link #NO_DICTIONARY}
 * @param indexWidth bits of an index into the dictionary
 * @param children columns within this one
 */
record ArrowField(
    String name,
    Type type,
    int width,
    boolean signed,
    long dictionary,
    int indexWidth,
    boolean indexSigned,
    List<ArrowField> children) {
  static final long NO_DICTIONARY = Long.MIN_VALUE;
  private static final int MOST_LEVELS = 32;
  private static final int MOST_FIELDS = 10_000;

  /** The types, in the order of Arrow's numbers for them. */
  enum Type {
    NONE,
    NULL,
    INT,
    FLOAT,
    BINARY,
    UTF8,
    BOOL,
    DECIMAL,
    DATE,
    TIME,
    TIMESTAMP,
    INTERVAL,
    LIST,
    STRUCT,
    UNION,
    FIXED_SIZE_BINARY,
    FIXED_SIZE_LIST,
    MAP,
    DURATION,
    LARGE_BINARY,
    LARGE_UTF8,
    LARGE_LIST,
    RUN_END_ENCODED,
    BINARY_VIEW,
    UTF8_VIEW,
    LIST_VIEW,
    LARGE_LIST_VIEW
  }

  /** Reads the columns of a schema message. */
  static List<ArrowField> schema(FlatTable schema) {
    if (schema.int16(0, 0) != 0) {
      throw new DamagedException("it is written for big-endian machines");
    }
    int[] count = {0};
    return all(schema.tables(1), 0, count);
  }

  private static List<ArrowField> all(List<FlatTable> tables, int level, int[] count) {
    if (level > MOST_LEVELS) {
      throw new DamagedException("it is nested deeper than " + MOST_LEVELS + " levels");
    }
    List<ArrowField> fields = new ArrayList<>();
    for (FlatTable table : tables) {
      if (++count[0] > MOST_FIELDS) {
        throw new DamagedException("it has more than " + MOST_FIELDS + " columns");
      }
      fields.add(of(table, all(table.tables(5), level + 1, count)));
    }
    return fields;
  }

  private static ArrowField of(FlatTable field, List<ArrowField> children) {
    int number = field.int8(2, 0);
    Type[] types = Type.values();
    FlatTable details = field.table(3);
    if (number <= 0 || number >= types.length || details == null) {
      throw new DamagedException("a column has a type that is not known");
    }
    Type type = types[number];
    int width =
        switch (type) {
          case INT -> bits(details);
          case FLOAT -> 16 << Math.clamp(details.int16(0, 0), 0, 2);
          case FIXED_SIZE_LIST, FIXED_SIZE_BINARY -> details.int32(0, 0);
          case UNION -> details.int16(0, 0);
          default -> 0;
        };
    int childrenNeeded =
        switch (type) {
          case LIST, LARGE_LIST, FIXED_SIZE_LIST, MAP, LIST_VIEW, LARGE_LIST_VIEW -> 1;
          case RUN_END_ENCODED -> 2;
          default -> -1;
        };
    if (width < 0 || childrenNeeded >= 0 && children.size() != childrenNeeded) {
      throw new DamagedException("a column's type is wrong");
    }
    FlatTable encoding = field.table(4);
    FlatTable index = encoding == null ? null : encoding.table(1);
    return new ArrowField(
        field.text(0),
        type,
        width,
        type == Type.INT && details.int8(1, 0) != 0,
        encoding == null ? NO_DICTIONARY : encoding.int64(0, 0),
        index == null ? 32 : bits(index),
        index == null || index.int8(1, 0) != 0,
        children);
  }

  private static int bits(FlatTable number) {
    int bits = number.int32(0, 0);
    if (bits != 8 && bits != 16 && bits != 32 && bits != 64) {
      throw new DamagedException("a column has numbers of " + bits + " bits");
    }
    return bits;
  }
}
