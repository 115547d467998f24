package dev.precis.cli.card;

import dev.precis.cli.card.EvaluationScores.Candidate;
import dev.precis.io.Json;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.Stream;
import tools.jackson.databind.json.JsonMapper;

/**
 * The head of a card, from which model hubs take their filters and tables: YAML between two lines
 * of dashes. Each value is written as JSON, which YAML contains.
 *
 * @param license SPDX identifier; null: unknown
 * @param language ISO 639-1 code; null: unknown
 */
record CardMetadata(String name, Lineage lineage, String license, String language) {
  private static final JsonMapper JSON = Json.mapper();

  /** Returns the head, with the scores of the last candidate of each evaluation. */
  String yaml(List<EvaluationScores> evaluations) {
    Map<String, Object> head = new LinkedHashMap<>();
    if (language != null) {
      head.put("language", List.of(language));
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
            .flatMap(each -> each.stream())
            .filter(Lineage::isHubId)
            .distinct()
            .toList();
    if (!data.isEmpty()) {
      head.put("datasets", data);
    }
    head.put("tags", tags());
    List<Object> results = results(evaluations);
    if (!results.isEmpty()) {
      head.put("model-index", List.of(Map.of("name", name, "results", results)));
    }
    StringBuilder yaml = new StringBuilder("---\n");
    head.forEach(
        (key, value) ->
            yaml.append(key).append(": ").append(JSON.writeValueAsString(value)).append('\n'));
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

  private static List<Object> results(List<EvaluationScores> evaluations) {
    List<Object> all = new ArrayList<>();
    for (EvaluationScores evaluation : evaluations) {
      if (evaluation.candidates().isEmpty()) {
        continue;
      }
      Candidate last = evaluation.candidates().getLast();
      List<Object> metrics = new ArrayList<>();
      last.scores()
          .forEach(
              (metric, score) ->
                  metrics.add(
                      Map.of("type", metric, "name", metric, "value", (Object) score.mean())));
      String data = ModelCard.shortName(evaluation.data());
      all.add(
          ordered(
              "task", Map.of("type", "summarization"),
              "dataset", ordered("name", data, "type", data),
              "metrics", metrics));
    }
    return all;
  }

  private static Map<String, Object> ordered(Object... pairs) {
    Map<String, Object> map = new LinkedHashMap<>();
    for (int i = 0; i < pairs.length; i += 2) {
      map.put((String) pairs[i], pairs[i + 1]);
    }
    return map;
  }
}
