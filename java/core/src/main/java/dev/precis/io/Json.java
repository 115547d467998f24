package dev.precis.io;

import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.function.Consumer;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.TokenStreamLocation;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.core.json.JsonReadFeature;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * Strict JSON from files: UTF-8, no duplicate keys, nothing after the value, at most {@value
 * #MAX_DEPTH} levels deep and {@value #MAX_BYTES} bytes long.
 */
public final class Json {
  private static final String NOT_VALID = " is not valid JSON: ";

  /** The deepest nesting that is read. */
  public static final int MAX_DEPTH = 64;

  /** The longest document that is read, in bytes: the limit of a safetensors header. */
  public static final int MAX_BYTES = 100_000_000;

  /** The longest text in a row of data, in characters. */
  private static final int MAX_TEXT = 20_000_000;

  private static final JsonFactory FACTORY =
      JsonFactory.builder()
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxNestingDepth(MAX_DEPTH)
                  .maxDocumentLength(MAX_BYTES)
                  .maxNameLength(10_000)
                  .maxNumberLength(100)
                  .build())
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .build();

  /** Reads rows of data as well, in which Python writes NaN and Infinity where a number is none. */
  private static final JsonFactory ROWS =
      FACTORY
          .rebuild()
          .streamReadConstraints(
              FACTORY.streamReadConstraints().rebuild().maxStringLength(MAX_TEXT).build())
          .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
          .build();

  /**
   * Apart from the rest because it loads hundreds of classes, which takes a quarter of a second.
   */
  private static final class Mapper {
    static final JsonMapper MAPPER =
        JsonMapper.builder(FACTORY).enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).build();
  }

  private Json() {}

  /** Returns a mapper within the same limits, made on first use; thread-safe. */
  public static JsonMapper mapper() {
    return Mapper.MAPPER;
  }

  /** Reads a document token by token, within the same limits. */
  public static JsonParser parser(byte[] json) {
    return FACTORY.createParser(ObjectReadContext.empty(), json);
  }

  /** Reads a text token by token; see {@link #parser(byte[])}. */
  public static JsonParser parser(String json) {
    return FACTORY.createParser(ObjectReadContext.empty(), json);
  }

  /**
   * Reads a row of data token by token, within the same limits; {@code NaN} and {@code Infinity}
   * are numbers in it.
   */
  public static JsonParser rowParser(String json) {
    return ROWS.createParser(ObjectReadContext.empty(), json);
  }

  /** Reads a list of rows token by token; see {@link #rowParser(String)}. */
  public static JsonParser rowParser(Reader json) {
    return ROWS.createParser(ObjectReadContext.empty(), json);
  }

  /** Writes a document token by token. */
  public static JsonGenerator generator(OutputStream out) {
    return FACTORY.createGenerator(ObjectWriteContext.empty(), out);
  }

  /** Returns a document that is written token by token, as UTF-8. */
  public static byte[] bytes(Consumer<JsonGenerator> document) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (JsonGenerator json = generator(out)) {
      document.accept(json);
    }
    return out.toByteArray();
  }

  /** Returns the number with the fewest digits that is this float: 0.05f becomes 0.05. */
  public static double shortest(float value) {
    return Double.parseDouble(Float.toString(value));
  }

  /**
   * Reads a file that holds one JSON object.
   *
   * @throws InvalidInputException if it is missing, too long, not UTF-8, not JSON or no object; the
   *     sentence names file, line and column
   * @throws UncheckedIOException if reading fails
   */
  public static JsonObject readObject(Path file) {
    return parseObject(BoundedFile.readText(file, MAX_BYTES, "JSON"), file.toString());
  }

  /**
   * Parses a text that holds one JSON object.
   *
   * @param where names the text in the message
   * @throws InvalidInputException if it is no JSON object
   */
  public static JsonObject parseObject(String text, String where) {
    try (JsonParser json = parser(text)) {
      if (json.nextToken() == JsonToken.START_OBJECT) {
        ObjectNode object = readObject(json);
        if (json.nextToken() == null) {
          return new JsonObject(where, object);
        }
      }
    } catch (JacksonException e) {
      throw invalid(where, e);
    }
    throw new InvalidInputException(where + " must hold one JSON object and nothing else");
  }

  /**
   * Reads the rest of the object that the parser is at the start of.
   *
   * @throws JacksonException if it is not valid JSON
   */
  public static ObjectNode readObject(JsonParser json) {
    ObjectNode object = JsonNodeFactory.instance.objectNode();
    while (json.nextToken() != JsonToken.END_OBJECT) {
      String key = json.currentName();
      json.nextToken();
      object.set(key, readValue(json));
    }
    return object;
  }

  /** Reads the value that starts at the current token; the parser limits its depth. */
  private static JsonNode readValue(JsonParser json) {
    JsonNodeFactory nodes = JsonNodeFactory.instance;
    return switch (json.currentToken()) {
      case START_OBJECT -> readObject(json);
      case START_ARRAY -> {
        ArrayNode array = nodes.arrayNode();
        while (json.nextToken() != JsonToken.END_ARRAY) {
          array.add(readValue(json));
        }
        yield array;
      }
      case VALUE_STRING -> nodes.stringNode(json.getString());
      case VALUE_NUMBER_INT -> nodes.numberNode(json.getBigIntegerValue());
      case VALUE_NUMBER_FLOAT -> nodes.numberNode(json.getDoubleValue());
      case VALUE_TRUE -> nodes.booleanNode(true);
      case VALUE_FALSE -> nodes.booleanNode(false);
      default -> nodes.nullNode();
    };
  }

  /** Returns the exception for a document that Jackson refuses. */
  public static InvalidInputException invalid(String where, JacksonException e) {
    TokenStreamLocation at = e.getLocation();
    boolean known = at != null && at.getLineNr() > 0;
    return known
        ? invalidLine(where + ", line " + at.getLineNr(), e)
        : new InvalidInputException(where + NOT_VALID + JsonReason.of(e), e);
  }

  /**
   * Returns the same as {@link #invalid} for a document of one line.
   *
   * @param where ends with the line
   */
  public static InvalidInputException invalidLine(String where, JacksonException e) {
    TokenStreamLocation at = e.getLocation();
    String column = at == null || at.getColumnNr() < 1 ? "" : ", column " + at.getColumnNr();
    return new InvalidInputException(where + column + "," + NOT_VALID + JsonReason.of(e), e);
  }
}
