package dev.precis.data;

import java.io.IOException;
import java.util.Map;

/** Rows of a file in columns. */
final class TableSource implements RowSource {
  private final TableFormat.Rows rows;
  private final String name;
  private long number;

  TableSource(TableFormat.Rows rows, String name) {
    this.rows = rows;
    this.name = name;
  }

  @Override
  public Row next() throws IOException {
    Map<String, Object> fields = rows.next();
    number++;
    return fields == null ? null : new Row(fields, name + ", row " + number, number);
  }

  @Override
  public void close() throws IOException {
    rows.close();
  }
}
