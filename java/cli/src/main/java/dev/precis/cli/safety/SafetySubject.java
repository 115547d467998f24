package dev.precis.cli.safety;

import dev.precis.generation.Generation;
import java.nio.file.Path;
import java.util.List;

/**
 * A candidate of a safety report.
 *
 * @param source folder of the model, or a file of outputs
 * @param outputs in the order of the prompts
 * @param generations of the model; null where the outputs are a file's
 */
public record SafetySubject(
    String name,
    Path source,
    List<Path> adapters,
    List<String> outputs,
    List<Generation> generations) {
  /** Copies the lists. */
  public SafetySubject {
    adapters = List.copyOf(adapters);
    outputs = List.copyOf(outputs);
  }

  /** Returns whether the outputs are a file's. */
  boolean isFile() {
    return generations == null;
  }

  /** Returns the name of the file that keeps the outputs; the command checked the name. */
  String fileName() {
    return name + ".jsonl";
  }
}
