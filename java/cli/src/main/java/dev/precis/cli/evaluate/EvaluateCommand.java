package dev.precis.cli.evaluate;

import dev.precis.Classifier;
import dev.precis.T5;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.Progress;
import dev.precis.cli.common.Prompts;
import dev.precis.data.Dialogue;
import dev.precis.data.DialogueReader;
import dev.precis.evaluation.PairedBootstrap;
import dev.precis.generation.Generation;
import dev.precis.generation.GenerationOptions;
import dev.precis.io.InvalidInputException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.IntSummaryStatistics;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "evaluate",
    header = "Judges models side by side on the same dialogues.",
    description = {
      "Summarises the dialogues with each candidate and prints a table: the mean F1 of ROUGE-1, -2,"
          + " -L and -Lsum with 95 %% intervals, and how much better than the first candidate each"
          + " other one is: in points of 100 (what papers call absolute percentage improvement), in"
          + " per cent of the first one's score, and with the p-value of a paired bootstrap.",
      "A model that several candidates share is loaded once. The first candidate's weights are"
          + " hashed before and after, so that the baseline is known and known to be untouched.",
      "Rows of the same dialogue are one dialogue with several references."
    },
    footer = {
      "",
      "Examples:",
      "  precis evaluate --data test.jsonl --candidate base=google/flan-t5-base \\",
      "      --candidate full=runs/full --candidate peft=google/flan-t5-base+runs/lora/adapter",
      "  precis evaluate --data test.csv --candidate a=one --candidate b=other --limit 100 \\",
      "      --examples 5",
      "  precis evaluate --data test.jsonl --candidate before=model --candidate after=model+run/ppo"
          + " \\",
      "      --metrics rouge,toxicity --toxicity-label hate \\",
      "      --toxicity-model facebook/roberta-hate-speech-dynabench-r4-target",
      "  precis evaluate --data test.jsonl --candidate base=model --json | jq .candidates"
    })
public final class EvaluateCommand extends BaseCommand {
  private static final int MAX_SOURCE_LENGTH = 4096;

  @Option(
      names = "--data",
      required = true,
      paramLabel = "FILE",
      description = "Dialogues with summaries: .jsonl, .json, .csv or .parquet.")
  private Path data;

  @Option(
      names = "--candidate",
      required = true,
      paramLabel = "NAME=MODEL[+ADAPTER]...",
      description = {
        "A model's folder or hub id, perhaps with PEFT adapters, and what to call it.",
        "The first one is the baseline."
      })
  private List<String> candidates = List.of();

  @Option(
      names = "--metrics",
      split = ",",
      paramLabel = "METRIC",
      defaultValue = "rouge",
      description = {
        "What to judge by: rouge (the default), loss, toxicity, or several: rouge,toxicity.",
        "loss is the cross-entropy per token of the first reference; less is better.",
        "toxicity is the probability of --toxicity-label in the summary alone, by"
            + " --toxicity-model; less is better. Beside rouge it says where ROUGE fell."
      })
  private List<String> metrics = List.of();

  @Option(
      names = {"--toxicity-model", "--reward-model"},
      paramLabel = "R",
      description = "Of toxicity: a classifier's folder, or a hub id already downloaded.")
  private String toxicityModel;

  @Option(
      names = "--toxicity-label",
      paramLabel = "NAME",
      description = "Of toxicity: the classifier's label that means toxic, such as hate.")
  private String toxicityLabel;

  @Mixin private RougeOptions rougeOptions = new RougeOptions();

  @Option(names = "--limit", paramLabel = "N", description = "Only the first N dialogues.")
  private Integer limit;

  @Option(
      names = "--examples",
      paramLabel = "K",
      defaultValue = "0",
      description = "Also show K dialogues with what people and candidates make of them.")
  private int examples;

  @Option(
      names = "--template",
      paramLabel = "T",
      description = "How a dialogue becomes a prompt, as for 'precis generate'.")
  private String template;

  @Option(
      names = "--max-source-length",
      paramLabel = "N",
      defaultValue = "" + MAX_SOURCE_LENGTH,
      description = "A prompt of more tokens is an error (default: ${DEFAULT-VALUE}).")
  private int maxSourceLength;

  @Option(names = "--truncate", description = "Cut longer prompts at their end instead.")
  private boolean truncate;

  @Option(
      names = "--max-new-tokens",
      paramLabel = "N",
      defaultValue = "200",
      description = "The longest summary (default: ${DEFAULT-VALUE}).")
  private int maxNewTokens;

  @Option(
      names = "--num-beams",
      paramLabel = "N",
      defaultValue = "1",
      description = "Beams; 1: the most probable token each time (default: ${DEFAULT-VALUE}).")
  private int numBeams;

  @Option(
      names = "--batch-size",
      paramLabel = "N",
      defaultValue = "" + T5.DEFAULT_BATCH_SIZE,
      description = "Prompts side by side (default: ${DEFAULT-VALUE}); the results are the same.")
  private int batchSize;

  @Option(names = "--json", description = "Print a JSON object.")
  private boolean json;

  @Override
  public Integer call() {
    checkUsage();
    GenerationOptions options = generationOptions();
    Prompts prompts = Prompts.of(template, 0, null);
    List<Candidate> all = parseCandidates();
    List<Dialogue> dialogues = dialogues();
    Frozen baseline = new Frozen(all.getFirst());
    try (ToxicityJudge toxicity = toxicity(dialogues)) {
      List<Judge> judges = judges(dialogues, prompts, toxicity);
      List<EvaluationReport.Result> results = evaluate(all, dialogues, prompts, options, judges);
      baseline.check();
      EvaluationReport report =
          new EvaluationReport(
              data.toString(),
              dialogues,
              "%s, at most %d tokens"
                  .formatted(numBeams == 1 ? "greedy" : numBeams + " beams", maxNewTokens),
              judges,
              results,
              baseline,
              new PairedBootstrap(common().seed()),
              examples);
      terminal().print(json ? report.json() : report.text());
    }
    return DONE;
  }

  /** The judge of toxicity; null where nobody asks for it. */
  private ToxicityJudge toxicity(List<Dialogue> dialogues) {
    if (!metrics.contains(ToxicityJudge.COLUMN)) {
      return null;
    }
    Classifier classifier =
        Classifier.load(resolve(toxicityModel), new Classifier.LoadOptions().threads(threads()));
    try {
      return new ToxicityJudge(classifier, toxicityLabel, dialogues);
    } catch (RuntimeException | Error e) {
      classifier.close();
      throw e;
    }
  }

  private int threads() {
    common().requireDevice();
    return common().threads();
  }

  private void checkUsage() {
    if (limit != null && limit < 1) {
      throw usage("--limit must be 1 or more, not " + limit);
    }
    if (examples < 0) {
      throw usage("--examples must be 0 or more, not " + examples);
    }
    if (batchSize < 1) {
      throw usage("--batch-size must be 1 or more, not " + batchSize);
    }
    if (maxSourceLength < 2) {
      throw usage("--max-source-length must be 2 or more, not " + maxSourceLength);
    }
    for (String metric : metrics) {
      if (!List.of("rouge", "loss", ToxicityJudge.COLUMN).contains(metric)) {
        throw usage("There is no metric '" + metric + "', only rouge, loss and toxicity");
      }
    }
    boolean toxicity = metrics.contains(ToxicityJudge.COLUMN);
    if (toxicity && (toxicityModel == null || toxicityLabel == null)) {
      throw usage("--metrics toxicity needs --toxicity-model and --toxicity-label");
    }
    if (!toxicity && (toxicityModel != null || toxicityLabel != null)) {
      throw usage("--toxicity-model and --toxicity-label need --metrics toxicity");
    }
    if (metrics.contains("loss") && common().loadsInt8()) {
      throw usage("--metrics loss needs --dtype float32 or bfloat16");
    }
  }

  private GenerationOptions generationOptions() {
    try {
      return GenerationOptions.builder().maxNewTokens(maxNewTokens).numBeams(numBeams).build();
    } catch (InvalidInputException e) {
      throw usage("--" + e.getMessage());
    }
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
    for (Dialogue row : DialogueReader.read(data)) {
      if (row.summaries().isEmpty()) {
        throw new InvalidInputException(
            "%s: '%s' has no summary to compare with".formatted(data, row.id()));
      }
      byText.merge(row.dialogue(), row, EvaluateCommand::together);
    }
    List<Dialogue> all = List.copyOf(byText.values());
    return limit == null ? all : all.subList(0, Math.min(limit, all.size()));
  }

  private static Dialogue together(Dialogue first, Dialogue other) {
    List<String> summaries = new ArrayList<>(first.summaries());
    summaries.addAll(other.summaries());
    return new Dialogue(first.id(), first.dialogue(), summaries, first.topic(), first.raw());
  }

  private List<Judge> judges(List<Dialogue> dialogues, Prompts prompts, ToxicityJudge toxicity) {
    IntSummaryStatistics counts =
        dialogues.stream().mapToInt(each -> each.summaries().size()).summaryStatistics();
    var rouge = rougeOptions.rouge();
    var combination = rougeOptions.combination(this);
    String settings = RougeOptions.describe(rouge, combination, counts.getMin(), counts.getMax());
    List<Judge> judges = new ArrayList<>();
    for (String metric : new LinkedHashSet<>(metrics)) {
      judges.add(
          switch (metric) {
            case "rouge" -> new RougeJudge(rouge, combination, settings);
            case "loss" -> new LossJudge(prompts, data.toString(), maxSourceLength, truncate);
            default -> toxicity;
          });
    }
    return judges;
  }

  /** The candidates' results in their order; a model is loaded once for all that share it. */
  private List<EvaluationReport.Result> evaluate(
      List<Candidate> all,
      List<Dialogue> dialogues,
      Prompts prompts,
      GenerationOptions options,
      List<Judge> judges) {
    Map<Path, List<Candidate>> byModel = new LinkedHashMap<>();
    all.forEach(c -> byModel.computeIfAbsent(c.model(), any -> new ArrayList<>()).add(c));
    Map<Candidate, EvaluationReport.Result> results = new LinkedHashMap<>();
    byModel.forEach(
        (folder, sharing) -> {
          T5.LoadOptions loadOptions =
              common().loadOptions().adapters(sharing.getFirst().adapters());
          try (T5 model = T5.load(folder, loadOptions)) {
            List<int[]> sources =
                prompts.encode(
                    model.tokenizer(), dialogues, data.toString(), maxSourceLength, truncate);
            for (Candidate candidate : sharing) {
              model.useAdapters(candidate.adapters());
              List<String> summaries = summarise(candidate.name(), model, sources, options);
              List<double[][]> scores = new ArrayList<>();
              judges.forEach(judge -> scores.add(judge.judge(model, dialogues, summaries)));
              results.put(candidate, new EvaluationReport.Result(candidate, summaries, scores));
            }
          }
        });
    return all.stream().map(results::get).toList();
  }

  private List<String> summarise(
      String name, T5 model, List<int[]> sources, GenerationOptions options) {
    String[] summaries = new String[sources.size()];
    AtomicInteger done = new AtomicInteger();
    try (Progress progress = new Progress(terminal(), common().quiet())) {
      progress.show("%s  0/%d dialogues".formatted(name, sources.size()));
      model.generateTokens(
          sources,
          options,
          batchSize,
          (source, generated) -> {
            Generation generation = model.decode(generated.getFirst());
            summaries[source] = generation.text();
            progress.show(
                "%s  %d/%d dialogues  %s"
                    .formatted(
                        name,
                        done.incrementAndGet(),
                        sources.size(),
                        progress.left((double) done.get() / sources.size())));
          });
    }
    return List.of(summaries);
  }
}
