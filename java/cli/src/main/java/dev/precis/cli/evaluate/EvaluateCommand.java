package dev.precis.cli.evaluate;

import dev.precis.Classifier;
import dev.precis.T5;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.BuiltInModel;
import dev.precis.cli.common.OutputFolder;
import dev.precis.cli.common.Prompts;
import dev.precis.cli.options.BatchSizeOption;
import dev.precis.cli.options.ColumnOptions;
import dev.precis.cli.options.ConfigOption;
import dev.precis.cli.options.DecodingOptions;
import dev.precis.cli.options.FileOptions;
import dev.precis.cli.options.GenerationConfigOption;
import dev.precis.cli.options.PromptOptions;
import dev.precis.cli.options.ReadOptions;
import dev.precis.cli.safety.SafetyEvaluation;
import dev.precis.cli.safety.SafetyFolder;
import dev.precis.cli.safety.SafetyJson;
import dev.precis.cli.safety.SafetySubject;
import dev.precis.cli.safety.SafetyTable;
import dev.precis.data.DataOptions;
import dev.precis.data.Dialogue;
import dev.precis.data.DialogueReader;
import dev.precis.evaluation.PairedBootstrap;
import dev.precis.evaluation.safety.Probe;
import dev.precis.evaluation.safety.ProbePrompt;
import dev.precis.evaluation.safety.ProbeSet;
import dev.precis.evaluation.safety.SafetyReport;
import dev.precis.generation.GenerationOptions;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.IntSummaryStatistics;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

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
      "Rows with the same dialogue are one dialogue with several references.",
      "--safety reports toxicity, bias between groups of people, refusals, leaks, answers and"
          + " kindness instead, before and after alignment."
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
      "  precis evaluate --data test.jsonl --candidate before=model \\",
      "      --candidate after=summaries.jsonl --output results",
      "  precis evaluate --data test.jsonl --candidate base=model --json \\",
      "      | jq .candidates",
      "  precis evaluate --safety --candidate before=model \\",
      "      --candidate after=model+run/adapter --output run/safety",
      "  precis evaluate --safety --probes mine.jsonl --candidate m=model \\",
      "      --toxicity-model facebook/roberta-hate-speech-dynabench-r4-target \\",
      "      --toxicity-label hate"
    })
public final class EvaluateCommand extends BaseCommand {
  private static final List<String> METRICS =
      List.of("rouge", "loss", ToxicityMetric.COLUMN, FactMetric.COLUMN, BertScoreMetric.NAME);

  private static final String BUILT_IN_LABEL = "hate";

  private static final String WRONG_LABEL =
      "The classifier finds a friendly sentence as toxic as an insult: --toxicity-label must name"
          + " the label that means toxic, or its toxicity means nothing.";

  @Option(
      names = "--data",
      paramLabel = "FILE",
      description = FileOptions.DIALOGUES + " Not with --safety.")
  private Path data;

  @Mixin private ColumnOptions reading = new ColumnOptions();

  @Option(
      names = "--candidate",
      required = true,
      paramLabel = "NAME=MODEL[+ADAPTER]...|NAME=FILE",
      description = {
        "A model (a folder or a hub ID), optionally with PEFT adapters, and its name in the table;"
            + " or a file with summaries, as precis generate writes them.",
        "The first candidate is the baseline."
      })
  private List<String> candidates = List.of();

  @Mixin private SafetyOptions safetyOptions = new SafetyOptions();

  @Option(
      names = "--metrics",
      split = ",",
      paramLabel = "METRIC",
      defaultValue = "rouge",
      description = {
        "rouge, loss, toxicity, facts, bertscore, or several, such as rouge,facts (default:"
            + " ${DEFAULT-VALUE}).",
        "loss is the cross-entropy per token of the first reference, as a mean over dialogues and,"
            + " with the perplexity, over tokens; lower is better.",
        "toxicity is the probability of --toxicity-label in the summary alone, by"
            + " --toxicity-model; lower is better. With rouge, the report also says where ROUGE"
            + " fell.",
        "facts is the share of a summary's names, numbers, times, speakers and negations that the"
            + " dialogue supports; higher is better.",
        "bertscore is precision, recall and F1 of BERTScore (Zhang et al. 2020) against the"
            + " references, by --bertscore-model; higher is better."
      })
  private List<String> metricNames = List.of();

  @Option(
      names = {"--toxicity-model", "--reward-model"},
      paramLabel = "R",
      description =
          "The classifier that measures toxicity: a folder, or a hub ID that was downloaded"
              + " (default of --safety: a small built-in one).")
  private String toxicityModel;

  @Option(
      names = "--toxicity-label",
      paramLabel = "NAME",
      description = "The classifier's label that means toxic, such as hate.")
  private String toxicityLabel;

  @Mixin private BertScoreOptions bertScoreOptions = new BertScoreOptions();
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

  @Option(
      names = "--output",
      paramLabel = "DIR",
      description =
          "Also keep the summaries of each candidate in DIR/NAME.jsonl, as precis generate writes"
              + " them, with evaluation.json (what --json prints) and report.html. The folder must"
              + " be new or empty.")
  private Path output;

  @Mixin private FileOptions.JsonOutput jsonOutput = new FileOptions.JsonOutput();
  @Mixin private ConfigOption config = new ConfigOption();

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
    if (safetyOptions.safety()) {
      return safety(prompts, all);
    }
    ReadOptions.Data read = reading.complete(this, data);
    List<Dialogue> rows = DialogueReader.readSummarized(read.path(), read.options());
    List<Dialogue> dialogues = limited(DialogueReader.together(rows));
    BaselineFingerprint baseline = new BaselineFingerprint(all.getFirst());
    try (ToxicityMetric toxicity = toxicity(dialogues);
        BertScoreMetric bertScore = bertScore(dialogues)) {
      List<Metric> metrics = metrics(dialogues, prompts, toxicity, bertScore);
      List<EvaluationResult> results =
          results(all, rows, dialogues, prompts, data.toString(), metrics);
      baseline.check();
      EvaluationReport report =
          new EvaluationReport(
              new EvaluationReport.Setting(
                  data.toString(),
                  dialogues,
                  generation(all),
                  baseline.hashes(),
                  Math.min(examples, dialogues.size())),
              metrics,
              results,
              new PairedBootstrap(common().seed()));
      if (output != null) {
        List<String> files = new EvaluationFolder(report).write(output, rows, record(all));
        note("Done: %s has %s.".formatted(output, String.join(", ", files)));
      }
      terminal()
          .print(
              jsonOutput.json()
                  ? new EvaluationJson(report).toString()
                  : new EvaluationTable(report, report.examples()).toString());
    }
    return DONE;
  }

  private List<EvaluationResult> results(
      List<Candidate> all,
      List<Dialogue> rows,
      List<Dialogue> dialogues,
      Prompts prompts,
      String source,
      List<Metric> metrics) {
    CandidateRunner runner =
        new CandidateRunner(
            this,
            rows,
            dialogues,
            prompts,
            promptOptions.maxSourceLength(),
            promptOptions.truncate(),
            folderSettings.follows());
    return runner.run(
        all, source, this::generationOptions, DataOptions.STRICT, batch.batchSize(), metrics);
  }

  /** Reports the safety of the candidates. */
  private int safety(Prompts prompts, List<Candidate> all) {
    ProbeSet probes = safetyOptions.read(limit);
    List<Dialogue> texts = probes.prompts().stream().map(EvaluateCommand::dialogue).toList();
    BaselineFingerprint baseline = new BaselineFingerprint(all.getFirst());
    boolean measuresToxicity = !probes.of(Probe.Kind.TOXICITY).isEmpty();
    boolean builtIn = measuresToxicity && toxicityModel == null;
    try (BuiltInModel small = builtIn ? BuiltInModel.toxicity() : null;
        ToxicityScorer scorer = measuresToxicity ? safetyScorer(small) : null) {
      List<EvaluationResult> results =
          results(all, texts, texts, prompts, probes.name(), List.of());
      baseline.check();
      SafetyReport report =
          new SafetyReport(
              probes,
              results.stream()
                  .map(each -> new SafetyReport.Outputs(each.name(), each.summaries()))
                  .toList(),
              outputs ->
                  scorer.scores(
                      IntStream.rangeClosed(1, outputs.size())
                          .mapToObj(i -> "output " + i)
                          .toList(),
                      outputs),
              common().seed());
      SafetyEvaluation evaluation =
          new SafetyEvaluation(
              probes,
              results.stream().map(EvaluateCommand::subject).toList(),
              report,
              generation(all),
              measuresToxicity
                  ? "probability of '%s' in the output alone, by %s"
                      .formatted(scorer.label(), scorer.name())
                  : "not measured",
              measuresToxicity && !scorer.knowsAnInsult() ? List.of(WRONG_LABEL) : List.of(),
              baseline.hashes(),
              common().seed());
      if (output != null) {
        List<String> files = new SafetyFolder(evaluation).write(output, record(all));
        note("Done: %s has %s.".formatted(output, String.join(", ", files)));
      }
      terminal()
          .print(
              jsonOutput.json()
                  ? new SafetyJson(evaluation).toString()
                  : new SafetyTable(evaluation).toString());
    }
    return DONE;
  }

  /** Loads the built-in classifier, or the one that was named where that is null. */
  private ToxicityScorer safetyScorer(BuiltInModel builtIn) {
    return builtIn == null
        ? scorer(resolve(toxicityModel), toxicityLabel, toxicityModel)
        : scorer(builtIn.folder(), BUILT_IN_LABEL, "the built-in classifier");
  }

  private static Dialogue dialogue(ProbePrompt prompt) {
    return new Dialogue(prompt.id(), prompt.text(), List.of(), null, !prompt.probe().isDialogue());
  }

  private static SafetySubject subject(EvaluationResult result) {
    Candidate candidate = result.candidate();
    return new SafetySubject(
        candidate.name(),
        candidate.model(),
        candidate.adapters(),
        result.summaries(),
        result.generations());
  }

  /** Describes in a few words where the summaries are from. */
  private String generation(List<Candidate> all) {
    if (all.stream().allMatch(Candidate::isFile)) {
      return safetyOptions.safety() ? "outputs of files" : "summaries of files";
    }
    return "%s, at most %d tokens"
        .formatted(
            beams.numBeams() == 1 ? "greedy" : beams.numBeams() + " beams", length.maxNewTokens());
  }

  /** Returns the options that decide the numbers. */
  private ObjectNode record(List<Candidate> all) {
    ObjectNode options = Json.mapper().createObjectNode();
    if (safetyOptions.safety()) {
      options.put("probes", safetyOptions.name());
    } else {
      options.put("data", data.toString());
    }
    ArrayNode candidates = options.putArray("candidates");
    all.forEach(
        each -> {
          StringBuilder text = new StringBuilder(each.name() + "=" + each.model());
          each.adapters().forEach(adapter -> text.append('+').append(adapter));
          candidates.add(text.toString());
        });
    if (!safetyOptions.safety()) {
      ArrayNode metrics = options.putArray("metrics");
      metricNames.forEach(metrics::add);
    }
    if (limit != null) {
      options.put("limit", limit);
    }
    options.put("generation", generation(all));
    options.put("seed", common().seed());
    return options;
  }

  /** Loads the metric of toxicity; null where it is not asked for. */
  private ToxicityMetric toxicity(List<Dialogue> dialogues) {
    if (!metricNames.contains(ToxicityMetric.COLUMN)) {
      return null;
    }
    Path folder = resolve(toxicityModel);
    ToxicityScorer scorer = scorer(folder, toxicityLabel, folder.toString());
    try {
      return new ToxicityMetric(scorer, dialogues);
    } catch (RuntimeException | Error e) {
      scorer.close();
      throw e;
    }
  }

  private BertScoreMetric bertScore(List<Dialogue> dialogues) {
    return metricNames.contains(BertScoreMetric.NAME)
        ? bertScoreOptions.metric(this, dialogues)
        : null;
  }

  /** Loads a classifier of toxicity. */
  private ToxicityScorer scorer(Path folder, String label, String name) {
    common().requireDevice();
    Classifier classifier =
        Classifier.load(folder, new Classifier.LoadOptions().threads(common().threads()));
    try {
      return new ToxicityScorer(classifier, label, name);
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
    safetyOptions.check(this);
    if (data == null && !safetyOptions.safety()) {
      throw usage("--data or --safety is missing");
    }
    if (output != null) {
      OutputFolder.requireNewOrEmpty(output);
    }
    batch.checkBatchSize(this);
    promptOptions.check(this);
    for (String metric : metricNames) {
      if (!METRICS.contains(metric)) {
        throw usage(
            "There is no metric '%s', only %s and %s"
                .formatted(
                    metric,
                    String.join(", ", METRICS.subList(0, METRICS.size() - 1)),
                    METRICS.getLast()));
      }
    }
    bertScoreOptions.check(this, metricNames.contains(BertScoreMetric.NAME));
    boolean toxicity = metricNames.contains(ToxicityMetric.COLUMN);
    if (toxicity && (toxicityModel == null || toxicityLabel == null)) {
      throw usage("--metrics toxicity needs --toxicity-model and --toxicity-label");
    }
    if (safetyOptions.safety() && (toxicityModel == null) != (toxicityLabel == null)) {
      throw usage("--toxicity-model and --toxicity-label need each other");
    }
    if (!toxicity && !safetyOptions.safety() && (toxicityModel != null || toxicityLabel != null)) {
      throw usage("--toxicity-model and --toxicity-label need --metrics toxicity or --safety");
    }
    if (metricNames.contains("loss") && common().loadsQuantized()) {
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
        throw usage("--candidate must be NAME=MODEL[+ADAPTER]... or NAME=FILE, not '" + text + "'");
      }
      if (!names.add(candidate.name())) {
        throw usage("There are two candidates named '" + candidate.name() + "'");
      }
      if (output != null && EvaluationFolder.fileName(candidate.name()) == null) {
        throw usage(
            "--output names a file after each candidate, but '"
                + candidate.name()
                + "' cannot be a file's name");
      }
      if (candidate.isFile() && metricNames.contains("loss")) {
        throw usage(
            "--metrics loss needs models, but '" + candidate.name() + "' is a file with summaries");
      }
      all.add(candidate);
    }
    return all;
  }

  private List<Dialogue> limited(List<Dialogue> all) {
    return limit == null ? all : all.subList(0, Math.min(limit, all.size()));
  }

  private List<Metric> metrics(
      List<Dialogue> dialogues,
      Prompts prompts,
      ToxicityMetric toxicity,
      BertScoreMetric bertScore) {
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
                    data.toString(),
                    promptOptions.maxSourceLength(),
                    promptOptions.truncate());
            case FactMetric.COLUMN -> new FactMetric();
            case BertScoreMetric.NAME -> bertScore;
            default -> toxicity;
          });
    }
    return metrics;
  }
}
