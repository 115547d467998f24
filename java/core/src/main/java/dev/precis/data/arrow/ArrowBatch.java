package dev.precis.data.arrow;

import dev.precis.data.arrow.FlatTable.DamagedException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * The columns of one record batch, taken out of its body in the order of the schema. Buffers are
 * slices of the body: their offsets and lengths come from the file and are checked.
 */
final class ArrowBatch {
  private static final int MOST_ROWS = Integer.MAX_VALUE - 8;

  private static final int MOST_DECOMPRESSED = 1 << 30;
  private static final long RATIO = 200;
  private static final int ALWAYS_ALLOWED_BYTES = 1 << 26;
  private static final int ALWAYS_ALLOWED_ROWS = 1 << 16;
  private static final int LZ4 = 0;

  private final byte[] body;
  private final long[] nodes;
  private final long[] buffers;
  private final long[] variadic;
  private final FlatTable compression;
  private final Decompressor decompressor;
  private final Map<Long, ArrowColumn> dictionaries;
  private final Map<Long, Integer> dictionarySizes;
  private final int rows;
  private int node;
  private int buffer;
  private int view;

  ArrowBatch(
      FlatTable header,
      byte[] body,
      Map<Long, ArrowColumn> dictionaries,
      Map<Long, Integer> dictionarySizes,
      Decompressor decompressor) {
    this.body = body;
    this.dictionaries = dictionaries;
    this.dictionarySizes = dictionarySizes;
    this.decompressor = decompressor;
    rows = count(header.int64(0, 0));
    nodes = header.longs(1, 2);
    buffers = header.longs(2, 2);
    compression = header.table(3);
    variadic = header.longs(4, 1);
    if (compression != null && compression.int8(0, 0) == LZ4) {
      throw new DamagedException(
          "it is compressed with LZ4, which is not supported; write it without compression or with"
              + " zstd");
    }
    // Columns of nulls take no bytes: without this, a short file could have rows for ever.
    if (rows > ALWAYS_ALLOWED_ROWS && rows / 8 > body.length * (compression == null ? 1 : RATIO)) {
      throw new DamagedException("a number of rows in it is wrong");
    }
  }

  int rows() {
    return rows;
  }

  /** Returns the columns. */
  List<ArrowColumn> columns(List<ArrowField> fields) {
    List<ArrowColumn> columns = new ArrayList<>();
    for (ArrowField field : fields) {
      columns.add(column(field, rows));
    }
    return columns;
  }

  /** Returns the values of a dictionary. */
  ArrowColumn values(ArrowField field) {
    return values(field, rows);
  }

  private static int count(long count) {
    if (count < 0 || count > MOST_ROWS) {
      throw new DamagedException("a number of rows in it is wrong");
    }
    return (int) count;
  }

  private ArrowColumn column(ArrowField field, int atLeast) {
    if (field.dictionary() == ArrowField.NO_DICTIONARY) {
      return values(field, atLeast);
    }
    int count = node(atLeast);
    ByteBuffer validity = buffer();
    ByteBuffer indices = fixed(field.indexWidth(), count);
    ArrowColumn dictionary = dictionaries.get(field.dictionary());
    if (dictionary == null) {
      throw new DamagedException("a dictionary is missing");
    }
    return new ArrowColumn.Dictionary(
        ArrowColumn.valid(validity, count),
        new ArrowColumn.Int(indices, field.indexWidth(), field.indexSigned()),
        dictionary,
        dictionarySizes.get(field.dictionary()));
  }

  /** Takes the next node; returns its number of values. */
  private int node(int atLeast) {
    if (2 * node >= nodes.length) {
      throw new DamagedException("a column is missing");
    }
    int count = count(nodes[2 * node++]);
    if (count < atLeast) {
      throw new DamagedException("a column is shorter than the others");
    }
    return count;
  }

  private ArrowColumn values(ArrowField field, int atLeast) {
    int count = node(atLeast);
    ArrowField.Type type = field.type();
    if (type == ArrowField.Type.NULL) {
      return row -> null;
    }
    if (type == ArrowField.Type.UNION || type == ArrowField.Type.RUN_END_ENCODED) {
      return skipped(field, count);
    }
    ArrowColumn.Validity valid = ArrowColumn.valid(buffer(), count);
    return switch (type) {
      case INT ->
          new ArrowColumn.Checked(
              valid,
              new ArrowColumn.Int(fixed(field.width(), count), field.width(), field.signed()));
      case FLOAT ->
          new ArrowColumn.Checked(
              valid, new ArrowColumn.Floating(fixed(field.width(), count), field.width()));
      case BOOL -> new ArrowColumn.Checked(valid, new ArrowColumn.Bool(fixed(1, count)));
      case UTF8, LARGE_UTF8 ->
          new ArrowColumn.Checked(
              valid,
              new ArrowColumn.Text(offsets(type == ArrowField.Type.LARGE_UTF8, count), buffer()));
      case UTF8_VIEW ->
          new ArrowColumn.Checked(
              valid, new ArrowColumn.TextView(fixed(128, count), variadicBuffers()));
      case LIST, LARGE_LIST -> {
        ArrowColumn.Offsets offsets = offsets(type == ArrowField.Type.LARGE_LIST, count);
        ArrowColumn items = column(field.children().getFirst(), offsets.last());
        yield new ArrowColumn.Checked(valid, new ArrowColumn.Items(offsets, items));
      }
      case FIXED_SIZE_LIST -> {
        long all = (long) field.width() * count;
        ArrowColumn items = column(field.children().getFirst(), count(all));
        yield new ArrowColumn.Checked(valid, new ArrowColumn.FixedItems(field.width(), items));
      }
      case STRUCT -> {
        List<ArrowColumn> members = new ArrayList<>();
        for (ArrowField child : field.children()) {
          members.add(column(child, count));
        }
        yield new ArrowColumn.Checked(valid, new ArrowColumn.Struct(field.children(), members));
      }
      default -> {
        passOver(field);
        yield new ArrowColumn.Checked(valid, row -> ArrowColumn.OTHER);
      }
    };
  }

  /** Passes over the buffers of a column whose values are none that data is read from. */
  private void passOver(ArrowField field) {
    switch (field.type()) {
      case BINARY, LARGE_BINARY -> {
        buffer();
        buffer();
      }
      case BINARY_VIEW -> {
        buffer();
        variadicBuffers();
      }
      case MAP -> {
        buffer();
        column(field.children().getFirst(), 0);
      }
      case LIST_VIEW, LARGE_LIST_VIEW -> {
        buffer();
        buffer();
        column(field.children().getFirst(), 0);
      }
      default -> buffer();
    }
  }

  /** Passes over a column that has no validity. */
  private ArrowColumn skipped(ArrowField field, int count) {
    if (field.type() == ArrowField.Type.UNION) {
      buffer();
      if (field.width() == 1) {
        buffer();
      }
    }
    for (ArrowField child : field.children()) {
      column(child, 0);
    }
    return row -> ArrowColumn.OTHER;
  }

  private List<ByteBuffer> variadicBuffers() {
    if (view >= variadic.length) {
      throw new DamagedException("a column lacks the number of its buffers");
    }
    long count = variadic[view++];
    if (count < 0 || count > buffers.length) {
      throw new DamagedException("a column has a wrong number of buffers");
    }
    List<ByteBuffer> all = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      all.add(buffer());
    }
    return all;
  }

  private ArrowColumn.Offsets offsets(boolean large, int count) {
    ByteBuffer offsets = buffer();
    int size = large ? 8 : 4;
    if (count > 0 && offsets.limit() < (count + 1L) * size) {
      throw new DamagedException("a column is shorter than its number of rows");
    }
    return new ArrowColumn.Offsets(offsets, large, count);
  }

  /** Takes a buffer that holds so many values of so many bits. */
  private ByteBuffer fixed(int bits, int count) {
    ByteBuffer buffer = buffer();
    if (buffer.limit() < ((long) bits * count + 7) / 8) {
      throw new DamagedException("a column is shorter than its number of rows");
    }
    return buffer;
  }

  /** Takes the next buffer, decompressed. */
  private ByteBuffer buffer() {
    if (2 * buffer >= buffers.length) {
      throw new DamagedException("a column is missing");
    }
    long from = buffers[2 * buffer];
    long length = buffers[2 * buffer + 1];
    buffer++;
    if (from < 0 || length < 0 || from > body.length - length) {
      throw new DamagedException("a column lies outside of it");
    }
    ByteBuffer slice =
        ByteBuffer.wrap(body, (int) from, (int) length).slice().order(ByteOrder.LITTLE_ENDIAN);
    if (compression == null || length == 0) {
      return slice;
    }
    if (length < 8) {
      throw new DamagedException("a compressed column is too short");
    }
    long size = slice.getLong(0);
    if (size == -1) {
      return slice.slice(8, (int) length - 8).order(ByteOrder.LITTLE_ENDIAN);
    }
    if (size < 0
        || size > MOST_DECOMPRESSED
        || size > ALWAYS_ALLOWED_BYTES && size / RATIO > length) {
      throw new DamagedException("a column decompresses to far more than texts do");
    }
    try (InputStream in =
        decompressor.open(new ByteArrayInputStream(body, (int) from + 8, (int) length - 8))) {
      byte[] bytes = in.readNBytes((int) size);
      if (bytes.length < size) {
        throw new DamagedException("a compressed column is cut off");
      }
      return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    } catch (IOException e) {
      throw new DamagedException("a compressed column is damaged");
    }
  }
}
