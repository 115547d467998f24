package dev.precis.review.exchange;

import dev.precis.data.JsonLinesWriter;
import dev.precis.io.AtomicFile;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.review.comparison.ComparisonProject;
import java.nio.file.Path;
import java.util.List;
import tools.jackson.databind.node.ObjectNode;

/**
 * Writes the choices of a project to a file. Gold pairs and hidden repeats are left out, except in
 * CSV, which marks them.
 */
public final class ComparisonExport {
  private ComparisonExport() {}

  /**
   * Writes a file, which appears when it is complete.
   *
   * @param masked whether names, numbers and addresses are hidden; see docs/review.md
   * @return the number of rows
   * @throws InvalidInputException if there is nothing to write in this format
   */
  public static int write(
      ComparisonProject project, ExportFormat format, boolean masked, Path file) {
    ExportTexts texts = new ExportTexts(project, masked);
    if (format == ExportFormat.CSV) {
      int rows = project.choices().size();
      require(rows > 0, project, "no answers");
      AtomicFile.writeText(file, ChoiceTable.write(project, texts));
      return rows;
    }
    TrainingRows training = new TrainingRows(project, texts);
    List<ObjectNode> rows =
        switch (format) {
          case DPO -> training.pairs();
          case KTO -> training.feedback();
          case SFT -> training.edits();
          case OPENAI -> OpenAiRows.write(project, texts);
          case ARGILLA -> ArgillaRecords.write(project, texts);
          case LABEL_STUDIO -> LabelStudioTasks.write(project, texts);
          case CSV -> throw new AssertionError("written above");
        };
    require(
        !rows.isEmpty(),
        project,
        format == ExportFormat.SFT
            ? "no edits, which this format consists of"
            : "no answers with a preference yet");
    if (format == ExportFormat.ARGILLA || format == ExportFormat.LABEL_STUDIO) {
      AtomicFile.writeText(
          file, Json.mapper().createArrayNode().addAll(rows).toPrettyString() + "\n");
    } else {
      try (JsonLinesWriter out = JsonLinesWriter.to(file)) {
        rows.forEach(out::write);
        out.commit();
      }
    }
    return rows.size();
  }

  private static void require(boolean holds, ComparisonProject project, String what) {
    if (!holds) {
      throw new InvalidInputException(project.folder() + " has " + what);
    }
  }
}
