package dev.precis.cli.evaluate;

import dev.precis.Classifier;
import dev.precis.T5;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.Prompts;
import dev.precis.cli.options.BatchSizeOption;
import dev.precis.cli.options.ColumnOptions;
import dev.precis.cli.options.DecodingOptions;
import dev.precis.cli.options.FileOptions;
import dev.precis.cli.options.GenerationConfigOption;
import dev.precis.cli.options.PromptOptions;
import dev.precis.cli.options.ReadOptions;
import dev.precis.data.Dialogue;
import dev.precis.data.DialogueReader;
import dev.precis.evaluation.PairedBootstrap;
import dev.precis.generation.GenerationOptions;
import dev.precis.io.InvalidInputException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.IntSummaryStatistics;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "evaluate",
    header = "Compares models on the same dialogues.",
    description = {
      "Summarizes the dialogues with every candidate and prints a table: the mean F1 of ROUGE-1,"
          + " -2, -L and -Lsum with 95 %% intervals, and the improvement of each candidate over the"
          + " first one, the baseline: in points of 100 (absolute percentage improvement, as papers"
          + " call it), in percent of the baseline's score, and with the p-value of a paired"
          + " bootstrap.",
      "A model that several candidates share is loaded once. The baseline's weights are hashed"
          + " before and after, so that it is identified and known to be unchanged.",
      "Rows with the same dialogue are one dialogue with several references."
    },
    footer = {
      "",
      "Examples:",
      "  precis evaluate --data test.jsonl --candidate base=google/flan-t5-base \\",
      "      --candidate full=runs/full/model \\",
      "      --candidate peft=google/flan-t5-base+runs/lora/adapter",
      "  precis evaluate --data test.csv --candidate a=one --candidate b=other \\",
      "      --limit 100 --examples 5",
      "  precis evaluate --data test.jsonl --candidate before=model \\",
      "      --candidate after=model+run/adapter --metrics rouge,toxicity \\",
      "      --toxicity-model facebook/roberta-hate-speech-dynabench-r4-target \\",
      "      --toxicity-label hate",
      "  precis evaluate --data test.jsonl --candidate base=model --json \\",
      "      | jq .candidates"
    })
public final class EvaluateCommand extends BaseCommand {
  @Mixin private FileOptions.Dialogues data = new FileOptions.Dialogues();
  @Mixin private ColumnOptions reading = new ColumnOptions();

  @Option(
      names = "--candidate",
      required = true,
      paramLabel = "NAME=MODEL[+ADAPTER]...",
      description = {
        "A model (a folder or a hub ID), optionally with PEFT adapters, and its name in the table.",
        "The first candidate is the baseline."
      })
  private List<String> candidates = List.of();

  @Option(
      names = "--metrics",
      split = ",",
      paramLabel = "METRIC",
      defaultValue = "rouge",
      description = {
        "rouge, loss, toxicity, or several, such as rouge,toxicity (default: ${DEFAULT-VALUE}).",
        "loss is the cross-entropy per token of the first reference; lower is better.",
        "toxicity is the probability of --toxicity-label in the summary alone, by"
            + " --toxicity-model; lower is better. With rouge, the report also says where ROUGE"
            + " fell."
      })
  private List<String> metricNames = List.of();

  @Option(
      names = {"--toxicity-model", "--reward-model"},
      paramLabel = "R",
      description =
          "The classifier that measures toxicity: a folder, or a hub ID that was downloaded.")
  private String toxicityModel;

  @Option(
      names = "--toxicity-label",
      paramLabel = "NAME",
      description = "The classifier's label that means toxic, such as hate.")
  private String toxicityLabel;

  @Mixin private RougeOptions rougeOptions = new RougeOptions();

  @Option(names = "--limit", paramLabel = "N", description = "Evaluate only the first N dialogues.")
  private Integer limit;

  @Option(
      names = "--examples",
      paramLabel = "K",
      defaultValue = "0",
      description =
          "Also print K dialogues with their references and all candidates' summaries (default:"
              + " ${DEFAULT-VALUE}).")
  private int examples;

  @Mixin private PromptOptions promptOptions = new PromptOptions();
  @Mixin private DecodingOptions.MaxNewTokens length = new DecodingOptions.MaxNewTokens();
  @Mixin private DecodingOptions.NumBeams beams = new DecodingOptions.NumBeams();
  @Mixin private GenerationConfigOption folderSettings = new GenerationConfigOption();
  @Mixin private BatchSizeOption batch = new BatchSizeOption();
  @Mixin private FileOptions.JsonOutput output = new FileOptions.JsonOutput();

  @Override
  protected Map<String, String> defaults() {
    return Map.of("--batch-size", "" + T5.DEFAULT_BATCH_SIZE);
  }

  @Override
  public Integer call() {
    checkUsage();
    checkGeneration();
    Prompts prompts = Prompts.of(promptOptions.template());
    List<Candidate> all = parseCandidates();
    List<Dialogue> dialogues = dialogues();
    BaselineFingerprint baseline = new BaselineFingerprint(all.getFirst());
    try (ToxicityMetric toxicity = toxicity(dialogues)) {
      List<Metric> metrics = metrics(dialogues, prompts, toxicity);
      CandidateRunner runner =
          new CandidateRunner(
              this,
              dialogues,
              prompts,
              promptOptions.maxSourceLength(),
              promptOptions.truncate(),
              folderSettings.follows());
      List<EvaluationResult> results =
          runner.run(
              all, data.data().toString(), this::generationOptions, batch.batchSize(), metrics);
      baseline.check();
      String generation =
          "%s, at most %d tokens"
              .formatted(
                  beams.numBeams() == 1 ? "greedy" : beams.numBeams() + " beams",
                  length.maxNewTokens());
      EvaluationReport report =
          new EvaluationReport(
              new EvaluationReport.Setting(
                  data.data().toString(),
                  dialogues,
                  generation,
                  baseline.hashes(),
                  Math.min(examples, dialogues.size())),
              metrics,
              results,
              new PairedBootstrap(common().seed()));
      terminal()
          .print(
              output.json()
                  ? new EvaluationJson(report).toString()
                  : new EvaluationTable(report).toString());
    }
    return DONE;
  }

  /** Loads the metric of toxicity; null where it is not asked for. */
  private ToxicityMetric toxicity(List<Dialogue> dialogues) {
    if (!metricNames.contains(ToxicityMetric.COLUMN)) {
      return null;
    }
    common().requireDevice();
    Classifier classifier =
        Classifier.load(
            resolve(toxicityModel), new Classifier.LoadOptions().threads(common().threads()));
    try {
      return new ToxicityMetric(classifier, toxicityLabel, dialogues);
    } catch (RuntimeException | Error e) {
      classifier.close();
      throw e;
    }
  }

  private void checkUsage() {
    if (limit != null) {
      requireAtLeast(1, "--limit", limit);
    }
    requireAtLeast(0, "--examples", examples);
    batch.checkBatchSize(this);
    promptOptions.check(this);
    for (String metric : metricNames) {
      if (!List.of("rouge", "loss", ToxicityMetric.COLUMN).contains(metric)) {
        throw usage("There is no metric '" + metric + "', only rouge, loss and toxicity");
      }
    }
    boolean toxicity = metricNames.contains(ToxicityMetric.COLUMN);
    if (toxicity && (toxicityModel == null || toxicityLabel == null)) {
      throw usage("--metrics toxicity needs --toxicity-model and --toxicity-label");
    }
    if (!toxicity && (toxicityModel != null || toxicityLabel != null)) {
      throw usage("--toxicity-model and --toxicity-label need --metrics toxicity");
    }
    if (metricNames.contains("loss") && common().loadsInt8()) {
      throw usage("--metrics loss needs --dtype float32 or bfloat16");
    }
  }

  private GenerationOptions.Builder givenOptions() {
    GenerationOptions.Builder builder =
        GenerationOptions.builder().maxSourceTokens(promptOptions.maxSourceLength());
    if (given("--max-new-tokens")) {
      builder.maxNewTokens(length.maxNewTokens());
    }
    if (given("--num-beams")) {
      builder.numBeams(beams.numBeams());
    }
    return builder;
  }

  private void checkGeneration() {
    try {
      givenOptions().build();
    } catch (InvalidInputException e) {
      throw usage("--" + e.getMessage());
    }
  }

  /** Returns the options for a model: those that were given, otherwise those of its folder. */
  private GenerationOptions generationOptions(T5 model) {
    return GenerationConfigOption.complete(this, model.defaults(), givenOptions());
  }

  private List<Candidate> parseCandidates() {
    List<Candidate> all = new ArrayList<>();
    Set<String> names = new HashSet<>();
    for (String text : candidates) {
      Candidate candidate = Candidate.parse(text, this::resolve);
      if (candidate == null) {
        throw usage("--candidate must be NAME=MODEL[+ADAPTER]..., not '" + text + "'");
      }
      if (!names.add(candidate.name())) {
        throw usage("There are two candidates named '" + candidate.name() + "'");
      }
      all.add(candidate);
    }
    return all;
  }

  /** Rows of one dialogue are one, with all their summaries. */
  private List<Dialogue> dialogues() {
    Map<String, Dialogue> byText = new LinkedHashMap<>();
    ReadOptions.Data read = reading.complete(this, data.data());
    try (Stream<Dialogue> rows = DialogueReader.streamSummarized(read.path(), read.options())) {
      rows.forEach(row -> byText.merge(row.dialogue(), row, EvaluateCommand::together));
    }
    List<Dialogue> all = List.copyOf(byText.values());
    return limit == null ? all : all.subList(0, Math.min(limit, all.size()));
  }

  private static Dialogue together(Dialogue first, Dialogue other) {
    List<String> summaries = new ArrayList<>(first.summaries());
    summaries.addAll(other.summaries());
    return new Dialogue(first.id(), first.dialogue(), summaries, first.topic(), first.raw());
  }

  private List<Metric> metrics(List<Dialogue> dialogues, Prompts prompts, ToxicityMetric toxicity) {
    IntSummaryStatistics counts =
        dialogues.stream().mapToInt(each -> each.summaries().size()).summaryStatistics();
    var rouge = rougeOptions.rouge();
    var combination = rougeOptions.combination(this);
    String settings = RougeOptions.describe(rouge, combination, counts.getMin(), counts.getMax());
    List<Metric> metrics = new ArrayList<>();
    for (String name : new LinkedHashSet<>(metricNames)) {
      metrics.add(
          switch (name) {
            case "rouge" -> new RougeMetric(rouge, combination, settings);
            case "loss" ->
                new LossMetric(
                    prompts,
                    data.data().toString(),
                    promptOptions.maxSourceLength(),
                    promptOptions.truncate());
            default -> toxicity;
          });
    }
    return metrics;
  }
}
