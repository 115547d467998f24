package dev.precis.data.parquet;

import dev.hardwood.InputFile;
import dev.hardwood.metadata.ColumnChunk;
import dev.hardwood.metadata.CompressionCodec;
import dev.hardwood.metadata.RowGroup;
import dev.hardwood.reader.ParquetFileReader;
import dev.hardwood.reader.RowReader;
import dev.hardwood.row.PqList;
import dev.hardwood.row.PqStruct;
import dev.precis.data.TableFormat;
import dev.precis.io.InvalidInputException;
import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.logging.Level;
import java.util.logging.Logger;

/** Rows of a Parquet file. */
final class ParquetRows implements TableFormat.Rows {
  private static final Logger LOG = Logger.getLogger("dev.hardwood");

  private static final Set<CompressionCodec> SUPPORTED =
      Set.of(
          CompressionCodec.UNCOMPRESSED,
          CompressionCodec.SNAPPY,
          CompressionCodec.GZIP,
          CompressionCodec.ZSTD);

  /** The most bytes of a row group, decompressed; its columns are in memory together. */
  private static final long MOST_BYTES = 1L << 32;

  /** Texts compress to a third or a tenth. */
  private static final long MOST_BYTES_PER_BYTE = 1000;

  private static final long ALWAYS_ALLOWED = 1 << 26;

  static {
    if (LOG.getLevel() == null) {
      LOG.setLevel(Level.WARNING); // at INFO it tells which decompressor it has found
    }
  }

  private final String name;
  private final ParquetFileReader reader;
  private final RowReader rows;
  private long number;

  ParquetRows(Path file) throws IOException {
    name = file.toString();
    ParquetFileReader opened = null;
    try {
      opened = ParquetFileReader.open(new BoundedInputFile(InputFile.of(file)));
      reader = opened;
      check(opened);
      rows = opened.rowReader();
    } catch (NoSuchFileException e) {
      throw e;
    } catch (InvalidInputException e) {
      opened.close();
      throw e;
    } catch (IOException | RuntimeException | OutOfMemoryError e) {
      if (opened != null) {
        opened.close();
      }
      throw unreadable(e);
    }
  }

  /** Refuses what cannot be decompressed, before any of it is read. */
  private void check(ParquetFileReader opened) {
    for (RowGroup group : opened.getFileMetaData().rowGroups()) {
      long total = 0;
      for (ColumnChunk column : group.columns()) {
        CompressionCodec codec = column.metaData().codec();
        if (!SUPPORTED.contains(codec)) {
          throw new InvalidInputException(
              "%s is compressed with %s, which is not supported; write it with Snappy, gzip or Zstandard"
                  .formatted(name, codec.name().startsWith("LZ4") ? "LZ4" : codec.name()));
        }
        long size = column.metaData().totalUncompressedSize();
        long compressed = column.metaData().totalCompressedSize();
        if (size < 0
            || size > ALWAYS_ALLOWED && size / MOST_BYTES_PER_BYTE > Math.max(1, compressed)) {
          throw new InvalidInputException(
              name + " cannot be read as Parquet: the size of a column is wrong");
        }
        total += size;
      }
      if (total > MOST_BYTES) {
        throw new InvalidInputException(
            "%s has a row group of %d bytes, more than the %d that are read at once; write it with smaller ones"
                .formatted(name, total, MOST_BYTES));
      }
    }
  }

  @Override
  public Map<String, Object> next() throws IOException {
    Map<String, Object> fields = new LinkedHashMap<>();
    try {
      if (!rows.hasNext()) {
        return null;
      }
      rows.next();
      number++;
      for (int i = 0; i < rows.getFieldCount(); i++) {
        fields.put(rows.getFieldName(i), rows.isNull(i) ? null : value(rows.getValue(i)));
      }
    } catch (RuntimeException | OutOfMemoryError e) {
      throw unreadable(e);
    }
    return fields;
  }

  /** Returns a value without the classes of the library. */
  private static Object value(Object value) {
    return switch (value) {
      case PqList list -> {
        List<Object> items = new ArrayList<>(list.size());
        for (Object item : list.values()) {
          items.add(value(item));
        }
        yield items;
      }
      case PqStruct struct -> {
        Map<String, Object> members = new LinkedHashMap<>();
        for (int i = 0; i < struct.getFieldCount(); i++) {
          members.put(struct.getFieldName(i), struct.isNull(i) ? null : value(struct.getValue(i)));
        }
        yield members;
      }
      case null -> null;
      default -> value;
    };
  }

  /**
   * Makes the message. Damage inside shows as exceptions of any kind, a wrong size as a lack of
   * memory; their own messages speak of pages and encodings.
   */
  private InvalidInputException unreadable(Throwable e) {
    return new InvalidInputException(
        "%s%s cannot be read as Parquet: %s"
            .formatted(
                name,
                number == 0 ? "" : ", row " + number + ",",
                e instanceof OutOfMemoryError
                    ? "a size in it is wrong, or it needs more memory than Java has"
                    : "it is damaged, cut off or something else"),
        e);
  }

  @Override
  public void close() throws IOException {
    rows.close();
    reader.close();
  }
}
