package dev.precis.data.arrow;

import dev.precis.data.arrow.FlatTable.DamagedException;
import dev.precis.io.InvalidInputException;
import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads rows from Arrow's IPC format, one batch in memory at a time. A file is read like a stream:
 * it is one behind its magic, and its footer is not needed.
 */
public final class ArrowReader implements Closeable {
  private static final byte[] MAGIC = "ARROW1\0\0".getBytes(StandardCharsets.US_ASCII);
  private static final int MOST_METADATA = 1 << 26;
  private static final int MOST_BATCHES_WITHOUT_ROWS = 1000;
  private static final int VERSION_4 = 3;
  private static final int SCHEMA = 1;
  private static final int DICTIONARY = 2;
  private static final int BATCH = 3;

  private final InputStream in;
  private final String name;
  private final Decompressor decompressor;
  private final Map<Long, ArrowColumn> dictionaries = new HashMap<>();
  private final Map<Long, Integer> dictionarySizes = new HashMap<>();
  private List<ArrowField> schema;
  private List<ArrowColumn> columns = List.of();
  private int rows;
  private int row;
  private long number;

  /**
   * Makes a reader, which owns the stream.
   *
   * @param name of the file, for messages
   * @param decompressor used where columns are compressed
   */
  public ArrowReader(InputStream in, String name, Decompressor decompressor) {
    this.in = in;
    this.name = name;
    this.decompressor = decompressor;
  }

  /**
   * Returns the fields of the next row, or {@code null} at the end.
   *
   * @throws InvalidInputException if the file is damaged
   */
  public Map<String, Object> next() throws IOException {
    try {
      for (int empty = 0; row == rows; empty++) {
        if (empty > MOST_BATCHES_WITHOUT_ROWS) {
          throw new DamagedException("it has many batches without rows");
        }
        if (!nextBatch()) {
          return null;
        }
      }
      Map<String, Object> fields = LinkedHashMap.newLinkedHashMap(schema.size());
      for (int i = 0; i < columns.size(); i++) {
        fields.put(schema.get(i).name(), columns.get(i).get(row));
      }
      row++;
      number++;
      return fields;
    } catch (DamagedException e) {
      throw damaged(e.getMessage(), e);
    } catch (IndexOutOfBoundsException | EOFException | OutOfMemoryError e) {
      throw damaged("a size in it is wrong, or it is cut off", e);
    }
  }

  private InvalidInputException damaged(String reason, Throwable e) {
    return new InvalidInputException(
        "%s%s cannot be read as Arrow: %s"
            .formatted(name, number == 0 ? "" : ", after row " + number + ",", reason),
        e);
  }

  private boolean nextBatch() throws IOException {
    ByteBuffer metadata = metadata();
    if (metadata == null) {
      return false;
    }
    FlatTable message = FlatTable.root(metadata);
    if (message.int16(0, 0) < VERSION_4) {
      throw new DamagedException("it is of a version before Arrow 0.15");
    }
    FlatTable header = message.table(2);
    long length = message.int64(3, 0);
    if (header == null || length < 0 || length > Integer.MAX_VALUE - 8) {
      throw new DamagedException("a message in it is wrong");
    }
    byte[] body = in.readNBytes((int) length);
    if (body.length < length) {
      throw new DamagedException("it is cut off");
    }
    switch (message.int8(1, 0)) {
      case SCHEMA -> {
        if (schema != null) {
          throw new DamagedException("it has two schemas");
        }
        schema = ArrowField.schema(header);
        if (schema.stream().map(ArrowField::name).distinct().count() < schema.size()) {
          throw new DamagedException("it names a column twice");
        }
      }
      case DICTIONARY -> dictionary(header, body);
      case BATCH -> {
        ArrowBatch batch =
            new ArrowBatch(header, body, dictionaries, dictionarySizes, decompressor);
        columns = batch.columns(requireSchema());
        rows = batch.rows();
        row = 0;
      }
      default -> throw new DamagedException("it holds something else than a table");
    }
    return true;
  }

  /** Reads the description of a message; null at the end. */
  private ByteBuffer metadata() throws IOException {
    byte[] start = in.readNBytes(4);
    if (schema == null && Arrays.equals(start, 0, start.length, MAGIC, 0, 4)) {
      in.skipNBytes(4);
      start = in.readNBytes(4);
    }
    if (start.length == 0) {
      requireSchema();
      return null;
    }
    int length = int32(start);
    if (length == -1) {
      length = int32(in.readNBytes(4));
    }
    if (length == 0) {
      requireSchema();
      return null; // the end of the stream; a footer may follow
    }
    if (length < 0 || length > MOST_METADATA) {
      throw new DamagedException("it does not begin as an Arrow file or stream does");
    }
    byte[] bytes = in.readNBytes(length);
    if (bytes.length < length) {
      throw new DamagedException("it is cut off");
    }
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static int int32(byte[] bytes) {
    if (bytes.length < 4) {
      throw new DamagedException("it is cut off");
    }
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getInt();
  }

  private List<ArrowField> requireSchema() {
    if (schema == null) {
      throw new DamagedException("it has no schema");
    }
    return schema;
  }

  private void dictionary(FlatTable header, byte[] body) throws IOException {
    long id = header.int64(0, 0);
    FlatTable data = header.table(1);
    if (data == null) {
      throw new DamagedException("a dictionary is empty");
    }
    if (header.int8(2, 0) != 0) {
      throw new DamagedException("it has dictionaries that grow, which are not supported");
    }
    ArrowField field = withDictionary(requireSchema(), id);
    if (field == null) {
      throw new DamagedException("a dictionary belongs to no column");
    }
    ArrowBatch batch = new ArrowBatch(data, body, dictionaries, dictionarySizes, decompressor);
    dictionaries.put(id, batch.values(field));
    dictionarySizes.put(id, batch.rows());
  }

  private static ArrowField withDictionary(List<ArrowField> fields, long id) {
    for (ArrowField field : fields) {
      if (field.dictionary() == id) {
        return field;
      }
      ArrowField found = withDictionary(field.children(), id);
      if (found != null) {
        return found;
      }
    }
    return null;
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
