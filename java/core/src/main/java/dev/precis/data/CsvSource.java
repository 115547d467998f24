package dev.precis.data;

import de.siegmar.fastcsv.reader.CsvParseException;
import de.siegmar.fastcsv.reader.CsvReader;
import de.siegmar.fastcsv.reader.CsvRecord;
import de.siegmar.fastcsv.reader.FieldMismatchStrategy;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Printable;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PushbackReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** Separated values with a header. */
final class CsvSource implements RowSource {
  private static final Pattern LINE = Pattern.compile("line (\\d+)");

  private final CsvReader<CsvRecord> csv;
  private final Iterator<CsvRecord> records;
  private final String name;
  private final ColumnNames columns;
  private List<String> header;

  /**
   * Opens a file.
   *
   * @param tabs whether tabs separate the columns; else commas, or what the header is separated by
   */
  CsvSource(InputStream in, String name, boolean tabs, ColumnNames columns) throws IOException {
    this.name = name;
    this.columns = columns;
    PushbackReader reader =
        new PushbackReader(
            new BufferedReader(
                new InputStreamReader(new Utf8Stream(in, name), StandardCharsets.UTF_8)),
            Delimiter.MAX_HEADER);
    char delimiter;
    try {
      delimiter = tabs ? '\t' : Delimiter.find(reader, columns::reads);
    } catch (IOException | RuntimeException e) {
      in.close();
      throw e;
    }
    if (!tabs && delimiter != ',') {
      columns.note(
          "%s: the columns are separated by %s."
              .formatted(
                  name,
                  delimiter == ';'
                      ? "semicolons"
                      : delimiter == '\t' ? "tabs" : "'" + delimiter + "'"));
    }
    csv =
        CsvReader.builder()
            .fieldSeparator(delimiter)
            .extraFieldStrategy(FieldMismatchStrategy.IGNORE) // next() checks, to name the line
            .missingFieldStrategy(FieldMismatchStrategy.IGNORE)
            .allowUnclosedQuote(false)
            .ofCsvRecord(reader);
    records = csv.iterator();
  }

  @Override
  public Row next() throws IOException {
    try {
      if (header == null && records.hasNext()) {
        header = records.next().getFields().stream().map(String::strip).toList();
        if (header.stream().distinct().count() < header.size()) {
          throw new InvalidInputException(
              "%s, line 1 names a column twice: %s".formatted(name, shown(header)));
        }
      }
      if (!records.hasNext()) {
        return null;
      }
      CsvRecord record = records.next();
      long line = record.getStartingLineNumber();
      String where = name + ", line " + line;
      if (record.getFieldCount() != header.size()) {
        throw BadRowException.unreadable(
            "%s has %d fields where the header has %d; texts with commas or line ends need quotes"
                .formatted(where, record.getFieldCount(), header.size()));
      }
      Map<String, Object> fields = new LinkedHashMap<>();
      for (int i = 0; i < header.size(); i++) {
        fields.put(header.get(i), emptyIsAbsent(header.get(i), record.getField(i)));
      }
      return new Row(fields, where, line);
    } catch (CsvParseException e) {
      throw invalid(e);
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  /** Says in our words what the parser found. */
  private InvalidInputException invalid(CsvParseException e) {
    for (Throwable cause = e.getCause(); cause != null; cause = cause.getCause()) {
      if (cause instanceof InvalidInputException ours) {
        return ours; // what the parser reads from found it
      }
    }
    String said = e.getMessage() + " " + (e.getCause() == null ? "" : e.getCause().getMessage());
    Matcher line = LINE.matcher(said);
    String reason =
        said.contains("Unclosed")
            ? "a quoted text is not closed"
            : said.contains("closing quote")
                ? "something follows the closing quote of a text; a quote inside a text is doubled"
                : said.contains("exceeds") || said.contains("limit")
                    ? "a text is too long or there are too many columns"
                    : "its quoting is wrong";
    return new InvalidInputException(
        "%s is not valid CSV: %s%s"
            .formatted(name, reason, line.find() ? ", in the row of line " + line.group(1) : ""),
        e);
  }

  private static String shown(List<String> columns) {
    return columns.stream().map(Printable::of).collect(Collectors.joining(", "));
  }

  /** Turns an empty cell into an absent one; but an empty dialogue is an error. */
  private String emptyIsAbsent(String column, String cell) {
    return cell.isEmpty() && !columns.isText(column) ? null : cell;
  }

  @Override
  public void close() throws IOException {
    csv.close();
  }
}
