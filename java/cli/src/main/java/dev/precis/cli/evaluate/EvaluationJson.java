package dev.precis.cli.evaluate;

import dev.precis.cli.evaluate.EvaluationReport.Column;
import dev.precis.data.Dialogue;
import dev.precis.evaluation.PairedBootstrap.Comparison;
import dev.precis.evaluation.PairedBootstrap.Interval;
import dev.precis.io.Json;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** An evaluation as one JSON object, for other programs. */
record EvaluationJson(EvaluationReport report) {
  @Override
  public String toString() {
    EvaluationReport.Setting setting = report.setting();
    Map<String, Object> object = new LinkedHashMap<>();
    object.put("data", setting.data());
    object.put("dialogues", setting.dialogues().size());
    object.put("generation", setting.generation());
    object.put("metrics", report.settings());
    if (!report.remarks().isEmpty()) {
      object.put("remarks", report.remarks());
    }
    Map<String, String> hashes = new LinkedHashMap<>();
    setting.baselineHashes().forEach((folder, hash) -> hashes.put(folder.toString(), hash));
    object.put("baseline_sha256", hashes);
    List<Object> candidates = new ArrayList<>();
    for (int i = 0; i < report.results().size(); i++) {
      candidates.add(candidate(i));
    }
    object.put("candidates", candidates);
    object.put("examples", report.examples().stream().map(this::example).toList());
    return Json.mapper().writeValueAsString(object) + System.lineSeparator();
  }

  private Map<String, Object> candidate(int index) {
    Candidate candidate = report.results().get(index).candidate();
    Map<String, Object> object = new LinkedHashMap<>();
    object.put("name", candidate.name());
    if (candidate.isFile()) {
      object.put("summaries", candidate.model().toString());
    } else {
      object.put("model", candidate.model().toString());
      object.put("adapters", candidate.adapters().stream().map(Path::toString).toList());
    }
    Map<String, Object> scores = new LinkedHashMap<>();
    Map<String, Object> improvements = new LinkedHashMap<>();
    for (Column column : report.columns()) {
      Map<String, Object> score = new LinkedHashMap<>();
      put(score, "mean", column.means().get(index));
      if (column.deviations() != null) {
        score.put("deviation", column.deviations().get(index));
      }
      scores.put(column.name(), score);
      if (index > 0) {
        Comparison comparison = column.comparisons().get(index);
        Map<String, Object> improvement = new LinkedHashMap<>();
        put(improvement, "absolute", comparison.difference());
        improvement.put("relative_percent", column.relative(index));
        improvement.put("p_value", comparison.pValue());
        improvements.put(column.name(), improvement);
      }
    }
    object.put("scores", scores);
    if (index > 0) {
      object.put("improvement", improvements);
      if (report.guardsRouge()) {
        object.put("rouge_fell", report.fell(index).stream().map(Column::name).toList());
      }
    }
    return object;
  }

  private static void put(Map<String, Object> object, String name, Interval interval) {
    object.put(name, interval.mean());
    object.put("low", interval.low());
    object.put("high", interval.high());
  }

  private Map<String, Object> example(int index) {
    Dialogue dialogue = report.setting().dialogues().get(index);
    Map<String, Object> object = new LinkedHashMap<>();
    object.put("id", dialogue.id());
    object.put("dialogue", dialogue.dialogue());
    object.put("references", dialogue.summaries());
    Map<String, String> summaries = new LinkedHashMap<>();
    report.results().forEach(r -> summaries.put(r.name(), r.summaries().get(index)));
    object.put("summaries", summaries);
    return object;
  }
}
