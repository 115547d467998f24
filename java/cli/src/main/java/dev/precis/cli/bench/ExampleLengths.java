package dev.precis.cli.bench;

import dev.precis.io.BoundedFile;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * The lengths of the examples of a data set.
 *
 * @param source tokens of the source, the end token included
 * @param target tokens of the target, the end token included
 */
record ExampleLengths(int source, int target) {
  /** The longest source that is measured; longer ones are left out. */
  static final int LONGEST_SOURCE = 512;

  /**
   * Reads pairs of lengths, such as {@code [[183, 30], [165, 21]]}.
   *
   * @param count the most pairs that are returned, the first of those whose source is not too long
   * @throws InvalidInputException if the file is not such a list, or no pair is left
   */
  static List<ExampleLengths> read(Path file, int count) {
    List<ExampleLengths> all = new ArrayList<>();
    try (JsonParser json = Json.parser(BoundedFile.readText(file, Json.MAX_BYTES, "JSON"))) {
      require(json.nextToken() == JsonToken.START_ARRAY, file, 0);
      for (int i = 0; json.nextToken() != JsonToken.END_ARRAY; i++) {
        require(json.currentToken() == JsonToken.START_ARRAY, file, i);
        int source = length(json, file, i);
        int target = length(json, file, i);
        require(json.nextToken() == JsonToken.END_ARRAY, file, i);
        if (source <= LONGEST_SOURCE && all.size() < count) {
          all.add(new ExampleLengths(source, target));
        }
      }
      if (json.nextToken() != null) {
        throw new InvalidInputException(file + " goes on after the list of lengths");
      }
    } catch (JacksonException e) {
      throw Json.invalid(file.toString(), e);
    }
    if (all.isEmpty()) {
      throw new InvalidInputException(
          "%s has no example whose source has at most %d tokens".formatted(file, LONGEST_SOURCE));
    }
    return all;
  }

  private static int length(JsonParser json, Path file, int index) {
    boolean number = json.nextToken() == JsonToken.VALUE_NUMBER_INT;
    require(
        number
            && json.getNumberType() == JsonParser.NumberType.INT
            && json.getIntValue() > 0
            && json.getIntValue() <= 1 << 20,
        file,
        index);
    return json.getIntValue();
  }

  private static void require(boolean right, Path file, int index) {
    if (!right) {
      throw new InvalidInputException(
          "%s must be a list of pairs of lengths, such as [[183, 30], [165, 21]]; pair %d is none"
              .formatted(file, index + 1));
    }
  }
}
