package dev.precis.data;

import dev.precis.io.InvalidInputException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/** A file that is one dialogue, with the id 1, or with its name among others. */
final class TextSource implements RowSource {
  private static final int MAX_BYTES = 4 * Row.MAX_CHARACTERS;

  private final InputStream in;
  private final String name;
  private final String id;
  private boolean read;

  /**
   * Reads a file.
   *
   * @param id of the dialogue; null: its row
   */
  TextSource(InputStream in, String name, String id) {
    this.in = new Utf8Stream(in, name);
    this.name = name;
    this.id = id;
  }

  @Override
  public Row next() throws IOException {
    if (read) {
      return null;
    }
    read = true;
    String text = new String(in.readNBytes(MAX_BYTES), StandardCharsets.UTF_8);
    if (in.read() >= 0) {
      throw new InvalidInputException(
          "%s has more than the %d characters that a dialogue may have"
              .formatted(name, Row.MAX_CHARACTERS));
    }
    Map<String, Object> fields = new LinkedHashMap<>();
    if (id != null) {
      fields.put("id", id);
    }
    fields.put("dialogue", text.strip());
    return new Row(fields, name, 1);
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
