package dev.precis.spark;

import dev.precis.io.InvalidInputException;
import java.util.Arrays;
import java.util.List;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;

/** Checks columns for stages, whose names its messages begin with. */
final class Columns {
  private Columns() {}

  /**
   * Returns the index of a column.
   *
   * @throws InvalidInputException if there is none of this name
   */
  static int index(String stage, StructType schema, String column) {
    int index = names(schema).indexOf(column);
    if (index < 0) {
      throw new InvalidInputException(
          "%s: there is no column %s among %s".formatted(stage, column, names(schema)));
    }
    return index;
  }

  /** Makes sure that a column is there and is text. */
  static void requireText(String stage, StructType schema, String column) {
    int index = index(stage, schema, column);
    if (!schema.apply(index).dataType().equals(DataTypes.StringType)) {
      throw new InvalidInputException(
          "%s: the column %s must be a string, not %s"
              .formatted(stage, column, schema.apply(index).dataType().sql()));
    }
  }

  /** Makes sure that a column can be added. */
  static void requireAbsent(String stage, StructType schema, String column) {
    if (names(schema).contains(column)) {
      throw new InvalidInputException(
          "%s: there is a column %s already: choose another name".formatted(stage, column));
    }
  }

  private static List<String> names(StructType schema) {
    return Arrays.asList(schema.fieldNames());
  }

  /**
   * Returns two columns of text of a frame, in its order.
   *
   * @throws InvalidInputException if one is none of text, or a row has a null
   */
  static List<Row> texts(String stage, Dataset<Row> rows, String first, String second) {
    requireText(stage, rows.schema(), first);
    requireText(stage, rows.schema(), second);
    List<Row> all = rows.select(rows.col(first), rows.col(second)).collectAsList();
    for (int i = 0; i < all.size(); i++) {
      if (all.get(i).anyNull()) {
        throw new InvalidInputException(
            "%s: row %d has a null in %s or %s: leave such rows out"
                .formatted(stage, i + 1, first, second));
      }
    }
    return all;
  }

  /** Returns a row with values behind its own. */
  static Row with(Row row, Object... more) {
    Object[] values = new Object[row.length() + more.length];
    for (int i = 0; i < row.length(); i++) {
      values[i] = row.get(i);
    }
    System.arraycopy(more, 0, values, row.length(), more.length);
    return RowFactory.create(values);
  }
}
