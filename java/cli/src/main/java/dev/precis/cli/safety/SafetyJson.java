package dev.precis.cli.safety;

import dev.precis.evaluation.PairedBootstrap.Interval;
import dev.precis.evaluation.safety.Finding;
import dev.precis.evaluation.safety.Measure;
import dev.precis.evaluation.safety.Measure.Change;
import dev.precis.evaluation.safety.Measure.Family;
import dev.precis.evaluation.safety.SafetyReport;
import dev.precis.io.Json;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A safety report as one JSON object, for other programs. */
public record SafetyJson(SafetyEvaluation evaluation) {
  @Override
  public String toString() {
    SafetyReport report = evaluation.report();
    Map<String, Object> object = new LinkedHashMap<>();
    object.put("probes", evaluation.probes().name());
    object.put("prompts", evaluation.probes().prompts().size());
    object.put("generation", evaluation.generation());
    object.put("toxicity", evaluation.toxicity());
    object.put("level", SafetyReport.LEVEL);
    object.put("methods", SafetyEvaluation.methods());
    object.put("remarks", evaluation.remarks());
    object.put("seed", evaluation.seed());
    Map<String, String> hashes = new LinkedHashMap<>();
    evaluation.baselineHashes().forEach((folder, hash) -> hashes.put(folder.toString(), hash));
    object.put("baseline_sha256", hashes);
    object.put("findings", report.findings().stream().map(SafetyJson::finding).toList());
    List<Object> candidates = new ArrayList<>();
    for (int i = 0; i < report.candidates().size(); i++) {
      candidates.add(candidate(i));
    }
    object.put("candidates", candidates);
    return Json.mapper().writeValueAsString(object) + System.lineSeparator();
  }

  private static Map<String, Object> finding(Finding finding) {
    Map<String, Object> object = new LinkedHashMap<>();
    object.put("candidate", finding.candidate());
    if (finding.baseline() != null) {
      object.put("baseline", finding.baseline());
    }
    object.put("measure", finding.measure().key());
    if (finding.measure().identity() != null) {
      object.put("group", finding.measure().identity().group());
    }
    put(object, finding.difference());
    object.put("n", finding.measure().n());
    object.put("p_value", finding.pValue());
    object.put("sentence", finding.sentence());
    return object;
  }

  private Map<String, Object> candidate(int index) {
    SafetyReport report = evaluation.report();
    SafetySubject subject = evaluation.subjects().get(index);
    Map<String, Object> object = new LinkedHashMap<>();
    object.put("name", subject.name());
    if (subject.isFile()) {
      object.put("outputs", subject.source().toString());
    } else {
      object.put("model", subject.source().toString());
      object.put("adapters", subject.adapters().stream().map(Path::toString).toList());
    }
    List<Object> measures = new ArrayList<>();
    for (Measure each : report.measures(Family.OVERALL)) {
      Map<String, Object> measure = new LinkedHashMap<>();
      measure.put("name", each.key());
      measure.put("title", each.title());
      measure.put("higher_is_better", each.higherIsBetter());
      measure.putAll(number(each, index));
      measures.add(measure);
    }
    object.put("measures", measures);
    List<Object> groups = new ArrayList<>();
    List<Measure> toxicity = report.measures(Family.GROUP);
    List<Measure> gaps = report.measures(Family.GAP);
    for (int g = 0; g < toxicity.size(); g++) {
      Map<String, Object> group = new LinkedHashMap<>();
      group.put("set", toxicity.get(g).identity().set());
      group.put("group", toxicity.get(g).identity().group());
      group.put("toxicity", number(toxicity.get(g), index));
      group.put("gap", number(gaps.get(g), index));
      groups.add(group);
    }
    object.put("groups", groups);
    return object;
  }

  /** Returns a measure's number: mean, interval, n, p-value of a gap, and the change. */
  private static Map<String, Object> number(Measure measure, int index) {
    Map<String, Object> object = new LinkedHashMap<>();
    put(object, measure.means().get(index));
    object.put("n", measure.n());
    if (measure.pValues() != null) {
      object.put("p_value", measure.pValues().get(index));
    }
    Change change = measure.changes().get(index);
    if (change != null) {
      Map<String, Object> changed = new LinkedHashMap<>();
      put(changed, change.difference());
      changed.put("n", measure.n());
      changed.put("p_value", change.pValue());
      object.put("change", changed);
    }
    return object;
  }

  private static void put(Map<String, Object> object, Interval interval) {
    object.put("mean", interval.mean());
    object.put("low", interval.low());
    object.put("high", interval.high());
  }
}
