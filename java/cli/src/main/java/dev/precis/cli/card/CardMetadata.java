package dev.precis.cli.card;

import dev.precis.cli.report.RunTitle;
import dev.precis.io.Json;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;
import java.util.stream.Stream;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The head of a card, from which model hubs take their filters and tables: YAML between two lines
 * of dashes. Each value is written as JSON, which YAML contains.
 *
 * @param license SPDX identifier; null: unknown
 * @param language ISO 639-1 code; null: unknown
 */
record CardMetadata(String name, Lineage lineage, String license, String language) {
  /** Returns the head, with the scores of the last candidate of each evaluation. */
  String yaml(List<EvaluationScores> evaluations) {
    ObjectNode head = Json.mapper().createObjectNode();
    if (language != null) {
      head.putArray("language").add(language);
    }
    if (license != null) {
      head.put("license", license);
    }
    TrainingRun last = lineage.last();
    if (Lineage.isHubId(lineage.base())) {
      head.put("base_model", lineage.base());
      head.put("base_model_relation", last.leavesAdapter() ? "adapter" : "finetune");
    }
    head.put("library_name", last.leavesAdapter() ? "peft" : "transformers");
    head.put("pipeline_tag", last.isJudge() ? "text-classification" : "summarization");
    List<String> data =
        lineage.runs().stream()
            .flatMap(run -> Stream.of("data", "pairs", "feedback").map(run::option))
            .flatMap(Optional::stream)
            .filter(Lineage::isHubId)
            .distinct()
            .toList();
    if (!data.isEmpty()) {
      data.forEach(head.putArray("datasets")::add);
    }
    tags().forEach(head.putArray("tags")::add);
    ArrayNode results = Json.mapper().createArrayNode();
    results(results, evaluations);
    if (!results.isEmpty()) {
      head.putArray("model-index").addObject().put("name", name).set("results", results);
    }
    StringBuilder yaml = new StringBuilder("---\n");
    for (String key : head.propertyNames()) {
      yaml.append(key).append(": ").append(head.get(key)).append('\n');
    }
    return yaml.append("---\n\n").toString();
  }

  private List<String> tags() {
    TreeSet<String> tags = new TreeSet<>(List.of("precis"));
    for (TrainingRun run : lineage.runs()) {
      run.option("algorithm").ifPresent(tags::add);
      run.option("method").ifPresent(tags::add);
    }
    return List.copyOf(tags);
  }

  /** Adds the scores of the last candidate of each evaluation. */
  private static void results(ArrayNode all, List<EvaluationScores> evaluations) {
    for (EvaluationScores evaluation : evaluations) {
      if (evaluation.candidates().isEmpty()) {
        continue;
      }
      ObjectNode result = all.addObject();
      result.putObject("task").put("type", "summarization");
      String data = RunTitle.shortName(evaluation.data());
      result.putObject("dataset").put("name", data).put("type", data);
      ArrayNode metrics = result.putArray("metrics");
      evaluation
          .candidates()
          .getLast()
          .scores()
          .forEach(
              (name, score) ->
                  metrics
                      .addObject()
                      .put("type", name)
                      .put("name", name)
                      .put("value", score.mean()));
    }
  }
}
