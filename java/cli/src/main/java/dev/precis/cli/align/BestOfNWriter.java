package dev.precis.cli.align;

import dev.precis.alignment.policy.Prompt;
import dev.precis.alignment.reward.BestOfN;
import dev.precis.cli.common.PartialFile;
import dev.precis.cli.common.Terminal;
import dev.precis.data.JsonLinesWriter;
import dev.precis.generation.Generation;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Writes what best-of-n sampling chose, one line for each prompt, in their order. The lines are
 * results as {@code precis generate} writes them, and preference pairs. A command that ends early
 * leaves them in FILE.partial.
 */
final class BestOfNWriter implements AutoCloseable {
  private final BestOfNStatistics statistics = new BestOfNStatistics();
  private final JsonLinesWriter file; // null: the lines go to standard output
  private final Consumer<JsonNode> sink;
  private final boolean prefersSummary;
  private volatile int written;

  /**
   * Writes lines to standard output.
   *
   * @param prefersSummary whether the data's summary is the chosen one of a pair
   */
  BestOfNWriter(Terminal terminal, boolean prefersSummary) {
    this.prefersSummary = prefersSummary;
    file = null;
    sink = line -> terminal.println(line.toString());
  }

  /**
   * Writes lines to a file.
   *
   * @param resume whether the lines of an interrupted command are kept
   * @param samples of each prompt
   * @param prefersSummary whether the data's summary is the chosen one of a pair
   * @throws InvalidInputException where the file cannot be written, or where the lines of the
   *     interrupted command belong to other prompts
   */
  BestOfNWriter(
      Path output, boolean resume, List<Prompt> prompts, int samples, boolean prefersSummary) {
    this.prefersSummary = prefersSummary;
    List<JsonNode> kept =
        resume
            ? PartialFile.read(
                output,
                (number, line) ->
                    belongs(number, line, prompts, samples)
                        && line.path("chosen")
                            .asString("")
                            .equals(
                                preferred(prompts.get(number), line.path("summary").asString(""))))
            : List.of();
    file = JsonLinesWriter.to(output);
    sink = file::write;
    kept.forEach(this::write);
  }

  /** Returns whether a line is of a prompt, and of as many samples. */
  static boolean belongs(int number, JsonNode line, List<Prompt> prompts, int samples) {
    return number < prompts.size()
        && line.path("id").asString("").equals(prompts.get(number).id())
        && line.path("prompt").asString("").equals(prompts.get(number).text())
        && line.path("rewards").size() == samples;
  }

  private String preferred(Prompt prompt, String best) {
    return prefersSummary ? prompt.references().getFirst() : best;
  }

  /** Returns for how many prompts, from the first on, lines are written. */
  int written() {
    return written;
  }

  /** Returns the statistics of the lines so far, kept ones included. */
  BestOfNStatistics statistics() {
    return statistics;
  }

  /**
   * Adds the line of the next prompt.
   *
   * @param samples in the order of the texts
   */
  void add(Prompt prompt, BestOfN best, List<Generation> samples) {
    Generation chosen = samples.get(best.chosen());
    ObjectNode line = Json.mapper().createObjectNode();
    line.put("id", prompt.id());
    line.put("prompt", prompt.text());
    line.put("summary", chosen.text());
    ArrayNode tokens = line.putArray("tokens");
    for (int token : chosen.tokens()) {
      tokens.add(token);
    }
    line.put("score", Json.shortest(chosen.score()));
    line.put("reward", best.scores().get(best.chosen()).value());
    ObjectNode terms = line.putObject("terms");
    best.scores().get(best.chosen()).terms().forEach(terms::put);
    String preferred = preferred(prompt, chosen.text());
    line.put("chosen", preferred);
    if (best.isPair() && !preferred.equals(best.texts().get(best.rejected()))) {
      line.put("rejected", best.texts().get(best.rejected()));
      line.put("margin", best.margin());
    }
    ArrayNode rewards = line.putArray("rewards");
    best.scores().forEach(score -> rewards.add(score.value()));
    write(line);
  }

  private void write(JsonNode line) {
    sink.accept(line);
    statistics.add(line);
    written++;
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
}
