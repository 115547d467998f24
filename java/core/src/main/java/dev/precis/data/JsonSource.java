package dev.precis.data;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import java.io.IOException;
import java.io.InputStream;
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
  private final Utf8Stream in;
  private final String name;
  private final LineReader lines; // null for a list
  private JsonParser list; // null for lines

  JsonSource(InputStream in, String name, boolean oneALine) {
    this.in = new Utf8Stream(in, name);
    this.name = name;
    lines = oneALine ? new LineReader(this.in, name) : null;
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
    try (JsonParser parser = Json.parser(line)) {
      expectObject(parser.nextToken(), where);
      Map<String, Object> fields = fields(parser);
      if (parser.nextToken() != null) {
        throw new InvalidInputException(where + " holds more than one JSON object");
      }
      return new Row(fields, where, lines.number());
    } catch (JacksonException e) {
      throw Json.invalidLine(where, e);
    }
  }

  private Row nextOfList() throws IOException {
    try {
      if (list == null) {
        list = Json.parser(in);
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
      expectObject(token, where);
      return new Row(fields(list), where, line);
    } catch (JacksonIOException e) {
      throw e.getCause();
    } catch (JacksonException e) {
      throw Json.invalid(name, e);
    }
  }

  private static void expectObject(JsonToken token, String where) {
    if (token != JsonToken.START_OBJECT) {
      throw new InvalidInputException(where + " is no JSON object ({\"dialogue\": ...})");
    }
  }

  private static Map<String, Object> fields(JsonParser parser) {
    Map<String, Object> fields = new LinkedHashMap<>();
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String key = parser.currentName();
      fields.put(
          key,
          switch (parser.nextToken()) {
            case VALUE_NULL -> null;
            case VALUE_STRING -> parser.getString();
            case VALUE_NUMBER_INT -> parser.getNumberValue();
            case VALUE_NUMBER_FLOAT -> parser.getDoubleValue();
            case VALUE_TRUE -> true;
            case VALUE_FALSE -> false;
            case START_ARRAY -> texts(parser);
            case START_OBJECT -> parser.skipChildren();
            default -> parser.currentToken();
          });
    }
    return fields;
  }

  private static List<Object> texts(JsonParser parser) {
    List<Object> items = new ArrayList<>();
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      boolean text = parser.currentToken() == JsonToken.VALUE_STRING;
      items.add(text ? parser.getString() : parser.skipChildren());
    }
    return items;
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
