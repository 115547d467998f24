package dev.precis.cli.card;

import dev.precis.cli.page.Numbers;
import dev.precis.cli.review.QueueOption;
import dev.precis.evaluation.Agreement;
import dev.precis.review.Gate;
import dev.precis.review.comparison.AgreementReport;
import dev.precis.review.comparison.ComparisonProject;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/** People's part in a model, in sentences that name none of them. */
final class PeopleSummary {
  private PeopleSummary() {}

  /** Returns what annotators did in a project of blind comparisons, as Markdown. */
  static List<String> comparisons(Path project) {
    AgreementReport report =
        AgreementReport.of(ComparisonProject.read(project), AgreementReport.DRAWS, 0);
    List<String> all = new ArrayList<>();
    all.add(
        "%,d blind comparisons by %,d annotators; %,d pairs were skipped"
            .formatted(report.answers(), report.annotators().size(), report.skipped()));
    all.add(
        report.alpha() == null
            ? "Their agreement is unknown: no pair has two answers"
            : "Krippendorff's alpha is " + interval(report.alpha()));
    int gold = report.annotators().stream().mapToInt(each -> each.gold()).sum();
    if (gold > 0) {
      int right = report.annotators().stream().mapToInt(each -> each.goldRight()).sum();
      all.add("%,d of %,d answers to pairs with a known answer were right".formatted(right, gold));
    }
    all.add(
        "The first place won %,d of %,d times (p = %s)"
            .formatted(
                report.position().first(),
                report.position().decided(),
                Numbers.of(report.position().pValue())));
    report
        .ranking()
        .forEach(
            each ->
                all.add(
                    "%s won %,d, lost %,d and tied %,d; its Bradley-Terry strength is %s"
                        .formatted(
                            Markdown.code(each.candidate()),
                            each.wins(),
                            each.losses(),
                            each.ties(),
                            interval(each.strength()))));
    return all;
  }

  private static String interval(Agreement.Interval interval) {
    return "%s (95 %% interval %s to %s)"
        .formatted(
            Numbers.of(interval.value()), Numbers.of(interval.low()), Numbers.of(interval.high()));
  }

  /** Returns what became of the texts of a queue, as Markdown. */
  static List<String> gate(Path queue) {
    List<Gate.Item> items = QueueOption.read(queue);
    int[] states = new int[Gate.State.values().length];
    int edited = 0;
    int two = 0;
    Set<String> people = new TreeSet<>();
    for (Gate.Item item : items) {
      states[item.state().ordinal()]++;
      edited += item.text().equals(item.candidate().text()) ? 0 : 1;
      two += item.approvedBy().size() > 1 ? 1 : 0;
      people.addAll(item.approvedBy());
    }
    return List.of(
        "%,d texts were held; %,d of them wait, %,d are approved, %,d rejected, %,d released"
            .formatted(
                items.size(),
                states[Gate.State.HELD.ordinal()],
                states[Gate.State.APPROVED.ordinal()],
                states[Gate.State.REJECTED.ordinal()],
                states[Gate.State.RELEASED.ordinal()]),
        "%,d texts were edited; %,d have the approval of two people or more".formatted(edited, two),
        "%,d people approved".formatted(people.size()));
  }
}
