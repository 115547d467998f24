package dev.precis.cli.evaluate;

import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.options.ColumnOptions;
import dev.precis.cli.options.ConfigOption;
import dev.precis.cli.options.FileOptions;
import dev.precis.cli.options.ReadOptions;
import dev.precis.data.DataFiles;
import dev.precis.data.Summaries;
import dev.precis.data.SummaryReader;
import dev.precis.evaluation.EvaluationExample;
import dev.precis.evaluation.PairedBootstrap;
import dev.precis.evaluation.PairedBootstrap.Interval;
import dev.precis.evaluation.Rouge;
import dev.precis.evaluation.Rouge.Metric;
import dev.precis.evaluation.Rouge.MultiReference;
import dev.precis.evaluation.Rouge.Score;
import dev.precis.evaluation.Rouge.Scores;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.IntSummaryStatistics;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "rouge",
    header = "Compares summaries with references by ROUGE.",
    description = {
      "Prints ROUGE-1, -2, -L and -Lsum of summaries: mean F1, its 95 %% interval (bootstrap over"
          + " dialogues), precision and recall. The numbers are those of Google's rouge_score to"
          + " the last digit.",
      "Rows are matched by id where both files have one in every row, otherwise by order. Rows with"
          + " the same dialogue share their references and count as one."
    },
    footer = {
      "",
      "Predictions: "
          + DataFiles.TABLES
          + ", or a folder of them, with 'summary' and optionally 'id', as 'precis generate' writes"
          + " them; .txt with one summary per line.",
      "References: the same, with 'summary' or 'summary1' to 'summary3'.",
      "",
      "Examples:",
      "  precis rouge --predictions out.jsonl --references test.jsonl",
      "  precis rouge --predictions out.txt --references gold.txt \\",
      "      --preset rouge_score-no-stemmer",
      "  precis rouge --predictions out.jsonl --references test.jsonl --json \\",
      "      | jq .rouge1"
    })
public final class RougeCommand extends BaseCommand {
  @Option(
      names = "--predictions",
      required = true,
      paramLabel = "FILE",
      description = "The summaries to evaluate.")
  private Path predictions;

  @Option(
      names = "--references",
      required = true,
      paramLabel = "FILE",
      description = "The summaries to compare them with.")
  private Path references;

  @Mixin private ColumnOptions reading = new ColumnOptions();
  @Mixin private RougeOptions options = new RougeOptions();

  @Mixin private FileOptions.JsonOutput output = new FileOptions.JsonOutput();
  @Mixin private ConfigOption config = new ConfigOption();

  @Override
  public Integer call() {
    Rouge rouge = options.rouge();
    MultiReference combination = options.combination(this);
    List<Summaries> predicted = read(predictions);
    List<Summaries> referenced = read(references);
    List<EvaluationExample> judged =
        EvaluationExample.match(
            predicted, predictions.toString(), referenced, references.toString());
    List<Scores> scores = EvaluationExample.score(judged, rouge, combination);
    PairedBootstrap bootstrap = new PairedBootstrap(common().seed());
    Map<Metric, Interval> f1 = new EnumMap<>(Metric.class);
    for (Metric metric : Metric.values()) {
      f1.put(metric, bootstrap.mean(column(scores, metric, Score::f1)));
    }
    terminal()
        .print(
            output.json()
                ? json(rouge, scores, f1)
                : table(rouge, combination, judged, scores, f1));
    return DONE;
  }

  private List<Summaries> read(Path file) {
    ReadOptions.Data data = reading.complete(this, file);
    List<Summaries> read = SummaryReader.read(data.path(), data.options());
    if (reading.findings(file).containsKey("skipped_rows")
        && read.stream().anyMatch(row -> row.id() == null)) {
      throw new InvalidInputException(
          file
              + ": rows were skipped, so that the others cannot be matched by order; every row"
              + " needs an id");
    }
    return read;
  }

  private static double[] column(
      List<Scores> scores, Metric metric, ToDoubleFunction<Score> number) {
    return scores.stream().mapToDouble(each -> number.applyAsDouble(metric.of(each))).toArray();
  }

  private static double mean(List<Scores> scores, Metric metric, ToDoubleFunction<Score> number) {
    double sum = 0;
    for (double value : column(scores, metric, number)) {
      sum += value;
    }
    return sum / scores.size();
  }

  private String table(
      Rouge rouge,
      MultiReference combination,
      List<EvaluationExample> judged,
      List<Scores> scores,
      Map<Metric, Interval> f1) {
    IntSummaryStatistics counts =
        judged.stream().mapToInt(each -> each.references().size()).summaryStatistics();
    StringBuilder page = new StringBuilder();
    page.append("%s, %d dialogues%n".formatted(predictions, judged.size()));
    page.append(RougeOptions.describe(rouge, combination, counts.getMin(), counts.getMax()));
    page.append(
        String.format(
            "%n%n%-10s  %-6s  %-16s  %-9s  %s%n",
            "", "F1", "95 % interval", "precision", "recall"));
    f1.forEach(
        (metric, interval) ->
            page.append(
                String.format(
                    Locale.ROOT,
                    "%-10s  %.4f  %.4f to %.4f  %.4f     %.4f%n",
                    metric.id(),
                    interval.mean(),
                    interval.low(),
                    interval.high(),
                    mean(scores, metric, Score::precision),
                    mean(scores, metric, Score::recall))));
    return page.toString();
  }

  private String json(Rouge rouge, List<Scores> scores, Map<Metric, Interval> f1) {
    Map<String, Object> object = new LinkedHashMap<>();
    f1.forEach((metric, interval) -> object.put(metric.id(), interval.mean()));
    object.put("count", scores.size());
    object.put("preset", rouge.preset().id());
    Map<String, Object> details = new LinkedHashMap<>();
    f1.forEach(
        (metric, interval) -> {
          Map<String, Object> detail = new LinkedHashMap<>();
          detail.put("low", interval.low());
          detail.put("high", interval.high());
          detail.put("precision", mean(scores, metric, Score::precision));
          detail.put("recall", mean(scores, metric, Score::recall));
          details.put(metric.id(), detail);
        });
    object.put("details", details);
    return Json.mapper().writeValueAsString(object) + System.lineSeparator();
  }
}
