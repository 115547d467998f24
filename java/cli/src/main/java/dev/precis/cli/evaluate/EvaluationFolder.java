package dev.precis.cli.evaluate;

import dev.precis.cli.common.OutputFolder;
import dev.precis.cli.generate.ResultLine;
import dev.precis.data.Dialogue;
import dev.precis.data.JsonLinesWriter;
import dev.precis.generation.Generation;
import dev.precis.io.AtomicFile;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.node.ObjectNode;

/**
 * Keeps an evaluation in a folder: the summaries of each candidate as {@code precis generate}
 * writes them, {@code evaluation.json}, and {@code report.html} to read.
 */
record EvaluationFolder(EvaluationReport report) {
  static final String JSON = "evaluation.json";
  static final String PAGE = "report.html";

  /** Returns the name of the file with a candidate's summaries; null if it cannot be one. */
  static String fileName(String candidate) {
    boolean plain =
        candidate.length() <= 200
            && !candidate.startsWith(".")
            && candidate.matches("[^/\\\\\\p{Cntrl}]+");
    return plain ? candidate + ".jsonl" : null;
  }

  /**
   * Writes the folder; its files appear together.
   *
   * @param rows of the data: each has its line, also where several have the same dialogue
   * @param options of the command, shown on the page
   * @return names of the files
   */
  List<String> write(Path folder, List<Dialogue> rows, ObjectNode options) {
    List<String> files = new ArrayList<>();
    try (OutputFolder output = OutputFolder.create(folder)) {
      for (EvaluationResult result : report.results()) {
        if (result.generations() != null) {
          String name = fileName(result.name());
          write(output.path().resolve(name), rows, result.generations());
          files.add(name);
        }
      }
      AtomicFile.writeText(output.path().resolve(JSON), new EvaluationJson(report).toString());
      AtomicFile.writeText(output.path().resolve(PAGE), new EvaluationPage(report, options).html());
      output.commit();
    }
    files.add(JSON);
    files.add(PAGE);
    return files;
  }

  private void write(Path file, List<Dialogue> rows, List<Generation> generations) {
    Map<String, Generation> byDialogue = new HashMap<>();
    for (int i = 0; i < generations.size(); i++) {
      byDialogue.put(report.setting().dialogues().get(i).dialogue(), generations.get(i));
    }
    try (JsonLinesWriter lines = JsonLinesWriter.to(file)) {
      for (Dialogue row : rows) {
        Generation generation = byDialogue.get(row.dialogue());
        if (generation != null) { // --limit leaves the others out
          lines.writeJson(new ResultLine(row.id(), null, generation).json());
        }
      }
      lines.commit();
    }
  }
}
