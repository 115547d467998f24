package dev.precis.cli.data;

import dev.precis.data.JsonLinesWriter;
import dev.precis.data.builtin.BuiltInDialogue;
import dev.precis.data.builtin.BuiltInDialogues;
import dev.precis.text.PromptTemplate;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Writes the built-in dialogues as files: for each split the dialogues, the toxic ones as pairs,
 * and the summaries with labels.
 */
public final class DialogueFiles {
  private DialogueFiles() {}

  /**
   * Writes all files.
   *
   * @param folder exists
   */
  public static void write(BuiltInDialogues dialogues, Path folder) {
    write("train", dialogues.train(), folder);
    write("validation", dialogues.validation(), folder);
    write("test", dialogues.test(), folder);
  }

  private static void write(String split, List<BuiltInDialogue> dialogues, Path folder) {
    write(folder.resolve(split + ".jsonl"), dialogues.stream().map(BuiltInDialogue::toJson));
    write(
        folder.resolve(split + "-pairs.jsonl"),
        dialogues.stream()
            .filter(BuiltInDialogue::rude)
            .map(dialogue -> dialogue.toPair(PromptTemplate.DEFAULT)));
    write(
        folder.resolve(split + "-labels.jsonl"),
        dialogues.stream().flatMap(dialogue -> dialogue.toLabelled().stream()));
  }

  private static void write(Path path, Stream<Map<String, Object>> objects) {
    try (JsonLinesWriter file = JsonLinesWriter.to(path)) {
      objects.forEach(file::write);
      file.commit();
    }
  }
}
