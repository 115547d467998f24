package dev.precis.cli.reward;

import dev.precis.Classifier;
import dev.precis.alignment.reward.ClassifierTrainer;
import dev.precis.alignment.reward.LabelledExample;
import dev.precis.alignment.reward.PairExample;
import dev.precis.alignment.reward.RewardExamples;
import dev.precis.alignment.reward.RewardExamples.Split;
import dev.precis.alignment.reward.RewardModelFile;
import dev.precis.alignment.reward.RewardTemplate;
import dev.precis.alignment.reward.RewardTrainer;
import dev.precis.cli.common.AvailableMemory;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.MemoryCheck;
import dev.precis.cli.options.FileOptions;
import dev.precis.cli.options.LearningOptions;
import dev.precis.cli.options.PairColumnOptions;
import dev.precis.cli.options.ReadOptions;
import dev.precis.cli.options.RunOptions;
import dev.precis.cli.options.StartOptions;
import dev.precis.cli.options.StepOptions;
import dev.precis.cli.report.Curves;
import dev.precis.cli.train.NextCommand;
import dev.precis.cli.train.RunConfig;
import dev.precis.cli.train.TrainingSession;
import dev.precis.data.DataFiles;
import dev.precis.data.LabelledText;
import dev.precis.data.PreferenceReader;
import dev.precis.data.TextReader;
import dev.precis.encoder.EncoderConfig;
import dev.precis.io.InvalidInputException;
import dev.precis.text.PromptTemplate;
import dev.precis.text.Tokenizer;
import dev.precis.training.RunFolder;
import dev.precis.training.TrainableEncoder;
import dev.precis.training.TrainingLoop;
import dev.precis.training.TrainingOptions;
import dev.precis.training.WeightMemory;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "reward",
    header = "Trains a reward model on preferences, or a classifier on labels.",
    description = {
      "With --pairs an encoder (RoBERTa, BERT, DistilBERT, ELECTRA) learns a number that is larger"
          + " for the text that people preferred. The loss is the mean of log(1 + exp(-(chosen -"
          + " rejected - margin))) plus --center times the mean of (chosen + rejected)^2, which"
          + " keeps the rewards near zero. With --data it learns to name the label of a text.",
      "The result in RUN/model is a Hugging Face folder for 'precis score', 'precis align' and"
          + " 'precis evaluate'. Its reward.json names the template and the tokenizer that it was"
          + " trained with; others are refused.",
      "Accuracy and calibration on the held-out data, of the best weights, are printed and written"
          + " to RUN/evaluation.json. The run folder is that of 'precis train'."
    },
    footer = {
      "",
      "Input: "
          + DataFiles.TABLES
          + ", or a folder of them. Pairs have 'prompt' (or 'dialogue'), 'chosen', 'rejected' and"
          + " optionally 'margin', by how much the chosen one is better. Texts have 'text' (or"
          + " 'summary' or 'completion') and 'label'.",
      "",
      "Examples:",
      "  precis data --output data",
      "  precis reward --model roberta-base --pairs data/train-pairs.jsonl \\",
      "      --output run",
      "  precis score --reward-model run/model --input summaries.jsonl",
      "  precis reward --model roberta-base --pairs votes.jsonl --output run \\",
      "      --template '{prompt}\\n{completion}' --eval-data votes-dev.jsonl",
      "  precis reward --model roberta-base --data data/train-labels.jsonl \\",
      "      --output toxicity"
    })
public final class RewardCommand extends BaseCommand {
  private static final List<String> PAIR_LABELS = List.of("reward");

  @ArgGroup(validate = false)
  private StartOptions start = new StartOptions();

  @Mixin private FileOptions.Pairs preferences = new FileOptions.Pairs();

  @Option(
      names = "--data",
      paramLabel = "FILE",
      description = "Instead of --pairs: texts with labels.")
  private Path data;

  @Mixin private PairColumnOptions reading = new PairColumnOptions();

  @Option(
      names = "--holdout",
      paramLabel = "FRACTION",
      defaultValue = "0.1",
      description =
          "Fraction of the data that is evaluated on instead of learned from, sampled by --seed"
              + " (default: ${DEFAULT-VALUE}).")
  private double holdout;

  @Mixin private RunOptions run = new RunOptions();

  @Option(
      names = "--template",
      paramLabel = "T",
      description =
          "With --pairs: what the model reads, with {completion} in it and optionally {prompt}; \\n"
              + " is a line break (default: {completion}).")
  private String template;

  @Option(
      names = "--center",
      paramLabel = "X",
      defaultValue = "0.01",
      description =
          "With --pairs: weight of the term that keeps rewards near zero (default:"
              + " ${DEFAULT-VALUE}).")
  private double center;

  @Option(
      names = "--labels",
      split = ",",
      paramLabel = "NAME",
      description =
          "With --data: the labels in the order of the logits (default: the model's own where they"
              + " name all texts, else in alphabetical order).")
  private List<String> labels;

  @Mixin private FileOptions.TextField textField = new FileOptions.TextField();
  @Mixin private StepOptions steps = new StepOptions();
  @Mixin private LearningOptions learning = new LearningOptions();
  @Mixin private FileOptions.JsonOutput output = new FileOptions.JsonOutput();

  @Override
  protected Map<String, String> defaults() {
    return Map.of("--batch-size", "16");
  }

  @Override
  public Integer call() {
    checkUsage();
    TrainingOptions options =
        LearningOptions.build(this, learning.options(this, steps, start.random() ? 1e-3f : 1e-5f));
    RewardTemplate reads = rewardTemplate();
    Path folder = start.folder(this);
    EncoderConfig config = EncoderConfig.read(folder);
    config.requireTrainable();
    if (run.checksMemory()) {
      MemoryCheck.requireBeforeLoading(
          WeightMemory.full(config, common().fullTrainingType(), options.optimizer()),
          AvailableMemory.ofThisProcess(),
          this,
          "--optimizer or --dtype bfloat16, or take a smaller model");
    }
    try (Tokenizer tokenizer = Tokenizer.load(folder)) {
      tokenizer.checkVocabulary(folder, config.vocabSize());
      RewardExamples examples =
          new RewardExamples(tokenizer, reads, Classifier.maxTokens(folder, config));
      return preferences.pairs() != null
          ? onPairs(options, folder, examples)
          : onTexts(options, folder, config, examples);
    }
  }

  private Path evalData() {
    return steps.evaluation().evalData();
  }

  private void checkUsage() {
    start.check(this);
    requireOneOf("--pairs", preferences.pairs(), "--data", data);
    if (!(holdout >= 0 && holdout < 1)) {
      throw usage("--holdout must be at least 0 and below 1, not " + holdout);
    }
    if (evalData() != null && given("--holdout")) {
      throw exclusive("--eval-data", "--holdout");
    }
    if (data != null) {
      need(
          "--pairs",
          "--template",
          "--center",
          "--dialogue-column",
          "--prompt-column",
          "--summary-column",
          "--chosen-column",
          "--rejected-column");
    } else {
      need("--data", "--labels", "--text-field");
    }
    if (!(center >= 0 && center < Double.POSITIVE_INFINITY)) {
      throw usage("--center must be 0 or more, not " + center);
    }
    learning.check(this, steps, evalData() != null || holdout > 0);
  }

  private void need(String needed, String... options) {
    for (String option : options) {
      if (given(option)) {
        throw usage(option + " needs " + needed);
      }
    }
  }

  private RewardTemplate rewardTemplate() {
    try {
      return template == null
          ? RewardTemplate.COMPLETION
          : new RewardTemplate(template.replace("\\n", "\n"));
    } catch (InvalidInputException e) {
      throw usage(e.getMessage());
    }
  }

  private Integer onPairs(TrainingOptions options, Path folder, RewardExamples examples) {
    ReadOptions.Data pairs = reading.training(this, preferences.pairs());
    ReadOptions.Data evaluation = reading.validation(this, evalData());
    Split<PairExample> split =
        split(() -> pairs(pairs, examples), () -> pairs(evaluation, examples));
    RunConfig config =
        config(options, folder, PAIR_LABELS, evaluation)
            .data("pairs", pairs, reading)
            .put("template", examples.template().text())
            .put("center", center);
    try (RunFolder opened = config.open(run.target());
        TrainableEncoder roberta = load(folder, PAIR_LABELS, examples.template());
        RewardTrainer trainer =
            new RewardTrainer(
                roberta, options, split.training(), split.heldOut(), center, opened)) {
      return train(
          roberta,
          trainer,
          opened,
          folder,
          "%,d pairs".formatted(split.training().size()),
          () ->
              split.heldOut().isEmpty()
                  ? null
                  : RewardReport.of(trainer.report(), split.heldOut(), examples.tokenizer()));
    }
  }

  private static List<PairExample> pairs(ReadOptions.Data data, RewardExamples examples) {
    return PreferenceReader.readPairs(
        data.path(), data.options(), pair -> examples.pair(pair, PromptTemplate.DEFAULT));
  }

  private Integer onTexts(
      TrainingOptions options, Path folder, EncoderConfig own, RewardExamples examples) {
    String field = textField.textField();
    ReadOptions.Data training = reading.training(this, data);
    ReadOptions.Data evaluation = reading.validation(this, evalData());
    List<LabelledText> texts = TextReader.readLabelled(training.path(), field, training.options());
    List<String> names =
        labels != null
            ? labels
            : RewardExamples.labels(
                texts, start.random() ? List.of() : own.labels(), data.toString());
    if (names.size() < 2 || names.stream().distinct().count() != names.size()) {
      throw usage("--labels must be two or more different names");
    }
    Split<LabelledExample> split =
        split(
            () -> examples.texts(texts, names),
            () ->
                examples.texts(
                    TextReader.readLabelled(evaluation.path(), field, evaluation.options()),
                    names));
    RunConfig config =
        config(options, folder, names, evaluation)
            .data("data", training, reading)
            .put("text_field", field == null ? "default" : field);
    try (RunFolder opened = config.open(run.target());
        TrainableEncoder roberta = load(folder, names, examples.template());
        ClassifierTrainer trainer =
            new ClassifierTrainer(roberta, options, split.training(), split.heldOut(), opened)) {
      return train(
          roberta,
          trainer,
          opened,
          folder,
          "%,d texts".formatted(split.training().size()),
          () ->
              split.heldOut().isEmpty()
                  ? null
                  : RewardReport.of(
                      trainer.report(), split.heldOut(), names, examples.tokenizer()));
    }
  }

  private <E> Split<E> split(Supplier<List<E>> training, Supplier<List<E>> evaluation) {
    List<E> all = training.get();
    if (evalData() != null) {
      return new Split<>(all, evaluation.get());
    }
    Split<E> split = RewardExamples.split(all, holdout, common().seed());
    if (split.training().isEmpty() || holdout > 0 && split.heldOut().isEmpty()) {
      throw new InvalidInputException(
          "%s holds too little for --holdout %s: give more data, --eval-data or --holdout 0"
              .formatted(data == null ? preferences.pairs() : data, holdout));
    }
    return split;
  }

  private TrainableEncoder load(Path folder, List<String> names, RewardTemplate reads) {
    RewardModelFile file = new RewardModelFile(reads, Tokenizer.hash(folder));
    TrainableEncoder.Options how =
        new TrainableEncoder.Options(
            names,
            common().fullTrainingType(),
            steps.dropout() == null ? Float.NaN : steps.dropout(),
            common().seed(),
            file::write);
    return start.random()
        ? TrainableEncoder.fromScratch(folder, how, common().deviceOptions())
        : TrainableEncoder.of(folder, how, common().deviceOptions());
  }

  private RunConfig config(
      TrainingOptions options, Path folder, List<String> names, ReadOptions.Data evaluation) {
    RunConfig config = new RunConfig(this).put("method", "reward");
    if (start.random()) {
      config.put("init", start.init().toString());
    } else {
      config.weights("model", start.name());
    }
    config.put("tokenizer_sha256", Tokenizer.hash(folder)).put("labels", names);
    if (evalData() != null) {
      config.data("eval_data", evaluation, reading);
    } else {
      config.put("holdout", holdout);
    }
    return config.dtype().dropout(steps.dropout()).options(options.toJson());
  }

  /**
   * Trains and reports.
   *
   * @param report gives the evaluation, or null where nothing was held out
   */
  private Integer train(
      TrainableEncoder roberta,
      TrainingLoop trainer,
      RunFolder opened,
      Path folder,
      String examples,
      Supplier<RewardReport> report) {
    if (run.resume()) {
      trainer.resume();
    }
    boolean newHead = roberta.freshHead() && !start.random();
    note(
        "%,d parameters%s"
            .formatted(
                roberta.parameters().count(), newHead ? ", with a new head on the model" : ""));
    TrainingSession session = new TrainingSession(this, trainer, opened);
    session.announce(examples, null, run.checksMemory());
    RewardReport[] found = new RewardReport[1];
    TrainingLoop.Result result =
        session.train(
            Curves.REWARD,
            roberta.parameters().count(),
            roberta.parameters().count(),
            page -> {
              found[0] = report.get();
              if (found[0] != null) {
                opened.write("evaluation.json", found[0].json().toPrettyString() + "\n");
                found[0].addTo(page);
              }
            });
    if (result.end() == TrainingLoop.End.INTERRUPTED) {
      return FAILED;
    }
    if (!start.random()) {
      RunConfig.checkModelUnchanged(run.output(), folder);
    }
    if (found[0] != null) {
      terminal()
          .print(
              output.json()
                  ? found[0].json().toString() + System.lineSeparator()
                  : found[0].text());
    }
    note(TrainingSession.summary(result, run.output().resolve("model")));
    NextCommand.afterReward(this, run.output(), run.output().resolve("model"));
    return DONE;
  }
}
