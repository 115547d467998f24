package dev.precis.cli.review;

import dev.precis.evaluation.Agreement;
import dev.precis.review.comparison.AgreementJson;
import dev.precis.review.comparison.AgreementReport;
import dev.precis.review.comparison.AgreementReport.AnnotatorReport;
import dev.precis.review.comparison.AgreementReport.Kappa;
import dev.precis.review.comparison.AgreementReport.Standing;
import java.util.Locale;

/** An agreement report as a table and as JSON. */
final class AgreementText {
  private static final int LONGEST_NAME = 20;

  private final AgreementReport report;

  AgreementText(AgreementReport report) {
    this.report = report;
  }

  String table() {
    StringBuilder out = new StringBuilder();
    line(out, "%d answers, %d pairs skipped", report.answers(), report.skipped());
    line(out, "");
    line(out, "agreement (1: perfect, 0: chance)");
    for (Kappa each : report.kappas()) {
      line(
          out,
          "  Cohen's kappa         %6.3f  %s and %s, %d pairs",
          each.kappa(),
          name(each.first()),
          name(each.second()),
          each.pairs());
    }
    if (report.alpha() == null) {
      line(out, "  no pair has two answers: start with --overlap 2 or more");
    } else {
      line(out, "  Fleiss' kappa         %6.3f", report.fleissKappa());
      line(out, "  Krippendorff's alpha  %s", interval(report.alpha()));
    }
    line(out, "");
    line(
        out,
        "the first place won %d of %d times (p = %.3f)",
        report.position().first(),
        report.position().decided(),
        report.position().pValue());
    line(out, "");
    line(
        out,
        "%-20s %8s %8s %8s %12s %12s",
        "annotator",
        "answers",
        "skipped",
        "seconds",
        "repeats",
        "gold");
    for (AnnotatorReport each : report.annotators()) {
      line(
          out,
          "%-20s %8d %8d %8s %12s %12s",
          name(each.name()),
          each.answers(),
          each.skipped(),
          Double.isNaN(each.medianSeconds()) ? "-" : format("%.1f", each.medianSeconds()),
          share(each.consistent(), each.repeats()),
          share(each.goldRight(), each.gold()));
    }
    line(out, "");
    line(
        out,
        "%-20s %8s %17s %6s %6s %6s",
        "candidate",
        "strength",
        "95 % interval",
        "wins",
        "losses",
        "ties");
    for (Standing each : report.ranking()) {
      line(
          out,
          "%-20s %8.3f %17s %6d %6d %6d",
          name(each.candidate()),
          each.strength().value(),
          format("%.3f to %.3f", each.strength().low(), each.strength().high()),
          each.wins(),
          each.losses(),
          each.ties());
    }
    return out.toString();
  }

  private static String share(int part, int all) {
    return all == 0 ? "-" : part + " of " + all;
  }

  private static String interval(Agreement.Interval interval) {
    return format("%6.3f (%.3f to %.3f)", interval.value(), interval.low(), interval.high());
  }

  private static String name(String name) {
    return name.length() <= LONGEST_NAME ? name : name.substring(0, LONGEST_NAME - 3) + "...";
  }

  private static String format(String pattern, Object... values) {
    return String.format(Locale.ROOT, pattern, values);
  }

  private static void line(StringBuilder out, String pattern, Object... values) {
    out.append(values.length == 0 ? pattern : format(pattern, values)).append('\n');
  }

  String json() {
    return AgreementJson.of(report).toString();
  }
}
