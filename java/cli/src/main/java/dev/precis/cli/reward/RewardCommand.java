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
import dev.precis.checkpoint.ModelFolder;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.MemoryText;
import dev.precis.cli.report.RunReport;
import dev.precis.cli.train.TrainingFlags;
import dev.precis.cli.train.TrainingSession;
import dev.precis.data.LabelledText;
import dev.precis.data.PreferenceReader;
import dev.precis.data.TextReader;
import dev.precis.encoder.RobertaConfig;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.text.PromptTemplate;
import dev.precis.text.Tokenizer;
import dev.precis.training.RunFolder;
import dev.precis.training.TrainableRoberta;
import dev.precis.training.TrainingLoop;
import dev.precis.training.TrainingOptions;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

@Command(
    name = "reward",
    header = "Trains a reward model on preferences, or a classifier on labels.",
    description = {
      "With --pairs a RoBERTa learns a number that is larger for the text that people preferred:"
          + " the mean of log(1 + exp(-(chosen - rejected - margin))), plus --center times the mean"
          + " of (chosen + rejected)^2, which holds the rewards near zero. With --data it learns to"
          + " name the label of a text.",
      "The result in RUN/model is a Hugging Face folder for 'precis score', 'precis align' and"
          + " 'precis evaluate'. It keeps what it was trained to read, template and tokenizer, in"
          + " reward.json; another one is refused.",
      "Accuracy and calibration are those on what was held out, of the best weights: also in"
          + " RUN/evaluation.json. The run folder is that of 'precis train', and so is --resume."
    },
    footer = {
      "",
      "Input: .jsonl, .json, .csv or .parquet. Pairs have 'prompt' (or 'dialogue'), 'chosen',"
          + " 'rejected' and perhaps 'margin', how much better the chosen one is. Texts have 'text'"
          + " (or 'summary' or 'completion') and 'label'.",
      "",
      "Examples:",
      "  precis data --output data",
      "  precis reward --model roberta-base --pairs data/train-pairs.jsonl --output run",
      "  precis score --reward-model run/model --input summaries.jsonl",
      "  precis reward --model roberta-base --pairs votes.jsonl --output run \\",
      "      --template '{prompt}\\n{completion}' --epochs 2 --eval-data votes-dev.jsonl",
      "  precis reward --model roberta-base --data data/train-labels.jsonl --output toxicity"
    })
public final class RewardCommand extends BaseCommand {
  private static final List<String> PAIR_LABELS = List.of("reward");

  @Option(
      names = "--model",
      paramLabel = "MODEL",
      description = {
        "A RoBERTa's folder, or a hub id already downloaded: where training starts.",
        "Its head stays where it fits, else a new one is drawn."
      })
  private String model;

  @Option(
      names = "--init",
      paramLabel = "FOLDER",
      description =
          "Instead of --model: a folder with config.json and a tokenizer; training starts from"
              + " random weights.")
  private Path init;

  @Option(names = "--pairs", paramLabel = "FILE", description = "Preferences to learn from.")
  private Path pairs;

  @Option(
      names = "--data",
      paramLabel = "FILE",
      description = "Instead of --pairs: texts with labels.")
  private Path data;

  @Option(
      names = "--eval-data",
      paramLabel = "FILE",
      description =
          "Pairs or texts to evaluate on; the best weights are the result (default: --holdout of"
              + " the data).")
  private Path evalData;

  @Option(
      names = "--holdout",
      paramLabel = "SHARE",
      defaultValue = "0.1",
      description =
          "Share of the data that is evaluated on instead of learnt from, drawn by --seed"
              + " (default: ${DEFAULT-VALUE}).")
  private double holdout;

  @Option(
      names = "--output",
      required = true,
      paramLabel = "RUN",
      description = "The run's folder.")
  private Path output;

  @Option(names = "--resume", description = "Go on with the run from its newest checkpoint.")
  private boolean resume;

  @Option(
      names = "--template",
      paramLabel = "T",
      description =
          "Pairs: what the model reads, with {completion} in it and perhaps {prompt}; \\n is a line"
              + " break (default: {completion}).")
  private String template;

  @Option(
      names = "--center",
      paramLabel = "X",
      defaultValue = "0.01",
      description = "Pairs: weight of what holds rewards near zero (default: ${DEFAULT-VALUE}).")
  private double center;

  @Option(
      names = "--labels",
      split = ",",
      paramLabel = "NAME",
      description =
          "Data: the labels in the order of the logits (default: the model's own where they name"
              + " all texts, else in alphabetical order).")
  private List<String> labels;

  @Option(
      names = "--text-field",
      paramLabel = "NAME",
      description = "Data: the field with the text (default: text, else summary, else completion).")
  private String textField;

  @Option(
      names = "--learning-rate",
      paramLabel = "X",
      description = "After the warm-up (default: 1e-5; with --init 1e-3).")
  private Float learningRate;

  @Option(
      names = "--batch-size",
      paramLabel = "N",
      defaultValue = "16",
      description = "Pairs or texts that are computed at once (default: ${DEFAULT-VALUE}).")
  private int batchSize;

  @Mixin private TrainingFlags flags = new TrainingFlags();

  @Option(
      names = "--dropout",
      paramLabel = "P",
      description = "Of the model (default: as its config.json says).")
  private Float dropout;

  @Option(names = "--json", description = "Print the evaluation as a JSON object.")
  private boolean json;

  @Override
  public Integer call() {
    checkUsage();
    float rate = learningRate != null ? learningRate : init != null ? 1e-3f : 1e-5f;
    TrainingOptions options = flags.options(this, rate, batchSize, 0);
    RewardTemplate reads = rewardTemplate();
    Path start = init != null ? init : resolve(model);
    RobertaConfig config = RobertaConfig.read(start);
    try (Tokenizer tokenizer = Tokenizer.load(start)) {
      Classifier.checkVocabulary(start, tokenizer, config);
      RewardExamples examples =
          new RewardExamples(tokenizer, reads, Classifier.maxTokens(start, config));
      return pairs != null
          ? onPairs(options, start, examples)
          : onTexts(options, start, config, examples);
    }
  }

  private void checkUsage() {
    if ((model == null) == (init == null)) {
      throw usage(
          model == null ? "--model or --init is missing" : "Only one of --model and --init goes");
    }
    if ((pairs == null) == (data == null)) {
      throw usage(
          pairs == null ? "--pairs or --data is missing" : "Only one of --pairs and --data goes");
    }
    if (!(holdout >= 0 && holdout < 1)) {
      throw usage("--holdout must be at least 0 and below 1, not " + holdout);
    }
    if (evalData != null && given("--holdout")) {
      throw usage("Only one of --eval-data and --holdout goes");
    }
    for (String option : data != null ? List.of("--template", "--center") : List.<String>of()) {
      if (given(option)) {
        throw usage(option + " needs --pairs");
      }
    }
    for (String option : pairs != null ? List.of("--labels", "--text-field") : List.<String>of()) {
      if (given(option)) {
        throw usage(option + " needs --data");
      }
    }
    if (!(center >= 0 && center < Double.POSITIVE_INFINITY)) {
      throw usage("--center must be 0 or more, not " + center);
    }
    if (dropout != null && !(dropout >= 0 && dropout < 1)) {
      throw usage("--dropout must be at least 0 and below 1, not " + dropout);
    }
    flags.check(this, evalData != null || holdout > 0);
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

  private Integer onPairs(TrainingOptions options, Path start, RewardExamples examples) {
    Split<PairExample> split =
        split(
            () -> examples.pairs(PreferenceReader.readPairs(pairs), PromptTemplate.DEFAULT),
            () -> examples.pairs(PreferenceReader.readPairs(evalData), PromptTemplate.DEFAULT));
    ObjectNode config = config(options, start, PAIR_LABELS);
    config.put("pairs", pairs.toString());
    config.put("pairs_sha256", hash(pairs));
    config.put("template", examples.template().text());
    config.put("center", center);
    try (RunFolder run = open(config);
        TrainableRoberta roberta = load(start, PAIR_LABELS, examples.template());
        RewardTrainer trainer =
            new RewardTrainer(roberta, options, split.training(), split.heldOut(), center, run)) {
      return train(
          roberta,
          trainer,
          run,
          start,
          "%,d pairs".formatted(split.training().size()),
          () -> split.heldOut().isEmpty() ? null : RewardReport.of(trainer.report()));
    }
  }

  private Integer onTexts(
      TrainingOptions options, Path start, RobertaConfig own, RewardExamples examples) {
    List<LabelledText> texts = TextReader.readLabelled(data, textField);
    List<String> names =
        labels != null
            ? labels
            : RewardExamples.labels(
                texts, init == null ? own.labels() : List.of(), data.toString());
    if (names.size() < 2 || names.stream().distinct().count() != names.size()) {
      throw usage("--labels must be two or more different names");
    }
    Split<LabelledExample> split =
        split(
            () -> examples.texts(texts, names),
            () -> examples.texts(TextReader.readLabelled(evalData, textField), names));
    ObjectNode config = config(options, start, names);
    config.put("data", data.toString());
    config.put("data_sha256", hash(data));
    config.put("text_field", textField == null ? "default" : textField);
    try (RunFolder run = open(config);
        TrainableRoberta roberta = load(start, names, examples.template());
        ClassifierTrainer trainer =
            new ClassifierTrainer(roberta, options, split.training(), split.heldOut(), run)) {
      return train(
          roberta,
          trainer,
          run,
          start,
          "%,d texts".formatted(split.training().size()),
          () -> split.heldOut().isEmpty() ? null : RewardReport.of(trainer.report()));
    }
  }

  private <E> Split<E> split(Supplier<List<E>> training, Supplier<List<E>> evaluation) {
    List<E> all = training.get();
    if (evalData != null) {
      return new Split<>(all, evaluation.get());
    }
    Split<E> split = RewardExamples.split(all, holdout, common().seed());
    if (split.training().isEmpty() || holdout > 0 && split.heldOut().isEmpty()) {
      throw new InvalidInputException(
          "%s holds too little for --holdout %s: give more of it, --eval-data or --holdout 0"
              .formatted(pairs != null ? pairs : data, holdout));
    }
    return split;
  }

  private RunFolder open(ObjectNode config) {
    return resume ? RunFolder.resume(output, config) : RunFolder.create(output, config);
  }

  private TrainableRoberta load(Path start, List<String> names, RewardTemplate reads) {
    RewardModelFile file = new RewardModelFile(reads, Tokenizer.hash(start));
    TrainableRoberta.Options how =
        new TrainableRoberta.Options(
            names,
            common().trainingType(),
            dropout == null ? Float.NaN : dropout,
            common().seed(),
            file::write);
    return init != null
        ? TrainableRoberta.fromScratch(start, how, common().contextOptions())
        : TrainableRoberta.of(start, how, common().contextOptions());
  }

  /** Everything that decides what the run does. */
  private ObjectNode config(TrainingOptions options, Path start, List<String> names) {
    ObjectNode config = Json.mapper().createObjectNode();
    config.put("method", "reward");
    config.put(init != null ? "init" : "model", init != null ? init.toString() : model);
    if (init == null) {
      config.put("model_sha256", ModelFolder.weightsHash(start));
    }
    config.put("tokenizer_sha256", Tokenizer.hash(start));
    ArrayNode all = config.putArray("labels");
    names.forEach(all::add);
    if (evalData != null) {
      config.put("eval_data", evalData.toString());
      config.put("eval_data_sha256", hash(evalData));
    } else {
      config.put("holdout", holdout);
    }
    config.put("dtype", common().trainingType().name().toLowerCase(Locale.ROOT));
    if (dropout == null) {
      config.put("dropout", "config.json");
    } else {
      config.put("dropout", Double.parseDouble(Float.toString(dropout)));
    }
    config.setAll(options.toJson());
    return config;
  }

  private static String hash(Path file) {
    if (!Files.isRegularFile(file)) {
      throw new InvalidInputException(file + " must be a file: training reads it more than once");
    }
    return ModelFolder.fileHash(file);
  }

  /**
   * Trains and reports.
   *
   * @param report gives the evaluation, or null where nothing was held out
   */
  private Integer train(
      TrainableRoberta roberta,
      TrainingLoop trainer,
      RunFolder run,
      Path start,
      String examples,
      Supplier<RewardReport> report) {
    if (resume) {
      trainer.resume();
    }
    note(
        "%,d parameters%s; %s, %,d steps; native memory %s"
            .formatted(
                roberta.parameters().count(),
                roberta.freshHead() && init == null ? ", a new head on the model" : "",
                examples,
                trainer.totalSteps(),
                MemoryText.of(trainer.plan())));
    if (trainer.done() > 0) {
      note("Going on after step %,d.".formatted(trainer.done()));
    }
    RewardReport[] found = new RewardReport[1];
    TrainingLoop.Result result =
        TrainingSession.train(
            this,
            trainer,
            run,
            RunReport.REWARD,
            end -> {
              found[0] = report.get();
              if (found[0] == null) {
                return "";
              }
              run.write("evaluation.json", found[0].json().toPrettyString() + "\n");
              return found[0].html();
            });
    if (result.end() == TrainingLoop.End.INTERRUPTED) {
      return FAILED;
    }
    if (init == null) {
      String before = Json.readObject(output.resolve("config.json")).text("model_sha256");
      if (!before.equals(ModelFolder.weightsHash(start))) {
        throw new InvalidInputException(
            start + " changed while it was trained on: the result does not belong to it");
      }
    }
    if (found[0] != null) {
      terminal()
          .print(json ? found[0].json().toString() + System.lineSeparator() : found[0].text());
    }
    note(TrainingSession.summary(result, output.resolve("model")));
    return DONE;
  }
}
