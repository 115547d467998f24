package dev.precis.cli.common;

import dev.precis.io.BoundedFile;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.Printable;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Locale;
import java.util.Set;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.api.lowlevel.Parse;
import org.snakeyaml.engine.v2.events.CollectionStartEvent;
import org.snakeyaml.engine.v2.events.Event;
import org.snakeyaml.engine.v2.events.ScalarEvent;
import org.snakeyaml.engine.v2.exceptions.Mark;
import org.snakeyaml.engine.v2.exceptions.MarkedYamlEngineException;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * Reads a file of settings: JSON where its name ends in .json, else YAML. YAML is read event by
 * event, so that nothing in it is built but texts, lists and maps: no anchors, no tags, no types.
 */
final class ConfigFile {
  private static final int MAX_BYTES = 1_000_000;

  /** A list in a map in a map is the deepest that a configuration has. */
  private static final int MAX_DEPTH = 8;

  private static final JsonNodeFactory NODES = JsonNodeFactory.instance;

  /** A map or a list that is being read, and the key of the map whose value comes next. */
  private static final class Level {
    final JsonNode node;
    String key;

    Level(JsonNode node) {
      this.node = node;
    }
  }

  private final Path file;
  private final Deque<Level> levels = new ArrayDeque<>();
  private JsonNode root;

  private ConfigFile(Path file) {
    this.file = file;
  }

  /**
   * Reads a file. Values of YAML are texts, except for {@code null}, {@code true} and {@code
   * false}.
   *
   * @throws InvalidInputException if it is no map, is too long or too deep, or cannot be read
   */
  static ObjectNode read(Path file) {
    String text = BoundedFile.readText(file, MAX_BYTES, "a configuration");
    if (file.toString().toLowerCase(Locale.ROOT).endsWith(".json")) {
      return Json.parseObject(text, file.toString()).node();
    }
    return new ConfigFile(file).yaml(text);
  }

  private ObjectNode yaml(String text) {
    LoadSettings settings =
        LoadSettings.builder().setCodePointLimit(MAX_BYTES).setLabel(file.toString()).build();
    try {
      for (Event event : new Parse(settings).parseString(text)) {
        read(event);
      }
    } catch (MarkedYamlEngineException e) {
      int line = e.getProblemMark().map(mark -> mark.getLine() + 1).orElse(1);
      throw invalid(line, "is not valid YAML: " + Printable.of(e.getProblem()), e);
    } catch (YamlEngineException e) {
      throw new InvalidInputException(
          file + " is not valid YAML: " + Printable.of(e.getMessage()), e);
    }
    if (!(root instanceof ObjectNode settingsRead)) {
      throw new InvalidInputException(
          file + " must hold options and their values, such as 'rank: 8'");
    }
    return settingsRead;
  }

  private void read(Event event) {
    switch (event.getEventId()) {
      case DocumentStart -> {
        if (root != null) {
          throw invalid(line(event), "starts a second document: one file holds one run", null);
        }
      }
      case MappingStart -> begin((CollectionStartEvent) event, NODES.objectNode());
      case SequenceStart -> begin((CollectionStartEvent) event, NODES.arrayNode());
      case MappingEnd, SequenceEnd -> levels.pop();
      case Scalar -> scalar((ScalarEvent) event);
      case Alias -> throw invalid(line(event), "has an alias: write the value out", null);
      default -> {
        // The stream's own start and end carry nothing.
      }
    }
  }

  private void begin(CollectionStartEvent event, JsonNode node) {
    if (levels.size() == MAX_DEPTH) {
      throw invalid(line(event), "is nested deeper than %d levels".formatted(MAX_DEPTH), null);
    }
    requireNoTag(event.getTag().orElse("!"), event);
    add(node, event);
    levels.push(new Level(node));
  }

  private void scalar(ScalarEvent event) {
    requireNoTag(event.getTag().orElse("!"), event);
    String text = event.getValue();
    Level level = levels.peek();
    if (level != null && level.node.isObject() && level.key == null) {
      if (level.node.has(text)) {
        throw invalid(line(event), "has '" + Printable.of(text) + "' a second time", null);
      }
      level.key = text;
      return;
    }
    add(event.isPlain() ? plain(text) : NODES.stringNode(text), event);
  }

  /** Returns what a word without quotes stands for, by the JSON schema of YAML 1.2. */
  private static JsonNode plain(String word) {
    return switch (word) {
      case "", "~", "null" -> NODES.nullNode();
      case "true" -> NODES.booleanNode(true);
      case "false" -> NODES.booleanNode(false);
      default -> NODES.stringNode(word);
    };
  }

  private void add(JsonNode value, Event event) {
    Level level = levels.peek();
    if (level == null) {
      root = value;
    } else if (level.node instanceof ArrayNode list) {
      list.add(value);
    } else if (level.key == null) {
      throw invalid(line(event), "has a list or a map as a key", null);
    } else {
      ((ObjectNode) level.node).set(level.key, value);
      level.key = null;
    }
  }

  private void requireNoTag(String tag, Event event) {
    if (!Set.of("!", "tag:yaml.org,2002:str", "tag:yaml.org,2002:map").contains(tag)) {
      throw invalid(line(event), "has the tag '" + Printable.of(tag) + "': leave it out", null);
    }
  }

  private static int line(Event event) {
    return event.getStartMark().map(Mark::getLine).orElse(0) + 1;
  }

  private InvalidInputException invalid(int line, String what, Exception cause) {
    return new InvalidInputException("%s, line %d, %s".formatted(file, line, what), cause);
  }
}
