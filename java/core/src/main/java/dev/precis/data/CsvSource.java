package dev.precis.data;

import de.siegmar.fastcsv.reader.CsvParseException;
import de.siegmar.fastcsv.reader.CsvReader;
import de.siegmar.fastcsv.reader.CsvRecord;
import de.siegmar.fastcsv.reader.FieldMismatchStrategy;
import dev.precis.io.InvalidInputException;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Comma-separated values with a header. */
final class CsvSource implements RowSource {
  private final CsvReader<CsvRecord> csv;
  private final Iterator<CsvRecord> records;
  private final String name;
  private List<String> header;

  CsvSource(InputStream in, String name) {
    this.name = name;
    csv =
        CsvReader.builder()
            .extraFieldStrategy(FieldMismatchStrategy.IGNORE) // next() checks, to name the line
            .missingFieldStrategy(FieldMismatchStrategy.IGNORE)
            .allowUnclosedQuote(false)
            .ofCsvRecord(new InputStreamReader(new Utf8Stream(in, name), StandardCharsets.UTF_8));
    records = csv.iterator();
  }

  @Override
  public Row next() throws IOException {
    try {
      if (header == null && records.hasNext()) {
        header = records.next().getFields().stream().map(String::strip).toList();
        if (header.stream().distinct().count() < header.size()) {
          throw new InvalidInputException(
              name + ", line 1 names a column twice: " + String.join(", ", header));
        }
      }
      if (!records.hasNext()) {
        return null;
      }
      CsvRecord record = records.next();
      long line = record.getStartingLineNumber();
      String where = name + ", line " + line;
      if (record.getFieldCount() != header.size()) {
        throw new InvalidInputException(
            "%s has %d fields where the header has %d; texts with commas or line ends need quotes"
                .formatted(where, record.getFieldCount(), header.size()));
      }
      Map<String, Object> fields = new LinkedHashMap<>();
      for (int i = 0; i < header.size(); i++) {
        fields.put(header.get(i), emptyIsAbsent(header.get(i), record.getField(i)));
      }
      return new Row(fields, where, line);
    } catch (CsvParseException e) {
      Throwable cause = e.getCause();
      throw new InvalidInputException(
          name
              + " is not valid CSV: "
              + e.getMessage()
              + (cause == null ? "" : ", " + cause.getMessage()),
          e);
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  /** Turns an empty cell into an absent one; but an empty dialogue is an error. */
  private static String emptyIsAbsent(String column, String cell) {
    return cell.isEmpty() && !Row.TEXT.contains(column) ? null : cell;
  }

  @Override
  public void close() throws IOException {
    csv.close();
  }
}
