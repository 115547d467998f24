package dev.precis.cli.card;

import dev.precis.cli.card.EvaluationScores.Candidate;
import dev.precis.cli.card.EvaluationScores.Score;
import dev.precis.cli.card.TrainingRun.Input;
import dev.precis.cli.page.FlatOptions;
import dev.precis.cli.page.Numbers;
import dev.precis.cli.report.Result;
import dev.precis.cli.report.RunTitle;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A model card as Mitchell et al. 2019 ask for it: what the model came from, how it was made and
 * measured, who looked at it, and what nobody has measured.
 *
 * @param safety reports on safety
 * @param comparisons sentences about each project of blind comparisons
 * @param gates sentences about each queue of texts that people approve
 */
record ModelCard(
    CardMetadata metadata,
    List<EvaluationScores> evaluations,
    List<SafetyScores> safety,
    List<List<String>> comparisons,
    List<List<String>> gates) {
  /** A path from the root, a home or a working directory on. */
  private static final Pattern PATH =
      Pattern.compile("(?<![\\w./~-])(?:~|\\.{1,2})?(?:/[^/\\s\",=]++)+");

  /** Cuts each path in an option's value to its last name. */
  private static String withoutFolders(String value) {
    return PATH.matcher(value)
        .replaceAll(path -> Matcher.quoteReplacement(RunTitle.shortName(path.group())));
  }

  /** Returns the card as Markdown. */
  String markdown() {
    Markdown text = new Markdown();
    Lineage lineage = metadata.lineage();
    text.heading(1, Markdown.escape(metadata.name()));
    text.paragraph(summary());
    text.heading(2, "Lineage");
    int number = 0;
    for (TrainingRun run : lineage.runs()) {
      number++;
      text.heading(3, number + ". " + Markdown.escape(run.title()));
      run(text, run);
    }
    text.list(lineage.remarks().stream().map(each -> Markdown.escape(each) + ".").toList());
    if (!evaluations.isEmpty()) {
      text.heading(2, "Evaluation");
      evaluations.forEach(each -> evaluation(text, each));
    }
    if (!safety.isEmpty()) {
      text.heading(2, "Safety");
      safety.forEach(each -> safety(text, each));
    }
    if (!comparisons.isEmpty() || !gates.isEmpty()) {
      text.heading(2, "People");
      Stream.of(comparisons, gates)
          .flatMap(List::stream)
          .forEach(all -> text.list(all.stream().map(each -> each + ".").toList()));
    }
    text.heading(2, "Not measured");
    text.paragraph("Measure these before you rely on the model, or know that nobody has:");
    text.list(missing());
    return text.toString();
  }

  private String summary() {
    Lineage lineage = metadata.lineage();
    TrainingRun last = lineage.last();
    String what =
        last.isJudge() ? "A model that scores texts" : "A model that summarizes dialogues";
    String base = lineage.base();
    String from =
        base.isEmpty()
            ? "trained from random weights"
            : "made from " + Markdown.code(RunTitle.shortName(base));
    int runs = lineage.runs().size();
    return "%s, %s by %s with Précis. The weights of each step are named by their SHA-256."
        .formatted(what, from, runs == 1 ? "one training run" : runs + " training runs");
  }

  private void run(Markdown text, TrainingRun run) {
    List<String> lines = new ArrayList<>();
    for (Input input : run.inputs()) {
      lines.add(
          "%s: %s, SHA-256 %s"
              .formatted(
                  Markdown.escape(input.role().replace('_', ' ')),
                  Markdown.code(RunTitle.shortName(input.name())),
                  Markdown.code(input.sha256())));
    }
    run.results()
        .forEach(
            each ->
                lines.add(
                    "result: %s, SHA-256 %s".formatted(each.name(), Markdown.code(each.sha256()))));
    text.list(lines);
    text.list(run.outcome().results().stream().map(ModelCard::sentence).toList());
    List<List<String>> cost = new ArrayList<>();
    run.outcome().cost().entries().forEach((name, value) -> cost.add(List.of(name, value)));
    if (!cost.isEmpty()) {
      text.table(List.of("cost", ""), cost);
    }
    Set<String> inputs = run.inputs().stream().map(Input::role).collect(Collectors.toSet());
    List<List<String>> options = new ArrayList<>();
    FlatOptions.of(run.config())
        .forEach(
            (name, value) -> {
              if (!inputs.contains(name) && !name.endsWith("_sha256")) {
                options.add(List.of(Markdown.code(name), Markdown.code(withoutFolders(value))));
              }
            });
    text.folded("All options", options);
  }

  private static String sentence(Result result) {
    String basis = result.basis().isEmpty() ? "" : " (" + result.basis() + ")";
    return Markdown.escape(result.sentence() + basis) + ".";
  }

  private static void evaluation(Markdown text, EvaluationScores evaluation) {
    text.paragraph(
        "%,d dialogues of %s; means with their 95 %% intervals."
            .formatted(
                evaluation.dialogues(), Markdown.code(RunTitle.shortName(evaluation.data()))));
    List<String> head = new ArrayList<>(List.of("metric"));
    evaluation.candidates().forEach(each -> head.add(Markdown.escape(each.name())));
    List<List<String>> rows = new ArrayList<>();
    for (String metric : evaluation.metrics()) {
      List<String> row = new ArrayList<>(List.of(Markdown.escape(metric)));
      for (Candidate candidate : evaluation.candidates()) {
        Score score = candidate.scores().get(metric);
        row.add(score == null ? "" : interval(score.mean(), score.low(), score.high()));
      }
      rows.add(row);
    }
    text.table(head, rows);
    text.list(evaluation.settings().stream().map(Markdown::escape).toList());
  }

  private static void safety(Markdown text, SafetyScores safety) {
    text.paragraph(
        "%,d prompts of %s; means with their 95 %% intervals. Toxicity: %s."
            .formatted(
                safety.prompts(),
                Markdown.code(RunTitle.shortName(safety.probes())),
                Markdown.escape(safety.toxicity())));
    List<String> head = new ArrayList<>(List.of("measure", "n"));
    safety.candidates().forEach(each -> head.add(Markdown.escape(each.name())));
    Map<String, List<String>> rows = new LinkedHashMap<>();
    for (int c = 0; c < safety.candidates().size(); c++) {
      for (SafetyScores.Measure each : safety.candidates().get(c).measures()) {
        List<String> row =
            rows.computeIfAbsent(
                each.title(),
                title -> new ArrayList<>(List.of(Markdown.escape(title), "" + each.n())));
        fill(row, c + 2);
        row.add(interval(each.mean(), each.low(), each.high()));
      }
    }
    rows.values().forEach(row -> fill(row, head.size()));
    text.table(head, List.copyOf(rows.values()));
    List<String> lines = new ArrayList<>();
    for (SafetyScores.Candidate candidate : safety.candidates()) {
      candidate.gaps().stream()
          .max(Comparator.comparingDouble(each -> Math.abs(each.mean())))
          .ifPresent(
              gap ->
                  lines.add(
                      "%s: of %d groups, toxicity about %s differs most from that about the others"
                              .formatted(
                                  Markdown.escape(candidate.name()),
                                  candidate.gaps().size(),
                                  Markdown.escape(gap.group()))
                          + ": %s, Holm-corrected p = %s, n = %d."
                              .formatted(
                                  interval(gap.mean(), gap.low(), gap.high()),
                                  Numbers.of(gap.pValue()),
                                  gap.n())));
    }
    safety.findings().forEach(each -> lines.add("Found: " + Markdown.escape(each) + "."));
    if (safety.findings().isEmpty()) {
      lines.add("Found: nothing that chance does not explain.");
    }
    text.list(lines);
  }

  private static void fill(List<String> row, int size) {
    while (row.size() < size) {
      row.add("");
    }
  }

  private static String interval(double mean, double low, double high) {
    return "%s (%s to %s)".formatted(Numbers.of(mean), Numbers.of(low), Numbers.of(high));
  }

  private List<String> missing() {
    List<String> all = new ArrayList<>();
    if (metadata.lineage().last().isJudge()) {
      all.add("The judge on texts of another kind than those that it was trained on.");
    } else {
      if (evaluations.isEmpty()) {
        all.add("Any metric on data of its own: `precis evaluate --output` makes what is missing.");
      }
      if (evaluations.stream().noneMatch(each -> each.measures("toxic")) && safety.isEmpty()) {
        all.add("The toxicity of what it writes: `precis evaluate --metrics toxicity`.");
      }
      if (safety.isEmpty()) {
        all.add("Bias between groups of people, refusals and leaks: `precis evaluate --safety`.");
      }
      if (evaluations.stream().noneMatch(each -> each.measures("fact"))) {
        all.add(
            "Facts of a summary that its dialogue does not state: `precis evaluate --metrics"
                + " facts`.");
      }
      if (comparisons.isEmpty()) {
        all.add("People's preference between its summaries and others: `precis review start`.");
      }
      if (gates.isEmpty()) {
        all.add("Approval by people before a text is used: `precis generate --hold`.");
      }
    }
    all.add("Languages, dialects and kinds of conversation that the data does not have.");
    return all;
  }
}
