package dev.precis.cli.train;

import dev.precis.checkpoint.ModelFolder;
import dev.precis.checkpoint.PeftAdapter;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.MemoryText;
import dev.precis.cli.report.RunReport;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.lora.LoraConfig;
import dev.precis.tensor.DType;
import dev.precis.text.PromptTemplate;
import dev.precis.text.Tokenizer;
import dev.precis.training.Example;
import dev.precis.training.ExampleReader;
import dev.precis.training.RunFolder;
import dev.precis.training.TrainableT5;
import dev.precis.training.Trainer;
import dev.precis.training.TrainingLoop;
import dev.precis.training.TrainingOptions;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

@Command(
    name = "train",
    header = "Fine-tunes a model on dialogues and their summaries.",
    description = {
      "Trains LoRA adapters on a frozen model, or all weights of a model, in a run folder:"
          + " config.json (everything, defaults included), metrics.jsonl (one object a step),"
          + " TensorBoard events, report.html, checkpoints/step-N, and the result in adapter"
          + " (a PEFT folder) or model (a Hugging Face folder).",
      "A run that is killed at any moment and resumed ends with the same bits as one left alone."
          + " The model that training starts from is never changed."
    },
    footer = {
      "",
      "Examples:",
      "  precis train --model google/flan-t5-base --data train.csv --output run",
      "  precis train --model google/flan-t5-base --data train.csv --eval-data dev.csv \\",
      "      --method full --learning-rate 1e-4 --optimizer adafactor --output run",
      "  precis generate --model google/flan-t5-base --adapter run/adapter --input test.jsonl",
      "  precis train --model google/flan-t5-base --data train.csv --output run --resume"
    })
public final class TrainCommand extends BaseCommand {
  @Option(
      names = "--model",
      paramLabel = "MODEL",
      description = "A model's folder, or a hub id already downloaded: where training starts.")
  private String model;

  @Option(
      names = "--init",
      paramLabel = "FOLDER",
      description =
          "Instead of --model: a folder with config.json and a tokenizer, or the config.json beside"
              + " a tokenizer; training starts from random weights. Needs --method full.")
  private Path init;

  @Option(
      names = "--data",
      required = true,
      paramLabel = "FILE",
      description =
          "Dialogues with summaries: .csv or .parquet as the hub has DialogSum, .jsonl as its"
              + " authors do, .json as SAMSum's.")
  private Path data;

  @Option(
      names = "--eval-data",
      paramLabel = "FILE",
      description = "Dialogues to evaluate on during training; the best weights are the result.")
  private Path evalData;

  @Option(
      names = "--method",
      paramLabel = "M",
      defaultValue = "lora",
      description = "lora: adapters on frozen weights; full: all weights (default: lora).")
  private String method;

  @Option(
      names = "--output",
      required = true,
      paramLabel = "RUN",
      description = "The run's folder.")
  private Path output;

  @Option(names = "--resume", description = "Go on with the run from its newest checkpoint.")
  private boolean resume;

  @Option(
      names = "--rank",
      paramLabel = "R",
      defaultValue = "32",
      description = "LoRA: rank of the update (default: ${DEFAULT-VALUE}).")
  private int rank;

  @Option(
      names = "--lora-alpha",
      paramLabel = "X",
      defaultValue = "32",
      description = "LoRA: the update is scaled by alpha / rank (default: ${DEFAULT-VALUE}).")
  private float loraAlpha;

  @Option(
      names = "--lora-dropout",
      paramLabel = "P",
      defaultValue = "0.05",
      description = "LoRA: dropout before the adapter (default: ${DEFAULT-VALUE}).")
  private float loraDropout;

  @Option(
      names = "--target-modules",
      paramLabel = "NAMES",
      defaultValue = "q,v",
      description = {
        "LoRA: layers to adapt, by the end of their names (q, k, v, o, wi_0, wi_1, wo), by one"
            + " regular expression, or all-linear (default: ${DEFAULT-VALUE})."
      })
  private String targetModules;

  @Option(names = "--rslora", description = "LoRA: scale by alpha / sqrt(rank) instead.")
  private boolean rslora;

  @Option(
      names = "--init-adapter",
      paramLabel = "A",
      description = "LoRA: a PEFT folder to train further, with its own rank, alpha and modules.")
  private String initAdapter;

  @Option(
      names = "--learning-rate",
      paramLabel = "X",
      description = "After the warm-up (default: 1e-3 for lora, 1e-4 for full).")
  private Float learningRate;

  @Option(
      names = "--batch-size",
      paramLabel = "N",
      defaultValue = "8",
      description = "Examples that are computed at once (default: ${DEFAULT-VALUE}).")
  private int batchSize;

  @Mixin private TrainingFlags flags = new TrainingFlags();

  @Option(
      names = "--label-smoothing",
      paramLabel = "X",
      defaultValue = "0",
      description = "Weight that all tokens share (default: ${DEFAULT-VALUE}).")
  private float labelSmoothing;

  @Option(
      names = "--dropout",
      paramLabel = "P",
      description = "Of the model itself (default: dropout_rate in its config.json).")
  private Float dropout;

  @Option(
      names = "--template",
      paramLabel = "T",
      description = "A prompt template, a text or a file, with {dialogue} in it.")
  private String template;

  @Option(
      names = "--max-source-length",
      paramLabel = "N",
      defaultValue = "1024",
      description = "Longer dialogues are left out (default: ${DEFAULT-VALUE} tokens).")
  private int maxSourceLength;

  @Option(
      names = "--max-target-length",
      paramLabel = "N",
      defaultValue = "256",
      description = "Longer summaries are left out (default: ${DEFAULT-VALUE} tokens).")
  private int maxTargetLength;

  @Option(names = "--truncate", description = "Cut what is too long instead of leaving it out.")
  private boolean truncate;

  @Option(
      names = "--all-references",
      description = "Learn from each reference summary of a dialogue, not the first alone.")
  private boolean allReferences;

  @Override
  public Integer call() {
    checkUsage();
    TrainingOptions options = options();
    Path start = init == null ? resolve(model) : Files.isDirectory(init) ? init : folderOfInit();
    List<Example> training;
    List<Example> evaluation;
    try (Tokenizer tokenizer = Tokenizer.load(start)) {
      training = examples(tokenizer, data);
      evaluation = evalData == null ? List.of() : examples(tokenizer, evalData);
    }
    ObjectNode config = config(options, start);
    try (RunFolder run =
            resume ? RunFolder.resume(output, config) : RunFolder.create(output, config);
        TrainableT5 t5 = load(start);
        Trainer trainer = new Trainer(t5, options, training, evaluation, run)) {
      if (resume) {
        trainer.resume();
      }
      return train(t5, trainer, run, training.size(), options, start);
    }
  }

  private Path folderOfInit() {
    if (!init.endsWith("config.json")) {
      throw new InvalidInputException(
          init + " is neither a folder with config.json and a tokenizer nor such a config.json");
    }
    return init.toAbsolutePath().getParent();
  }

  private void checkUsage() {
    // Refused before the data is read.
    common().trainingType();
    if ((model == null) == (init == null)) {
      throw usage(
          model == null ? "--model or --init is missing" : "Only one of --model and --init goes");
    }
    if (!method.equals("lora") && !method.equals("full")) {
      throw usage("--method must be lora or full, not '" + method + "'");
    }
    if (method.equals("full")) {
      for (String option :
          List.of(
              "--rank",
              "--lora-alpha",
              "--lora-dropout",
              "--target-modules",
              "--rslora",
              "--init-adapter")) {
        if (given(option)) {
          throw usage(option + " needs --method lora");
        }
      }
    } else if (init != null) {
      throw usage("--init starts from random weights, which needs --method full");
    }
    if (initAdapter != null
        && (given("--rank") || given("--lora-alpha") || given("--target-modules") || rslora)) {
      throw usage("--init-adapter brings its own rank, alpha and target modules");
    }
    flags.check(this, evalData != null);
    if (maxSourceLength < 2 || maxTargetLength < 2) {
      throw usage("--max-source-length and --max-target-length must be 2 or more");
    }
    if (dropout != null && !(dropout >= 0 && dropout < 1)) {
      throw usage("--dropout must be at least 0 and below 1, not " + dropout);
    }
  }

  private TrainingOptions options() {
    float rate = learningRate != null ? learningRate : method.equals("lora") ? 1e-3f : 1e-4f;
    return flags.options(this, rate, batchSize, labelSmoothing);
  }

  private PromptTemplate promptTemplate() {
    return template == null
        ? PromptTemplate.DEFAULT
        : template.contains("{")
            ? PromptTemplate.of(template.replace("\\n", "\n"))
            : PromptTemplate.read(Path.of(template));
  }

  private List<Example> examples(Tokenizer tokenizer, Path file) {
    ExampleReader.Examples read =
        new ExampleReader(
                tokenizer,
                promptTemplate(),
                maxSourceLength,
                maxTargetLength,
                truncate,
                allReferences)
            .read(file);
    if (read.leftOut() > 0) {
      note(
          "%s: %,d of %,d examples are left out: longer than %d source or %d target tokens."
              .formatted(
                  file,
                  read.leftOut(),
                  read.leftOut() + read.examples().size(),
                  maxSourceLength,
                  maxTargetLength));
    }
    return read.examples();
  }

  private TrainableT5 load(Path start) {
    common().requireDevice();
    DType dtype = common().trainingType();
    float itsDropout = dropout == null ? Float.NaN : dropout;
    if (init != null) {
      return TrainableT5.fromScratch(
          start, dtype, itsDropout, common().seed(), common().contextOptions());
    }
    if (method.equals("full")) {
      return TrainableT5.full(start, dtype, itsDropout, common().contextOptions());
    }
    if (initAdapter != null) {
      return TrainableT5.loraFrom(
          start, resolve(initAdapter), loraDropout, dtype, itsDropout, common().contextOptions());
    }
    return TrainableT5.lora(
        start, lora(), dtype, itsDropout, common().seed(), common().contextOptions());
  }

  private LoraConfig lora() {
    // Commas separate names; an expression may have them inside.
    List<String> targets =
        targetModules.matches("[A-Za-z0-9_.,\\- ]+")
            ? List.of(targetModules.trim().split("[, ]+"))
            : List.of(targetModules);
    return new LoraConfig(rank, loraAlpha, loraDropout, targets, rslora);
  }

  /** Everything that decides what the run does. */
  private ObjectNode config(TrainingOptions options, Path start) {
    ObjectNode json = Json.mapper().createObjectNode();
    json.put("method", method);
    json.put(init != null ? "init" : "model", init != null ? init.toString() : model);
    if (init == null) {
      json.put("model_sha256", ModelFolder.weightsHash(start));
    }
    json.put("data", data.toString());
    json.put("data_sha256", hash(data));
    if (evalData != null) {
      json.put("eval_data", evalData.toString());
      json.put("eval_data_sha256", hash(evalData));
    }
    json.put("dtype", common().trainingType().name().toLowerCase(Locale.ROOT));
    if (method.equals("lora")) {
      ObjectNode lora = json.putObject("lora");
      if (initAdapter != null) {
        Path folder = resolve(initAdapter);
        lora.put("init_adapter", initAdapter);
        lora.put("init_adapter_sha256", ModelFolder.weightsHash(folder));
        try (PeftAdapter adapter = PeftAdapter.open(folder)) {
          lora.put("rank", adapter.rank());
          lora.put("alpha", adapter.alpha());
        }
      } else {
        LoraConfig itself = lora();
        lora.put("rank", itself.rank());
        lora.put("alpha", decimal(itself.alpha()));
        ArrayNode targets = lora.putArray("target_modules");
        itself.targetModules().forEach(targets::add);
        lora.put("rslora", itself.rankStabilised());
      }
      lora.put("dropout", decimal(loraDropout));
    }
    if (dropout == null) {
      json.put("dropout", "config.json");
    } else {
      json.put("dropout", decimal(dropout));
    }
    json.put("template", template == null ? "default" : promptTemplate().text());
    json.put("max_source_length", maxSourceLength);
    json.put("max_target_length", maxTargetLength);
    json.put("truncate", truncate);
    json.put("all_references", allReferences);
    json.setAll(options.toJson());
    return json;
  }

  /** The shortest decimal that is this float, so that 0.05 is written as 0.05. */
  private static double decimal(float value) {
    return Double.parseDouble(Float.toString(value));
  }

  private static String hash(Path file) {
    if (!Files.isRegularFile(file)) {
      throw new InvalidInputException(file + " must be a file: training reads it more than once");
    }
    return ModelFolder.fileHash(file);
  }

  private Integer train(
      TrainableT5 t5,
      Trainer trainer,
      RunFolder run,
      int examples,
      TrainingOptions options,
      Path start) {
    long trained = t5.parameters().count();
    note(
        "trainable params: %,d || all params: %,d || trainable%%: %.4f"
            .formatted(trained, t5.parameterCount(), 100.0 * trained / t5.parameterCount()));
    note(
        "%,d examples, %,d steps of %d; native memory %s"
            .formatted(
                examples, trainer.totalSteps(), options.stepSize(), MemoryText.of(trainer.plan())));
    if (trainer.done() > 0) {
      note("Going on after step %,d.".formatted(trainer.done()));
    }
    TrainingLoop.Result result =
        TrainingSession.train(this, trainer, run, RunReport.FINE_TUNING, end -> "");
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
    note(
        TrainingSession.summary(
            result, output.resolve(t5.adapter() != null ? "adapter" : "model")));
    return DONE;
  }
}
