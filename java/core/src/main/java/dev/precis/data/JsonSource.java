package dev.precis.data;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.exc.JacksonIOException;

/** Objects one a line, or in a list. */
final class JsonSource implements RowSource {
  private final String name;
  private final LineReader lines; // null for a list
  private final Utf8Stream stream; // null for lines
  private JsonParser list;

  JsonSource(InputStream in, String name, boolean oneALine) {
    this.name = name;
    lines = oneALine ? new LineReader(in, name) : null;
    stream = oneALine ? null : new Utf8Stream(in, name);
  }

  @Override
  public Row next() throws IOException {
    return lines == null ? nextOfList() : nextLine();
  }

  private Row nextLine() throws IOException {
    String line = lines.next();
    while (line != null && line.isBlank()) {
      line = lines.next();
    }
    if (line == null) {
      return null;
    }
    String where = name + ", line " + lines.number();
    try (JsonParser parser = Json.rowParser(line)) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        throw noObject(where);
      }
      Map<String, Object> fields = object(parser);
      if (parser.nextToken() != null) {
        throw BadRowException.unreadable(where + " holds more than one JSON object");
      }
      return new Row(fields, where, lines.number());
    } catch (JacksonException e) {
      throw BadRowException.unreadable(Json.invalidLine(where, e));
    }
  }

  private Row nextOfList() throws IOException {
    try {
      if (list == null) {
        // Of bytes, the parser would guess the encoding.
        list = Json.rowParser(new InputStreamReader(stream, StandardCharsets.UTF_8));
        JsonToken first = list.nextToken();
        if (first == null) {
          return null;
        }
        if (first != JsonToken.START_ARRAY) {
          throw new InvalidInputException(
              name + " must hold a list of objects; a file with one object a line ends in .jsonl");
        }
      }
      JsonToken token = list.nextToken();
      if (token == JsonToken.END_ARRAY) {
        if (list.nextToken() != null) {
          throw new InvalidInputException(name + " holds something after its list");
        }
        return null;
      }
      int line = list.currentTokenLocation().getLineNr();
      String where = name + ", line " + line;
      if (token != JsonToken.START_OBJECT) {
        list.skipChildren();
        throw noObject(where);
      }
      return new Row(object(list), where, line);
    } catch (JacksonIOException e) {
      throw e.getCause();
    } catch (JacksonException e) {
      throw Json.invalid(name, e);
    }
  }

  private static BadRowException noObject(String where) {
    return BadRowException.unreadable(where + " is no JSON object ({\"dialogue\": ...})");
  }

  private static Map<String, Object> object(JsonParser parser) {
    Map<String, Object> fields = new LinkedHashMap<>();
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String key = parser.currentName();
      parser.nextToken();
      fields.put(key, value(parser));
    }
    return fields;
  }

  /** Returns the value at the current token; the parser limits its depth. */
  private static Object value(JsonParser parser) {
    return switch (parser.currentToken()) {
      case VALUE_STRING -> parser.getString();
      case VALUE_NUMBER_INT -> parser.getNumberValue();
      case VALUE_NUMBER_FLOAT -> parser.getDoubleValue();
      case VALUE_TRUE -> true;
      case VALUE_FALSE -> false;
      case START_OBJECT -> object(parser);
      case START_ARRAY -> {
        List<Object> items = new ArrayList<>();
        while (parser.nextToken() != JsonToken.END_ARRAY) {
          items.add(value(parser));
        }
        yield items;
      }
      default -> null;
    };
  }

  @Override
  public void close() throws IOException {
    (lines == null ? stream : lines).close();
  }
}
