package dev.precis.cli.evaluate;

import dev.precis.data.DataOptions;
import dev.precis.data.Dialogue;
import dev.precis.data.Summaries;
import dev.precis.data.SummaryReader;
import dev.precis.io.InvalidInputException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Reads the summaries of a candidate from a file, such as one of {@code precis generate}. */
final class SummaryFile {
  private SummaryFile() {}

  /**
   * Returns a summary for each dialogue: by id if every row of the file has one, else by the order
   * of the data's rows, of which the first of a dialogue counts.
   *
   * @param rows all rows of the data
   * @param dialogues those to evaluate, each the first of its rows or one of several joined
   * @throws InvalidInputException where the file lacks a dialogue, has an id twice, or its rows and
   *     those of the data are not as many
   */
  static List<String> read(
      Path file, DataOptions options, List<Dialogue> rows, List<Dialogue> dialogues) {
    List<Summaries> read = SummaryReader.read(file, options);
    boolean byId = read.stream().allMatch(each -> each.id() != null);
    if (!byId && read.size() != rows.size()) {
      throw new InvalidInputException(
          "%s has %d summaries and the data %d rows; without an id in every row they are compared by order and must be as many"
              .formatted(file, read.size(), rows.size()));
    }
    Map<String, String> summaries = new HashMap<>();
    for (int i = 0; i < read.size(); i++) {
      String key = byId ? read.get(i).id() : rows.get(i).dialogue();
      String text = read.get(i).texts().getFirst();
      if (summaries.putIfAbsent(key, text) != null && byId) {
        throw new InvalidInputException("%s has the id '%s' twice".formatted(file, key));
      }
    }
    List<String> found = new ArrayList<>();
    for (Dialogue dialogue : dialogues) {
      String text = summaries.get(byId ? dialogue.id() : dialogue.dialogue());
      if (text == null) {
        throw new InvalidInputException(
            "%s has no summary of the dialogue '%s'".formatted(file, dialogue.id()));
      }
      found.add(text);
    }
    return found;
  }
}
