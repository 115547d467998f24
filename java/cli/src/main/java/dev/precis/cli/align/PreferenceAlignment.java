package dev.precis.cli.align;

import dev.precis.alignment.Reference;
import dev.precis.alignment.preference.FeedbackExample;
import dev.precis.alignment.preference.PreferenceExample;
import dev.precis.alignment.preference.PreferenceExampleReader;
import dev.precis.alignment.preference.PreferenceLoss;
import dev.precis.alignment.preference.PreferenceTrainer;
import dev.precis.alignment.preference.UnpairedLoss;
import dev.precis.checkpoint.ModelFolder;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.MemoryText;
import dev.precis.cli.report.RunReport;
import dev.precis.cli.train.LearningFlags;
import dev.precis.cli.train.TrainingSession;
import dev.precis.io.InvalidInputException;
import dev.precis.text.Tokenizer;
import dev.precis.training.RunFolder;
import dev.precis.training.TrainableT5;
import dev.precis.training.TrainingLoop;
import dev.precis.training.TrainingOptions;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import picocli.CommandLine.Option;
import tools.jackson.databind.node.ObjectNode;

/** {@code precis align} with what people preferred: DPO and its family, and KTO. */
public final class PreferenceAlignment extends LearningFlags {
  public static final List<String> ALGORITHMS =
      List.of("dpo", "cdpo", "robust", "ipo", "hinge", "orpo", "simpo", "kto");

  /** In the help. */
  public static final String HEADING = "%ndpo, cdpo, robust, ipo, hinge, orpo, simpo, kto:%n";

  /** In the help, before the options that are inherited. */
  private static final int FIRST = -2;

  private static final Set<String> WITHOUT_REFERENCE = Set.of("orpo", "simpo");
  private static final Set<String> SMOOTHED = Set.of("cdpo", "robust");
  private static final Set<String> LIKELIHOOD =
      Set.of("dpo", "cdpo", "robust", "ipo", "hinge", "simpo");

  @Option(
      names = "--pairs",
      order = FIRST,
      paramLabel = "FILE",
      description = {
        "What is learnt from: chosen and rejected, with the prompt (as it is) or the dialogue that"
            + " both answer. kto takes each side as an answer of its own."
      })
  private Path pairs;

  @Option(
      names = "--feedback",
      order = FIRST,
      paramLabel = "FILE",
      description = {
        "kto, instead of --pairs: completion and label (true: good), with the prompt or the"
            + " dialogue. --eval-data is of the same kind."
      })
  private Path feedback;

  @Option(
      names = "--beta",
      order = FIRST,
      paramLabel = "X",
      description = {
        "How closely the policy is held to the reference (default: 0.1); orpo: the weight of the"
            + " odds (default: 0.1); simpo: the scale of the rewards (default: 2)."
      })
  private Double beta;

  @Option(
      names = "--label-smoothing",
      order = FIRST,
      paramLabel = "X",
      description = "cdpo, robust: the share of pairs that are in the wrong order (default: 0.1).")
  private Double labelSmoothing;

  @Option(
      names = "--simpo-gamma",
      order = FIRST,
      paramLabel = "X",
      defaultValue = "1",
      description = "simpo: by how much the chosen reward should lead (default: ${DEFAULT-VALUE}).")
  private double simpoGamma;

  @Option(
      names = "--rpo-alpha",
      order = FIRST,
      paramLabel = "X",
      defaultValue = "0",
      description =
          "dpo, cdpo, robust, ipo, hinge, simpo: weight of the chosen answer's likelihood, which"
              + " keeps quality that pairs alone may cost (default: ${DEFAULT-VALUE}; try 0.5).")
  private double rpoAlpha;

  @Option(
      names = "--desirable-weight",
      order = FIRST,
      paramLabel = "X",
      defaultValue = "1",
      description = "kto: of the good answers (default: ${DEFAULT-VALUE}).")
  private double desirableWeight;

  @Option(
      names = "--undesirable-weight",
      order = FIRST,
      paramLabel = "X",
      defaultValue = "1",
      description = "kto: of the bad ones (default: ${DEFAULT-VALUE}).")
  private double undesirableWeight;

  @Option(
      names = "--max-target-length",
      order = FIRST,
      paramLabel = "N",
      defaultValue = "256",
      description = "Longer answers are left out (default: ${DEFAULT-VALUE} tokens).")
  private int maxTargetLength;

  @Option(
      names = "--truncate",
      order = FIRST,
      description = "Cut what is too long instead of leaving it out.")
  private boolean truncate;

  private BaseCommand command;
  private AlignmentStart start;

  /** What is learnt from and evaluated on; of one kind, the other is empty. */
  private record Data(
      List<PreferenceExample> pairs,
      List<PreferenceExample> evaluationPairs,
      List<FeedbackExample> feedback,
      List<FeedbackExample> evaluationFeedback) {
    int size() {
      return pairs.size() + feedback.size();
    }
  }

  /** Whether the policy is compared with a reference. */
  public static boolean needsReference(String algorithm) {
    return !WITHOUT_REFERENCE.contains(algorithm);
  }

  /** Aligns; returns the exit code. */
  public int run(BaseCommand command, AlignmentStart start, AlignmentFlags flags) {
    this.command = command;
    this.start = start;
    checkUsage(flags);
    TrainingOptions options = options(flags);
    Object loss = loss();
    Path folder = command.resolve(start.model());
    Data data = data(folder, flags.evalData());
    ObjectNode config = config(options, flags.evalData());
    try (RunFolder run =
            start.resume()
                ? RunFolder.resume(start.output(), config)
                : RunFolder.create(start.output(), config);
        TrainableT5 t5 = start.policy(command);
        Reference reference =
            needsReference(start.algorithm())
                ? Reference.open(start.reference(), t5, command::resolve)
                : null;
        PreferenceTrainer trainer = trainer(t5, options, loss, data, reference, run)) {
      if (start.resume()) {
        trainer.resume();
      }
      return align(t5, trainer, options, run, data);
    }
  }

  private boolean kto() {
    return start.algorithm().equals("kto");
  }

  private void checkUsage(AlignmentFlags flags) {
    if (feedback != null && !kto()) {
      throw command.usage("--feedback needs --algorithm kto");
    }
    if (pairs == null && feedback == null) {
      throw command.usage(kto() ? "--feedback or --pairs is missing" : "--pairs is missing");
    }
    if (pairs != null && feedback != null) {
      throw command.usage("Only one of --pairs and --feedback goes");
    }
    only("--label-smoothing", SMOOTHED, "cdpo or robust");
    only("--simpo-gamma", Set.of("simpo"), "simpo");
    only("--rpo-alpha", LIKELIHOOD, "dpo, cdpo, robust, ipo, hinge or simpo");
    only("--desirable-weight", Set.of("kto"), "kto");
    only("--undesirable-weight", Set.of("kto"), "kto");
    check(command, flags.maxSteps(), flags.evalData() != null);
    if (start.maxSourceLength() < 2 || maxTargetLength < 2) {
      throw command.usage("--max-source-length and --max-target-length must be 2 or more");
    }
  }

  private void only(String option, Set<String> algorithms, String names) {
    if (command.given(option) && !algorithms.contains(start.algorithm())) {
      throw command.usage(option + " needs --algorithm " + names);
    }
  }

  private TrainingOptions options(AlignmentFlags flags) {
    Steps steps =
        new Steps(
            flags.maxSteps(),
            flags.batchSize(8),
            flags.gradientAccumulation(),
            flags.learningRate(start.lora() ? 1e-4f : 5e-6f),
            flags.maxGradNorm(1),
            flags.checkpointEvery(0),
            flags.keepCheckpoints());
    return options(command, steps, 0);
  }

  private double beta() {
    return beta != null ? beta : start.algorithm().equals("simpo") ? 2 : 0.1;
  }

  private double smoothing() {
    return labelSmoothing != null ? labelSmoothing : SMOOTHED.contains(start.algorithm()) ? 0.1 : 0;
  }

  /** A {@link PreferenceLoss}, or kto's {@link UnpairedLoss}. */
  private Object loss() {
    try {
      if (kto()) {
        return new UnpairedLoss(beta(), desirableWeight, undesirableWeight);
      }
      PreferenceLoss.Kind kind =
          switch (start.algorithm()) {
            case "dpo", "cdpo" -> PreferenceLoss.Kind.SIGMOID;
            case "robust" -> PreferenceLoss.Kind.ROBUST;
            case "ipo" -> PreferenceLoss.Kind.IPO;
            case "hinge" -> PreferenceLoss.Kind.HINGE;
            case "orpo" -> PreferenceLoss.Kind.ORPO;
            case "simpo" -> PreferenceLoss.Kind.SIMPO;
            default -> throw new AssertionError(start.algorithm());
          };
      double margin = kind == PreferenceLoss.Kind.SIMPO ? simpoGamma : 0;
      return new PreferenceLoss(kind, beta(), smoothing(), margin, rpoAlpha);
    } catch (InvalidInputException e) {
      throw command.usage("--" + e.getMessage());
    }
  }

  private PreferenceTrainer trainer(
      TrainableT5 t5,
      TrainingOptions options,
      Object loss,
      Data data,
      Reference reference,
      RunFolder run) {
    boolean same = reference != null && start.sameAsReference(command);
    return switch (loss) {
      case UnpairedLoss unpaired ->
          PreferenceTrainer.onFeedback(
              t5, options, unpaired, data.feedback, data.evaluationFeedback, reference, same, run);
      case PreferenceLoss paired ->
          PreferenceTrainer.onPairs(
              t5, options, paired, data.pairs, data.evaluationPairs, reference, same, run);
      default -> throw new AssertionError(loss);
    };
  }

  private Data data(Path folder, Path evalData) {
    try (Tokenizer tokenizer = Tokenizer.load(folder)) {
      PreferenceExampleReader reader =
          new PreferenceExampleReader(
              tokenizer,
              start.promptTemplate(),
              start.maxSourceLength(),
              maxTargetLength,
              truncate);
      if (!kto()) {
        return new Data(
            readPairs(reader, pairs), readPairs(reader, evalData), List.of(), List.of());
      }
      return new Data(
          List.of(),
          List.of(),
          readFeedback(reader, pairs != null ? pairs : feedback),
          readFeedback(reader, evalData));
    }
  }

  private List<PreferenceExample> readPairs(PreferenceExampleReader reader, Path file) {
    return file == null ? List.of() : noted(file, reader.readPairs(checked(file)));
  }

  private List<FeedbackExample> readFeedback(PreferenceExampleReader reader, Path file) {
    if (file == null || feedback != null) {
      return file == null ? List.of() : noted(file, reader.readFeedback(checked(file)));
    }
    List<FeedbackExample> sides = new ArrayList<>();
    for (PreferenceExample pair : readPairs(reader, file)) {
      sides.add(new FeedbackExample(pair.source(), pair.chosen(), true));
      sides.add(new FeedbackExample(pair.source(), pair.rejected(), false));
    }
    return sides;
  }

  private static Path checked(Path file) {
    if (!Files.isRegularFile(file)) {
      throw new InvalidInputException(file + " must be a file: alignment reads it more than once");
    }
    return file;
  }

  private <T> List<T> noted(Path file, PreferenceExampleReader.Examples<T> read) {
    if (read.leftOut() > 0) {
      command.note(
          "%s: %,d of %,d examples are left out: longer than %d source or %d target tokens."
              .formatted(
                  file,
                  read.leftOut(),
                  read.leftOut() + read.examples().size(),
                  start.maxSourceLength(),
                  maxTargetLength));
    }
    return read.examples();
  }

  /** Everything that decides what the run does. */
  private ObjectNode config(TrainingOptions options, Path evalData) {
    ObjectNode json = AlignmentStart.json();
    start.writeTo(json, command);
    Path file = pairs != null ? pairs : feedback;
    json.put(pairs != null ? "pairs" : "feedback", file.toString());
    json.put("data_sha256", ModelFolder.fileHash(file));
    if (evalData != null) {
      json.put("eval_data", evalData.toString());
      json.put("eval_data_sha256", ModelFolder.fileHash(evalData));
    }
    json.put("max_target_length", maxTargetLength);
    json.put("truncate", truncate);
    json.setAll(options.toJson());
    json.put("beta", beta());
    json.put("label_smoothing", smoothing());
    if (start.algorithm().equals("simpo")) {
      json.put("simpo_gamma", simpoGamma);
    }
    if (rpoAlpha != 0) {
      json.put("rpo_alpha", rpoAlpha);
    }
    if (kto()) {
      json.put("desirable_weight", desirableWeight);
      json.put("undesirable_weight", undesirableWeight);
    }
    return json;
  }

  private int align(
      TrainableT5 t5,
      PreferenceTrainer trainer,
      TrainingOptions options,
      RunFolder run,
      Data data) {
    long trained = t5.parameters().count();
    command.note(
        "trainable params: %,d || all params: %,d || reference: %s"
            .formatted(trained, t5.parameterCount(), start.reference()));
    command.note(
        "%,d %s, %,d steps of %d; native memory %s"
            .formatted(
                data.size(),
                kto() ? "judged answers" : "pairs",
                trainer.totalSteps(),
                options.stepSize(),
                MemoryText.of(trainer.plan())));
    if (trainer.done() > 0) {
      command.note("Going on after step %,d.".formatted(trainer.done()));
    }
    TrainingLoop.Result result =
        TrainingSession.train(command, trainer, run, RunReport.PREFERENCES, ended -> "");
    if (result.end() == TrainingLoop.End.INTERRUPTED) {
      return BaseCommand.FAILED;
    }
    start.checkModelUnchanged(command);
    command.note(TrainingSession.summary(result, start.output().resolve(t5.resultName())));
    return BaseCommand.DONE;
  }
}
