package dev.precis.cli.generate;

import dev.precis.checkpoint.ModelFolder;
import dev.precis.data.Dialogue;
import dev.precis.evaluation.Fact;
import dev.precis.evaluation.FactChecker;
import dev.precis.io.InvalidInputException;
import dev.precis.review.Gate;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/** Puts results into a gate, each with what the fact checker found and what generated it. */
final class HeldResults implements AutoCloseable {
  private final Gate gate;
  private final Map<String, String> model = new LinkedHashMap<>();

  /**
   * Opens the gate.
   *
   * @param folder of the model
   * @throws InvalidInputException if the queue cannot be used, or holds a text of one of the ids
   */
  HeldResults(Path queue, Path folder, List<Path> adapters, List<Dialogue> dialogues) {
    gate = Gate.open(queue);
    try {
      Set<String> held =
          gate.items().stream().map(item -> item.candidate().id()).collect(Collectors.toSet());
      for (Dialogue dialogue : dialogues) {
        if (held.contains(dialogue.id()) || held.contains(name(dialogue.id(), 0))) {
          throw new InvalidInputException(
              queue + " holds a text of the id " + dialogue.id() + " already: name another queue");
        }
      }
      model.put("model", folder.toString());
      model.put("model_sha256", ModelFolder.weightsHash(folder));
      for (int i = 0; i < adapters.size(); i++) {
        model.put("adapter_" + i, adapters.get(i).toString());
        model.put("adapter_" + i + "_sha256", ModelFolder.weightsHash(adapters.get(i)));
      }
    } catch (RuntimeException | Error e) {
      gate.close();
      throw e;
    }
  }

  /** Names one of several results of a dialogue. */
  private static String name(String id, int number) {
    return id + "#" + number;
  }

  void hold(Dialogue dialogue, ResultLine line) {
    String text = line.generation().text();
    List<String> reasons =
        FactChecker.check(dialogue.dialogue(), text).unsupported().stream()
            .map(Fact::reason)
            .distinct()
            .toList();
    String id = line.number() == null ? line.id() : name(line.id(), line.number());
    gate.hold(new Gate.Candidate(id, dialogue.dialogue(), text, model, reasons));
  }

  @Override
  public void close() {
    gate.close();
  }
}
