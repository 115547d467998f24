package dev.precis.io;

import de.siegmar.fastcsv.writer.CsvWriter;
import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.util.List;

/**
 * A table as comma-separated values, for people who open it in a spreadsheet. A text that a
 * spreadsheet would run as a formula gets an apostrophe in front, because the texts of a table come
 * from models, data sets and annotators, and a formula can send the other cells away. Numbers stay
 * as they are.
 */
public final class CsvTable {
  /** Signs that begin a formula, those of East Asian width included. */
  private static final String FORMULA = "=+-@\uff1d\uff0b\uff0d\uff20";

  /** Signs at which spreadsheets start a cell anew, or which they skip. */
  private static final String CONTROL = "\t\r\n";

  private final StringWriter out = new StringWriter();

  /** Starts a table with a header. */
  public CsvTable(List<String> header) {
    row(header);
  }

  /**
   * Adds a row.
   *
   * @param cells numbers, texts, or null for an empty cell
   */
  public void row(List<?> cells) {
    try (CsvWriter csv = CsvWriter.builder().build(out)) {
      csv.writeRecord(cells.stream().map(CsvTable::cell).toList());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String cell(Object value) {
    if (value == null) {
      return "";
    }
    String text = value.toString();
    return value instanceof Number || !isFormula(text) ? text : "'" + text;
  }

  private static boolean isFormula(String text) {
    int at = 0;
    while (at < text.length() && isInvisible(text.charAt(at))) {
      at++;
    }
    return !text.isEmpty() && CONTROL.indexOf(text.charAt(0)) >= 0
        || at < text.length() && FORMULA.indexOf(text.charAt(at)) >= 0;
  }

  private static boolean isInvisible(char each) {
    return Character.isWhitespace(each)
        || Character.isSpaceChar(each)
        || Character.isIdentifierIgnorable(each);
  }

  /** Returns the table; each row ends with a carriage return and a line feed. */
  public String text() {
    return out.toString();
  }
}
