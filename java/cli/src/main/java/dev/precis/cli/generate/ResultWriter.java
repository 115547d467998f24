package dev.precis.cli.generate;

import dev.precis.cli.common.Terminal;
import dev.precis.data.Dialogue;
import dev.precis.data.JsonLinesWriter;
import dev.precis.generation.Generation;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;

/**
 * Writes results in the order of the dialogues, each as soon as those before it are written. They
 * arrive in any order. A command that ends early leaves them in FILE.partial.
 */
final class ResultWriter implements AutoCloseable {
  private final List<Dialogue> dialogues;
  private final int perDialogue;
  private final List<List<Generation>> waiting;
  private final JsonLinesWriter file; // null: the results go elsewhere
  private final BiConsumer<Dialogue, ResultLine> sink;
  private volatile int written;

  /** Writes results to standard output. */
  ResultWriter(Terminal terminal, List<Dialogue> dialogues, int perDialogue) {
    this.dialogues = dialogues;
    this.perDialogue = perDialogue;
    waiting = emptyPlaces(dialogues.size());
    file = null;
    sink = (of, line) -> terminal.println(new String(line.json(), StandardCharsets.UTF_8));
  }

  /** Puts results into a gate, where they wait for people. */
  ResultWriter(HeldResults gate, List<Dialogue> dialogues, int perDialogue) {
    this.dialogues = dialogues;
    this.perDialogue = perDialogue;
    waiting = emptyPlaces(dialogues.size());
    file = null;
    sink = gate::hold;
  }

  /**
   * Writes results to a file.
   *
   * @param resume whether the results of an interrupted command are kept
   * @throws InvalidInputException where the file cannot be written, or where the results of the
   *     interrupted command belong to other dialogues
   */
  ResultWriter(Path output, boolean resume, List<Dialogue> dialogues, int perDialogue) {
    this.dialogues = dialogues;
    this.perDialogue = perDialogue;
    waiting = emptyPlaces(dialogues.size());
    List<JsonNode> kept = resume ? readPartial(output) : List.of();
    file = JsonLinesWriter.to(output);
    sink = (of, line) -> file.writeJson(line.json());
    kept.forEach(file::write);
    written = kept.size() / perDialogue;
  }

  private static List<List<Generation>> emptyPlaces(int count) {
    List<List<Generation>> places = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      places.add(null);
    }
    return places;
  }

  /** Returns where a command that ends early leaves its results. */
  static Path partial(Path output) {
    return output.resolveSibling(output.getFileName() + ".partial");
  }

  /** Returns for how many dialogues, from the first on, results are written. */
  int written() {
    return written;
  }

  /** Adds the results of a dialogue, the best first. */
  void add(int dialogue, List<Generation> results) {
    waiting.set(dialogue, results);
    while (written < waiting.size() && waiting.get(written) != null) {
      Dialogue of = dialogues.get(written);
      List<Generation> next = waiting.set(written, null);
      for (int i = 0; i < next.size(); i++) {
        sink.accept(of, new ResultLine(of.id(), perDialogue > 1 ? i : null, next.get(i)));
      }
      written++;
    }
  }

  /** Completes the file: FILE.partial becomes FILE. */
  void commit() {
    if (file != null) {
      file.commit();
    }
  }

  @Override
  public void close() {
    if (file != null) {
      file.close();
    }
  }

  /** Returns the complete lines of complete dialogues in FILE.partial. */
  private List<JsonNode> readPartial(Path output) {
    Path partial = partial(output);
    List<JsonNode> lines = new ArrayList<>();
    try {
      String text = Files.readString(partial, StandardCharsets.UTF_8);
      // The text after the last line end was being written when the command ended.
      String complete = text.substring(0, text.lastIndexOf('\n') + 1);
      for (String line : complete.lines().toList()) {
        JsonNode node = Json.mapper().readTree(line);
        int dialogue = lines.size() / perDialogue;
        int number = lines.size() % perDialogue;
        if (dialogue >= dialogues.size()
            || !node.path("id").asString("").equals(dialogues.get(dialogue).id())
            || node.path("return").asInt(0) != number
            || node.has("return") != (perDialogue > 1)) {
          throw new InvalidInputException(
              "%s, line %d is not the result that this command would have written: --resume needs the command that was interrupted"
                  .formatted(partial, lines.size() + 1));
        }
        lines.add(node);
      }
    } catch (NoSuchFileException e) {
      return List.of();
    } catch (IOException | JacksonException e) {
      throw new InvalidInputException(
          "Cannot resume from " + partial + ": " + e.getMessage() + "; start without --resume", e);
    }
    return lines.subList(0, lines.size() / perDialogue * perDialogue);
  }
}
