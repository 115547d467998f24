package dev.precis.review.exchange;

import dev.precis.io.BoundedFile;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import dev.precis.review.comparison.Choice;
import dev.precis.review.comparison.ComparisonItem;
import dev.precis.review.comparison.ComparisonProject;
import dev.precis.review.comparison.ComparisonSettings;
import dev.precis.review.comparison.PairSelection;
import dev.precis.text.PromptTemplate;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * Reads comparisons that were made in other programs: JSON lines or one list, as they export them.
 *
 * @param items dialogues and their texts
 * @param choices the answers
 * @param annotators who gave them
 * @param same how many answers were left out, because both texts were the same
 */
public record ComparisonImport(
    List<ComparisonItem> items, List<Choice> choices, List<String> annotators, int same) {
  private static final long MAX_BYTES = 1L << 30;

  /**
   * Reads a file.
   *
   * @param format {@link ExportFormat#OPENAI}, {@link ExportFormat#ARGILLA} or {@link
   *     ExportFormat#LABEL_STUDIO}
   * @throws InvalidInputException if a row cannot be used, or there is no answer
   */
  public static ComparisonImport read(Path file, ExportFormat format) {
    BiConsumer<JsonObject, ImportedComparisons> reader =
        switch (format) {
          case OPENAI -> OpenAiRows::read;
          case ARGILLA -> ArgillaRecords::read;
          case LABEL_STUDIO -> LabelStudioTasks::read;
          default ->
              throw new InvalidInputException(
                  "The format '%s' is written and not read; openai, argilla and label-studio are"
                          .formatted(format.id())
                      + " read");
        };
    ImportedComparisons found = new ImportedComparisons();
    for (JsonObject row : rows(file)) {
      reader.accept(row, found);
    }
    if (found.choices().isEmpty()) {
      throw new InvalidInputException(file + " has no answers");
    }
    return new ComparisonImport(found.items(), found.choices(), found.annotators(), found.same());
  }

  /** Writes a project with the answers into a folder. */
  public void writeProject(Path folder, long seed) {
    ComparisonSettings settings =
        new ComparisonSettings(
            seed, 1, 0, annotators, "", PromptTemplate.DEFAULT.text(), PairSelection.RANDOM);
    ComparisonProject.create(folder, settings, items, choices);
  }

  private static List<JsonObject> rows(Path file) {
    String text = BoundedFile.readText(file, MAX_BYTES, "comparisons");
    List<JsonObject> rows = new ArrayList<>();
    if (!text.stripLeading().startsWith("[")) {
      int number = 0;
      for (String line : text.lines().toList()) {
        number++;
        if (!line.isBlank()) {
          rows.add(Json.parseObject(line, file + ", line " + number));
        }
      }
      return rows;
    }
    try (JsonParser json = Json.parser(text)) {
      json.nextToken();
      while (json.nextToken() != JsonToken.END_ARRAY) {
        String where = file + ", record " + (rows.size() + 1);
        if (json.currentToken() != JsonToken.START_OBJECT) {
          throw new InvalidInputException(where + " is no object");
        }
        rows.add(new JsonObject(where, Json.readObject(json)));
      }
      return rows;
    } catch (JacksonException e) {
      throw Json.invalid(file.toString(), e);
    }
  }
}
