package dev.precis.cli.train;

import dev.precis.checkpoint.PeftAdapter;
import dev.precis.cli.common.AvailableMemory;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.MemoryCheck;
import dev.precis.cli.options.ColumnOptions;
import dev.precis.cli.options.DistillationFlags;
import dev.precis.cli.options.EvalMetricOptions;
import dev.precis.cli.options.FileOptions;
import dev.precis.cli.options.GenerationConfigOption;
import dev.precis.cli.options.LearningOptions;
import dev.precis.cli.options.PromptOptions;
import dev.precis.cli.options.ReadOptions;
import dev.precis.cli.options.RunOptions;
import dev.precis.cli.options.StartOptions;
import dev.precis.cli.options.StepOptions;
import dev.precis.cli.options.TargetOptions;
import dev.precis.cli.options.TokenBatchOption;
import dev.precis.cli.options.TrainMethodOptions;
import dev.precis.cli.report.Curves;
import dev.precis.data.DataListener;
import dev.precis.device.DeviceOptions;
import dev.precis.evaluation.Rouge;
import dev.precis.io.Resources;
import dev.precis.lora.Ia3Config;
import dev.precis.lora.LoraConfig;
import dev.precis.lora.PromptConfig;
import dev.precis.t5.T5Config;
import dev.precis.tensor.DType;
import dev.precis.text.Tokenizer;
import dev.precis.training.Distillation;
import dev.precis.training.Example;
import dev.precis.training.ExampleReader;
import dev.precis.training.RougeEvaluation;
import dev.precis.training.RunFolder;
import dev.precis.training.Teacher;
import dev.precis.training.TrainableT5;
import dev.precis.training.Trainer;
import dev.precis.training.TrainingLoop;
import dev.precis.training.TrainingOptions;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "train",
    header = "Fine-tunes a model on dialogues and their summaries.",
    description = {
      "Trains LoRA adapters, IA3's vectors or a soft prompt on a frozen model, or all weights of a"
          + " model. The run folder holds"
          + " config.json (all options, defaults included), metrics.jsonl (one object per step),"
          + " TensorBoard events, report.html, checkpoints/step-N and the result: adapter (a PEFT"
          + " folder) or model (a Hugging Face folder).",
      "With --teacher the model learns the distributions of a larger one (distillation), on the"
          + " data's summaries or, with --on-policy, on those that it samples itself.",
      "A killed run resumes bitwise identically."
    },
    footer = {
      "",
      "Examples:",
      "  precis train --model google/flan-t5-base --data train.csv --output run",
      "  precis train --model google/flan-t5-base --data train.csv \\",
      "      --eval-data dev.csv --method full --optimizer adafactor --output run",
      "  precis train --model google/flan-t5-base --data train.csv \\",
      "      --method prompt-tuning --prompt-text 'Summarize the dialogue' --output run",
      "  precis train --model google/flan-t5-base --data train.csv --output run \\",
      "      --resume",
      "  precis train --model google/flan-t5-base --data train.csv \\",
      "      --eval-data dev.csv --eval-metric rouge --output run",
      "  precis train --model google/flan-t5-small --teacher google/flan-t5-large \\",
      "      --data train.csv --method full --on-policy 0.5 --output run",
      "  precis generate --model google/flan-t5-base --adapter run/adapter \\",
      "      --input test.jsonl"
    })
public final class TrainCommand extends BaseCommand {
  private static final int MOST_EXAMPLES = 100;

  @ArgGroup(validate = false)
  private StartOptions start = new StartOptions();

  @Mixin private FileOptions.Dialogues dialogues = new FileOptions.Dialogues();
  @Mixin private ColumnOptions reading = new ColumnOptions();
  @Mixin private RunOptions run = new RunOptions();
  @Mixin private TrainMethodOptions method = new TrainMethodOptions();
  @Mixin private StepOptions steps = new StepOptions();
  @Mixin private TokenBatchOption tokenBatch = new TokenBatchOption();
  @Mixin private LearningOptions learning = new LearningOptions();
  @Mixin private EvalMetricOptions evalMetric = new EvalMetricOptions();
  @Mixin private DistillationFlags distillation = new DistillationFlags();

  @Option(
      names = "--label-smoothing",
      paramLabel = "X",
      defaultValue = "0",
      description =
          "Probability mass that is spread over the whole vocabulary (default:"
              + " ${DEFAULT-VALUE}).")
  private float labelSmoothing;

  @Mixin private PromptOptions prompts = new PromptOptions();
  @Mixin private TargetOptions targets = new TargetOptions();

  @Option(
      names = "--all-references",
      description = "Learn from every reference summary of a dialogue, not only the first.")
  private boolean allReferences;

  @Option(
      names = "--report-examples",
      paramLabel = "N",
      defaultValue = "6",
      description =
          "Dialogues of --eval-data (or of --data without it) that are summarized before and after"
              + " training for report.html; 0: none (default: ${DEFAULT-VALUE}).")
  private int reportExamples;

  @Override
  protected Map<String, String> defaults() {
    return Map.of("--max-source-length", "1024", "--max-new-tokens", "128");
  }

  @Override
  public Integer call() {
    checkUsage();
    TrainingOptions options = options();
    Path folder = start.folder(this);
    if (run.checksMemory()) {
      MemoryCheck.requireBeforeLoading(
          method.weightMemory(
              this, T5Config.read(folder), common().trainingType(), options.optimizer()),
          AvailableMemory.ofThisProcess(),
          this,
          "--method, --optimizer or --dtype bfloat16, or take a smaller model");
    }
    ReadOptions.Data data = reading.training(this, dialogues.data());
    ReadOptions.Data evalData = reading.validation(this, steps.evaluation().evalData());
    try (Tokenizer tokenizer = Tokenizer.load(folder)) {
      ExampleReader reader = reader(tokenizer);
      List<Example> training = examples(reader, data);
      List<Example> evaluation = evalData == null ? List.of() : examples(reader, evalData);
      RunConfig config = config(options, data, evalData);
      try (Resources resources = new Resources()) {
        RunFolder opened = resources.add(config.open(run.target()));
        TrainableT5 t5 = resources.add(load(folder, tokenizer));
        RougeEvaluation summaries = summaries(t5, tokenizer, reader, evalData);
        if (summaries != null) {
          resources.add(summaries);
        }
        Distillation loss = distillation(t5, resources);
        Trainer trainer =
            resources.add(new Trainer(t5, options, training, evaluation, summaries, loss, opened));
        if (run.resume()) {
          trainer.resume();
        }
        ExampleSummaries shown =
            new ExampleSummaries(t5, tokenizer, opened, reportExamples, training, evaluation);
        return train(t5, trainer, opened, training.size(), options, folder, shown);
      }
    }
  }

  /** Returns the loss with a teacher; null: there is none. */
  private Distillation distillation(TrainableT5 t5, Resources resources) {
    if (!distillation.given()) {
      return null;
    }
    Teacher teacher =
        resources.add(Teacher.load(distillation.folder(this), distillation.adapters(this), t5));
    return resources.add(new Distillation(t5, teacher, distillation.options(this)));
  }

  private void checkUsage() {
    // Refused before the data is read.
    common().trainingType();
    start.check(this);
    method.check(this);
    if (!method.full() && start.random()) {
      throw usage("--init starts from random weights, which needs --method full");
    }
    tokenBatch.check(this, "--batch-size");
    learning.check(this, steps, steps.evaluation().evalData() != null);
    evalMetric.check(this, steps.evaluation().evalData() != null);
    distillation.check(this);
    prompts.check(this);
    targets.check(this);
    if (reportExamples < 0 || reportExamples > MOST_EXAMPLES) {
      throw usage("--report-examples must be 0 to 100, not " + reportExamples);
    }
  }

  private TrainingOptions options() {
    return LearningOptions.build(
        this,
        learning
            .options(this, steps, method.learningRate(), method.weightDecay())
            .maxTokensPerBatch(tokenBatch.tokens())
            .labelSmoothing(labelSmoothing));
  }

  private ExampleReader reader(Tokenizer tokenizer) {
    return new ExampleReader(
        tokenizer,
        prompts.template(),
        prompts.maxSourceLength(),
        targets.maxTargetLength(),
        prompts.truncate(),
        allReferences);
  }

  private List<Example> examples(ExampleReader reader, ReadOptions.Data data) {
    ExampleReader.Examples read = reader.read(data.path(), data.options());
    targets.noteLeftOut(
        this, data.given(), read.leftOut(), read.examples().size(), prompts.maxSourceLength());
    return read.examples();
  }

  /** Returns the evaluation by ROUGE; null where evaluations are compared by their loss. */
  private RougeEvaluation summaries(
      TrainableT5 t5, Tokenizer tokenizer, ExampleReader reader, ReadOptions.Data evalData) {
    Rouge.Metric metric = evalMetric.rouge(this);
    if (metric == null) {
      return null;
    }
    // Reading the loss's examples has already printed the warnings about these rows.
    List<RougeEvaluation.Source> sources =
        reader.readSources(
            evalData.path(),
            evalData.options().withListener(DataListener.NONE),
            evalMetric.limit());
    GenerationConfigOption.noteForTraining(
        this, t5.folder(), "evaluations summarize by greedy decoding all the same");
    return new RougeEvaluation(
        t5, tokenizer, sources, metric, evalMetric.maxNewTokens(), steps.batchSize());
  }

  private TrainableT5 load(Path folder, Tokenizer tokenizer) {
    common().requireDevice();
    DType dtype = common().trainingType();
    float dropout = steps.dropout() == null ? Float.NaN : steps.dropout();
    if (start.random()) {
      return TrainableT5.fromScratch(
          folder, dtype, dropout, common().seed(), common().deviceOptions());
    }
    if (method.full()) {
      return TrainableT5.full(folder, dtype, dropout, common().deviceOptions());
    }
    return method.initAdapter() == null
        ? begin(folder, tokenizer, dtype, dropout)
        : from(folder, resolve(method.initAdapter()), dtype, dropout);
  }

  /** Begins with new parameters beside the model's. */
  private TrainableT5 begin(Path folder, Tokenizer tokenizer, DType dtype, float dropout) {
    DeviceOptions device = common().deviceOptions();
    long seed = common().seed();
    if (method.ia3()) {
      return TrainableT5.ia3(base(folder, dtype), method.ia3Config(this), dropout);
    }
    if (method.promptTuning()) {
      PromptConfig prompt = method.promptConfig(tokenizer);
      return TrainableT5.promptTuning(folder, prompt, dtype, dropout, seed, device);
    }
    return TrainableT5.lora(base(folder, dtype), method.config(), dropout, seed);
  }

  private TrainableT5.Base base(Path folder, DType dtype) {
    return new TrainableT5.Base(folder, dtype, weightsCache(), common().deviceOptions());
  }

  /** Continues with those of an adapter. */
  private TrainableT5 from(Path folder, Path adapter, DType dtype, float dropout) {
    DeviceOptions device = common().deviceOptions();
    if (method.ia3()) {
      return TrainableT5.ia3From(base(folder, dtype), adapter, dropout);
    }
    if (method.promptTuning()) {
      return TrainableT5.promptTuningFrom(folder, adapter, dtype, dropout, device);
    }
    return TrainableT5.loraFrom(base(folder, dtype), adapter, method.loraDropout(), dropout);
  }

  private RunConfig config(
      TrainingOptions options, ReadOptions.Data data, ReadOptions.Data evalData) {
    RunConfig config = new RunConfig(this).put("method", method.method());
    if (start.random()) {
      config.put("init", start.init().toString());
    } else {
      config.weights("model", start.name());
    }
    config.data("data", data, reading).data("eval_data", evalData, reading).dtype();
    if (method.lora()) {
      config.lora(this::describeAdapter);
    } else if (method.ia3()) {
      config.inner("ia3", this::describeScales);
    } else if (method.promptTuning()) {
      config.inner("prompt_tuning", this::describePrompt);
    }
    return config
        .dropout(steps.dropout())
        .prompts(prompts)
        .put("max_target_length", targets.maxTargetLength())
        .put("truncate", prompts.truncate())
        .put("all_references", allReferences)
        .options(options.toJson())
        .distillation(distillation)
        .evalMetric(evalMetric.rouge(this), evalMetric);
  }

  private void describeAdapter(RunConfig lora) {
    if (method.initAdapter() != null) {
      lora.weights("init_adapter", method.initAdapter());
      try (PeftAdapter adapter = PeftAdapter.open(resolve(method.initAdapter()))) {
        lora.put("rank", adapter.rank());
        lora.put("alpha", adapter.alpha());
      }
    } else {
      LoraConfig shape = method.config();
      lora.shape(shape).put("rslora", shape.rankStabilised());
    }
    lora.put("dropout", RunConfig.decimal(method.loraDropout()));
  }

  private void describeScales(RunConfig ia3) {
    if (method.initAdapter() != null) {
      ia3.weights("init_adapter", method.initAdapter());
      return;
    }
    Ia3Config shape = method.ia3Config(this);
    ia3.put("target_modules", shape.targetModules());
    ia3.put("feedforward_modules", shape.feedForwardModules());
  }

  private void describePrompt(RunConfig prompt) {
    if (method.initAdapter() != null) {
      prompt.weights("init_adapter", method.initAdapter());
      return;
    }
    prompt.put("tokens", method.promptTokens());
    if (method.promptText() != null) {
      prompt.put("text", method.promptText());
    }
  }

  private Integer train(
      TrainableT5 t5,
      Trainer trainer,
      RunFolder opened,
      int examples,
      TrainingOptions options,
      Path folder,
      ExampleSummaries shown) {
    long trained = t5.parameters().count();
    note(
        "trainable params: %,d || all params: %,d || trainable%%: %.4f"
            .formatted(trained, t5.parameterCount(), 100.0 * trained / t5.parameterCount()));
    TrainingSession session = new TrainingSession(this, trainer, opened);
    session.announce("%,d examples".formatted(examples), options, run.checksMemory());
    if (trainer.done() == 0 && !start.random()) {
      shown.begin();
    }
    TrainingLoop.Result result =
        session.train(
            distillation.given() ? Curves.DISTILLATION : Curves.FINE_TUNING,
            trained,
            t5.parameterCount(),
            shown::addTo);
    if (result.end() == TrainingLoop.End.INTERRUPTED) {
      return FAILED;
    }
    if (!start.random()) {
      RunConfig.checkModelUnchanged(run.output(), folder);
    }
    note(TrainingSession.summary(result, run.output().resolve(t5.resultName())));
    NextCommand.afterT5(this, start.name(), run.output(), t5.resultName());
    return DONE;
  }
}
