package dev.precis.review.comparison;

import dev.precis.evaluation.Agreement;
import dev.precis.io.Json;
import dev.precis.review.comparison.AgreementReport.AnnotatorReport;
import dev.precis.review.comparison.AgreementReport.Kappa;
import dev.precis.review.comparison.AgreementReport.Standing;
import java.util.List;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** An agreement report as JSON; it names the candidates. */
public final class AgreementJson {
  private AgreementJson() {}

  /** Returns a report. */
  public static ObjectNode of(AgreementReport report) {
    ObjectNode json = Json.mapper().createObjectNode();
    json.put("answers", report.answers());
    json.put("skipped", report.skipped());
    ArrayNode kappas = json.putArray("cohen_kappa");
    for (Kappa each : report.kappas()) {
      ObjectNode kappa = kappas.addObject();
      kappa.putArray("annotators").add(each.first()).add(each.second());
      kappa.put("pairs", each.pairs());
      number(kappa, "kappa", each.kappa());
    }
    number(json, "fleiss_kappa", report.fleissKappa());
    if (report.alpha() != null) {
      interval(json.putObject("alpha"), "value", report.alpha());
    }
    ObjectNode position = json.putObject("position");
    position.put("first", report.position().first());
    position.put("decided", report.position().decided());
    position.put("p_value", report.position().pValue());
    annotators(json.putArray("annotators"), report.annotators());
    ArrayNode ranking = json.putArray("ranking");
    for (Standing each : report.ranking()) {
      ObjectNode standing = ranking.addObject();
      standing.put("candidate", each.candidate());
      interval(standing, "strength", each.strength());
      standing.put("wins", each.wins());
      standing.put("losses", each.losses());
      standing.put("ties", each.ties());
    }
    return json;
  }

  private static void annotators(ArrayNode json, List<AnnotatorReport> annotators) {
    for (AnnotatorReport each : annotators) {
      ObjectNode annotator = json.addObject();
      annotator.put("name", each.name());
      annotator.put("answers", each.answers());
      annotator.put("skipped", each.skipped());
      number(annotator, "median_seconds", each.medianSeconds());
      annotator.put("repeats", each.repeats());
      annotator.put("consistent", each.consistent());
      annotator.put("gold", each.gold());
      annotator.put("gold_right", each.goldRight());
    }
  }

  private static void interval(ObjectNode json, String key, Agreement.Interval interval) {
    number(json, key, interval.value());
    number(json, "low", interval.low());
    number(json, "high", interval.high());
  }

  /** Writes a number; null where there is none. */
  private static void number(ObjectNode json, String key, double value) {
    if (Double.isFinite(value)) {
      json.put(key, value);
    } else {
      json.putNull(key);
    }
  }
}
