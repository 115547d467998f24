package dev.precis.data;

import dev.hardwood.InputFile;
import dev.hardwood.reader.ParquetFileReader;
import dev.hardwood.reader.RowReader;
import dev.hardwood.row.PqList;
import dev.precis.io.InvalidInputException;
import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.logging.Level;
import java.util.logging.Logger;

/** Rows of a Parquet file. */
final class ParquetSource implements RowSource {
  private static final Logger LOG = Logger.getLogger("dev.hardwood");

  static {
    if (LOG.getLevel() == null) {
      LOG.setLevel(Level.WARNING); // at INFO it tells which decompressor it has found
    }
  }

  private final String name;
  private final ParquetFileReader reader;
  private final RowReader rows;
  private long number;

  ParquetSource(Path file) throws IOException {
    name = file.toString();
    ParquetFileReader opened = null;
    try {
      opened = ParquetFileReader.open(new BoundedInputFile(InputFile.of(file)));
      reader = opened;
      rows = opened.rowReader();
    } catch (NoSuchFileException e) {
      throw e;
    } catch (IOException | RuntimeException | OutOfMemoryError e) {
      if (opened != null) {
        opened.close();
      }
      throw unreadable(e);
    }
  }

  @Override
  public Row next() throws IOException {
    Map<String, Object> fields = new LinkedHashMap<>();
    try {
      if (!rows.hasNext()) {
        return null;
      }
      rows.next();
      number++;
      for (int i = 0; i < rows.getFieldCount(); i++) {
        Object value = rows.isNull(i) ? null : rows.getValue(i);
        fields.put(
            rows.getFieldName(i),
            value instanceof PqList list ? new ArrayList<>(list.values()) : value);
      }
    } catch (RuntimeException | OutOfMemoryError e) {
      throw unreadable(e);
    }
    return new Row(fields, name + ", row " + number, number);
  }

  /**
   * Makes the message. Damage inside shows as exceptions of any kind, a wrong size as a lack of
   * memory.
   */
  private InvalidInputException unreadable(Throwable e) {
    String row = number == 0 ? "" : ", row " + number + ",";
    return new InvalidInputException(
        name + row + " cannot be read as Parquet: " + e.getMessage(), e);
  }

  @Override
  public void close() throws IOException {
    rows.close();
    reader.close();
  }
}
