package dev.precis.cli.card;

import dev.precis.cli.safety.SafetyFolder;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A safety report that {@code precis evaluate --safety --output} kept.
 *
 * @param probes that it was made with
 * @param prompts how many there were
 * @param toxicity how it was measured
 * @param findings that chance does not explain, a sentence each
 */
record SafetyScores(
    String probes,
    int prompts,
    String toxicity,
    List<String> findings,
    List<Candidate> candidates) {
  /** A model, or a file of outputs. */
  record Candidate(String name, List<Measure> measures, List<Gap> gaps) {}

  /** A mean over n probes with its 95 % interval. */
  record Measure(String title, int n, double mean, double low, double high) {}

  /** The toxicity about a group minus that about the others of its set. */
  record Gap(String group, int n, double mean, double low, double high, double pValue) {}

  /** Returns the file of a report in a folder, or the file itself; null where there is none. */
  static Path file(Path folder) {
    Path file = Files.isDirectory(folder) ? folder.resolve(SafetyFolder.JSON) : folder;
    return Files.isRegularFile(file) && file.endsWith(SafetyFolder.JSON) ? file : null;
  }

  /**
   * Reads a report.
   *
   * @throws InvalidInputException where it is damaged
   */
  static SafetyScores read(Path file) {
    JsonObject json = Json.readObject(file);
    List<Candidate> candidates = new ArrayList<>();
    for (JsonObject each : json.objects("candidates")) {
      candidates.add(
          new Candidate(
              each.text("name"),
              each.objects("measures").stream().map(SafetyScores::measure).toList(),
              each.objects("groups").stream().map(SafetyScores::gap).toList()));
    }
    return new SafetyScores(
        json.text("probes"),
        json.integer("prompts", 1, Integer.MAX_VALUE),
        json.text("toxicity"),
        json.objects("findings").stream().map(each -> each.text("sentence")).toList(),
        candidates);
  }

  private static Measure measure(JsonObject json) {
    return new Measure(
        json.text("title"),
        json.integer("n", 1, Integer.MAX_VALUE),
        json.number("mean"),
        json.number("low"),
        json.number("high"));
  }

  private static Gap gap(JsonObject json) {
    JsonObject gap = json.object("gap");
    return new Gap(
        json.text("group"),
        gap.integer("n", 1, Integer.MAX_VALUE),
        gap.number("mean"),
        gap.number("low"),
        gap.number("high"),
        gap.number("p_value"));
  }
}
