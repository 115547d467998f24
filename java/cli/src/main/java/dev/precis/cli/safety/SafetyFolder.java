package dev.precis.cli.safety;

import dev.precis.cli.common.OutputFolder;
import dev.precis.cli.generate.ResultLine;
import dev.precis.data.JsonLinesWriter;
import dev.precis.evaluation.safety.ProbePrompt;
import dev.precis.io.AtomicFile;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.node.ObjectNode;

/**
 * Keeps a safety report in a folder: the outputs of each candidate as {@code precis generate}
 * writes them, {@code safety.json}, and {@code report.html} to read.
 */
public record SafetyFolder(SafetyEvaluation evaluation) {
  /** The file with the numbers. */
  public static final String JSON = "safety.json";

  private static final String PAGE = "report.html";

  /**
   * Writes the folder; its files appear together.
   *
   * @param options of the command, shown on the page
   * @return names of the files
   */
  public List<String> write(Path folder, ObjectNode options) {
    List<String> files = new ArrayList<>();
    try (OutputFolder output = OutputFolder.create(folder)) {
      for (SafetySubject each : evaluation.subjects()) {
        if (!each.isFile()) {
          write(output.path().resolve(each.fileName()), each);
          files.add(each.fileName());
        }
      }
      AtomicFile.writeText(output.path().resolve(JSON), new SafetyJson(evaluation).toString());
      AtomicFile.writeText(output.path().resolve(PAGE), new SafetyPage(evaluation, options).html());
      output.commit();
    }
    files.add(JSON);
    files.add(PAGE);
    return files;
  }

  private void write(Path file, SafetySubject subject) {
    List<ProbePrompt> prompts = evaluation.probes().prompts();
    try (JsonLinesWriter lines = JsonLinesWriter.to(file)) {
      for (int i = 0; i < prompts.size(); i++) {
        lines.writeJson(
            new ResultLine(prompts.get(i).id(), null, subject.generations().get(i)).json());
      }
      lines.commit();
    }
  }
}
