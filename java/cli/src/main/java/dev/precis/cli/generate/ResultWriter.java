package dev.precis.cli.generate;

import dev.precis.cli.common.PartialFile;
import dev.precis.cli.common.Terminal;
import dev.precis.data.Dialogue;
import dev.precis.data.JsonLinesWriter;
import dev.precis.generation.Generation;
import dev.precis.io.InvalidInputException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;
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
    List<JsonNode> lines = PartialFile.read(output, this::belongs);
    return lines.subList(0, lines.size() / perDialogue * perDialogue);
  }

  private boolean belongs(int number, JsonNode line) {
    int dialogue = number / perDialogue;
    return dialogue < dialogues.size()
        && line.path("id").asString("").equals(dialogues.get(dialogue).id())
        && line.path("return").asInt(0) == number % perDialogue
        && line.has("return") == (perDialogue > 1);
  }
}
