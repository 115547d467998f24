package dev.precis.cli.align;

import dev.precis.Classifier;
import dev.precis.alignment.Reference;
import dev.precis.alignment.policy.Comparison;
import dev.precis.alignment.policy.KlPenalty;
import dev.precis.alignment.policy.PolicyAlgorithm;
import dev.precis.alignment.policy.Ppo;
import dev.precis.alignment.policy.PpoMode;
import dev.precis.alignment.policy.PpoOptions;
import dev.precis.alignment.policy.PpoTrainer;
import dev.precis.alignment.policy.Preflight;
import dev.precis.alignment.policy.Prompt;
import dev.precis.alignment.reward.ClassifierReward;
import dev.precis.alignment.reward.Completion;
import dev.precis.alignment.reward.LengthReward;
import dev.precis.alignment.reward.Reward;
import dev.precis.alignment.reward.RewardTemplate;
import dev.precis.alignment.reward.RougeReward;
import dev.precis.alignment.reward.Score;
import dev.precis.alignment.reward.WeightedReward;
import dev.precis.checkpoint.ModelFolder;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.Interruption;
import dev.precis.cli.common.MemoryText;
import dev.precis.cli.common.Progress;
import dev.precis.cli.report.ComparisonTable;
import dev.precis.cli.report.RunReport;
import dev.precis.data.Dialogue;
import dev.precis.data.DialogueReader;
import dev.precis.evaluation.Rouge;
import dev.precis.generation.GenerationOptions;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.tensor.DType;
import dev.precis.tensor.MemoryPlan;
import dev.precis.text.Tokenizer;
import dev.precis.training.RunFolder;
import dev.precis.training.TrainableT5;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import picocli.CommandLine.Option;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** {@code precis align} with responses that are sampled and scored: PPO, GRPO and RLOO. */
public final class PolicyAlignment {
  private static final int COMPARED = 256;
  private static final int SHOWN = 5;

  /** What only an algorithm with a critic has. */
  private static final List<String> CRITICS =
      List.of(
          "--mode",
          "--gamma",
          "--lambda",
          "--clip-range-value",
          "--value-coef",
          "--whiten-rewards");

  @Option(
      names = "--data",
      paramLabel = "FILE",
      description = "Dialogues to respond to; summaries in it are references for ROUGE.")
  private Path data;

  @Option(
      names = "--reward-model",
      paramLabel = "R",
      description =
          "A RoBERTa classifier's folder, or a hub id already downloaded; it reads text, with its"
              + " own tokenizer.")
  private String rewardModel;

  @Option(
      names = "--reward-label",
      paramLabel = "NAME",
      description = "The label whose number is the reward, by name, such as nothate.")
  private String rewardLabel;

  @Option(
      names = "--reward-measure",
      paramLabel = "M",
      defaultValue = "logit",
      description = "logit or probability of the label (default: ${DEFAULT-VALUE}).")
  private String rewardMeasure;

  @Option(
      names = "--reward-dtype",
      paramLabel = "TYPE",
      description = "What the reward model computes in, float32 or bfloat16 (default: the run's).")
  private String rewardDtype;

  @Option(
      names = "--reward-template",
      paramLabel = "T",
      description = {
        "What the reward model reads, with {completion} in it and perhaps {prompt} (default: the"
            + " completion alone)."
      })
  private String rewardTemplate;

  @Option(
      names = "--reward",
      paramLabel = "SPEC",
      description = {
        "Another term of the reward, with its weight: rouge:rouge1, rouge:rougeL=2 (against"
            + " references), length:20=0.1 (0.1 less for each word off 20). May be repeated; with"
            + " --reward-model the terms are added, each is logged."
      })
  private List<String> rewards = new ArrayList<>();

  @Option(
      names = "--mode",
      paramLabel = "M",
      defaultValue = "full-mask",
      description = {
        "ppo: full-mask (every generated token is trained), trl-classic (TRL 0.11.4 to the number)"
            + " or lab (the same with whitening in each mini-batch) (default: ${DEFAULT-VALUE})."
      })
  private String mode;

  @Option(
      names = "--mini-batch-size",
      paramLabel = "N",
      defaultValue = "4",
      description = "Responses that are computed at once (default: ${DEFAULT-VALUE}).")
  private int miniBatchSize;

  @Option(
      names = "--group-size",
      paramLabel = "N",
      defaultValue = "0",
      description = "grpo, rloo: responses to each prompt (default: 4).")
  private int groupSize;

  @Option(
      names = "--ppo-epochs",
      paramLabel = "N",
      defaultValue = "4",
      description = "Passes over the responses of a step (default: ${DEFAULT-VALUE}).")
  private int ppoEpochs;

  @Option(
      names = "--kl-penalty",
      paramLabel = "P",
      defaultValue = "kl",
      description =
          "ppo, rloo: kl, abs, mse or full, the divergence of the whole distribution (default:"
              + " ${DEFAULT-VALUE}).")
  private String klPenalty;

  @Option(
      names = "--kl-coef",
      paramLabel = "X",
      defaultValue = "0.2",
      description = "Of the KL penalty, at the start (default: ${DEFAULT-VALUE}).")
  private double klCoef;

  @Option(names = "--fixed-kl", description = "Keep --kl-coef instead of adapting it.")
  private boolean fixedKl;

  @Option(
      names = "--target-kl",
      paramLabel = "X",
      defaultValue = "6",
      description =
          "KL of a response that an adapted coefficient aims at (default: ${DEFAULT-VALUE} nats).")
  private double targetKl;

  @Option(
      names = "--kl-horizon",
      paramLabel = "N",
      defaultValue = "10000",
      description =
          "Responses over which the coefficient can about double (default: ${DEFAULT-VALUE}).")
  private double klHorizon;

  @Option(
      names = "--kl-limit",
      paramLabel = "X",
      defaultValue = "0",
      description = "The watchdog acts above this KL (default: 10 times the target; 60 if fixed).")
  private double klLimit;

  @Option(
      names = "--score-drop",
      paramLabel = "X",
      defaultValue = "0",
      description =
          "The watchdog acts when the mean score of 5 steps is this far below its best; 0: never"
              + " (default: 0).")
  private double scoreDrop;

  @Option(
      names = "--max-rollbacks",
      paramLabel = "N",
      defaultValue = "2",
      description =
          "How often the watchdog goes back to the last checkpoint, at half the learning rate"
              + " (default: ${DEFAULT-VALUE}).")
  private int maxRollbacks;

  @Option(
      names = "--gamma",
      paramLabel = "X",
      defaultValue = "1",
      description = "ppo: discount of later rewards (default: ${DEFAULT-VALUE}).")
  private double gamma;

  @Option(
      names = "--lambda",
      paramLabel = "X",
      defaultValue = "0.95",
      description = "ppo: of generalised advantage estimation (default: ${DEFAULT-VALUE}).")
  private double lambda;

  @Option(
      names = "--clip-range",
      paramLabel = "X",
      defaultValue = "0.2",
      description = "Of the ratio of new to old probability (default: ${DEFAULT-VALUE}).")
  private float clipRange;

  @Option(
      names = "--clip-range-value",
      paramLabel = "X",
      defaultValue = "0.2",
      description = "ppo: of the values around the old ones (default: ${DEFAULT-VALUE}).")
  private float clipRangeValue;

  @Option(
      names = "--value-coef",
      paramLabel = "X",
      defaultValue = "0.1",
      description = "ppo: weight of the values' loss (default: ${DEFAULT-VALUE}).")
  private float valueCoef;

  @Option(
      names = "--entropy-coef",
      paramLabel = "X",
      defaultValue = "0",
      description = "Weight of the entropy bonus (default: ${DEFAULT-VALUE}).")
  private float entropyCoef;

  @Option(names = "--whiten-rewards", description = "ppo: scale rewards to variance 1.")
  private boolean whitenRewards;

  @Option(names = "--scale-scores", description = "Divide scores by the deviation of all so far.")
  private boolean scaleScores;

  @Option(names = "--centre-scores", description = "And take off their mean.")
  private boolean centreScores;

  @Option(
      names = "--score-clip",
      paramLabel = "X",
      defaultValue = "0",
      description = "Cut scores to +- X; 0: not (default: ${DEFAULT-VALUE}).")
  private double scoreClip;

  @Option(
      names = "--early-stop-kl",
      paramLabel = "X",
      defaultValue = "0",
      description =
          "End a step's passes when the policy moved 1.5 times this far, per token; 0: never"
              + " (default: ${DEFAULT-VALUE}).")
  private double earlyStopKl;

  @Option(
      names = "--ratio-threshold",
      paramLabel = "X",
      defaultValue = "10",
      description =
          "Leave out a mini-batch whose mean ratio is above it; 0: none (default:"
              + " ${DEFAULT-VALUE}).")
  private float ratioThreshold;

  @Option(
      names = "--max-new-tokens",
      paramLabel = "N",
      defaultValue = "64",
      description = "Of a response (default: ${DEFAULT-VALUE}).")
  private int maxNewTokens;

  @Option(
      names = "--min-new-tokens",
      paramLabel = "N",
      defaultValue = "0",
      description = "No end before so many tokens (default: ${DEFAULT-VALUE}).")
  private int minNewTokens;

  @Option(
      names = "--shortest-limit",
      paramLabel = "N",
      defaultValue = "0",
      description =
          "Draw each response's limit from N to --max-new-tokens; 0: all the same (default: 0).")
  private int shortestLimit;

  @Option(
      names = "--temperature",
      paramLabel = "X",
      defaultValue = "1",
      description = "Of sampling; other than 1 biases the KL (default: ${DEFAULT-VALUE}).")
  private float temperature;

  @Option(
      names = "--top-k",
      paramLabel = "K",
      defaultValue = "0",
      description = "Draw among the K most probable; 0: all (default: ${DEFAULT-VALUE}).")
  private int topK;

  @Option(
      names = "--top-p",
      paramLabel = "P",
      defaultValue = "1",
      description = "Draw among the most probable whose mass reaches P (default: 1).")
  private float topP;

  private BaseCommand command;
  private AlignmentStart start;
  private AlignmentFlags steps;

  /** What the run learns from and is compared on. */
  private record Data(List<Prompt> training, List<Prompt> compared) {}

  /** Aligns; returns the exit code. */
  public int run(BaseCommand command, AlignmentStart start, AlignmentFlags steps) {
    this.command = command;
    this.start = start;
    this.steps = steps;
    checkUsage();
    PpoOptions options = options();
    if (options.sampling().warped()) {
      command.note(
          "Tokens are drawn from another distribution than the one that is scored (temperature,"
              + " top-k, top-p or min-new-tokens): the KL that is told can be negative.");
    }
    Path folder = command.resolve(start.model());
    try (Tokenizer tokenizer = Tokenizer.load(folder);
        Rewards reward = rewards()) {
      Data prompts = prompts(tokenizer);
      ObjectNode config = config(options, reward.template);
      try (RunFolder run =
              start.resume()
                  ? RunFolder.resume(start.output(), config)
                  : RunFolder.create(start.output(), config);
          TrainableT5 t5 = start.policy(command);
          Reference reference = Reference.open(start.reference(), t5, command::resolve);
          Ppo ppo = new Ppo(t5, reference, tokenizer, options);
          PpoTrainer trainer =
              new PpoTrainer(
                  ppo, prompts.training, reward.total, run, start.sameAsReference(command))) {
        if (start.readValueHead(command, ppo.head())) {
          command.note("The value head that was saved with the adapter goes on.");
        }
        if (start.resume()) {
          trainer.resume();
        }
        return align(t5, ppo, trainer, run, tokenizer, reward, prompts);
      }
    }
  }

  private void checkUsage() {
    if (data == null) {
      throw command.usage("--data is missing: the dialogues to respond to");
    }
    if (rewardModel == null && rewards.isEmpty()) {
      throw command.usage("--reward-model or --reward is missing");
    }
    if (rewardModel == null
        && (command.given("--reward-label")
            || command.given("--reward-measure")
            || command.given("--reward-dtype")
            || command.given("--reward-template"))) {
      throw command.usage("--reward-label, -measure, -dtype and -template need --reward-model");
    }
    if (!rewardMeasure.equals("logit") && !rewardMeasure.equals("probability")) {
      throw command.usage(
          "--reward-measure must be logit or probability, not '" + rewardMeasure + "'");
    }
    rewardType();
    if (start.algorithm().equals("ppo") && groupSize > 1) {
      throw command.usage("--group-size needs --algorithm grpo or rloo");
    }
    if (!start.algorithm().equals("ppo")) {
      for (String option : CRITICS) {
        if (command.given(option)) {
          throw command.usage(option + " needs --algorithm ppo");
        }
      }
    }
    if (start.algorithm().equals("grpo") && command.given("--kl-penalty")) {
      throw command.usage(
          "--kl-penalty has no part in grpo, whose loss has exp(d) - d - 1 of each token");
    }
    if (mode.equals("lab") && command.given("--ratio-threshold")) {
      throw command.usage("--ratio-threshold has no part in --mode lab, which leaves nothing out");
    }
    if (fixedKl && (command.given("--target-kl") || command.given("--kl-horizon"))) {
      throw command.usage("--fixed-kl leaves nothing for --target-kl and --kl-horizon to adapt");
    }
  }

  private DType rewardType() {
    return switch (rewardDtype) {
      case null -> command.common().trainingType();
      case "float32" -> DType.FLOAT32;
      case "bfloat16" -> DType.BFLOAT16;
      default ->
          throw command.usage(
              "--reward-dtype must be float32 or bfloat16, not '" + rewardDtype + "'");
    };
  }

  private <E extends Enum<E>> E choice(Class<E> kind, String option, String value, String names) {
    try {
      return Enum.valueOf(kind, value.toUpperCase(Locale.ROOT).replace('-', '_'));
    } catch (IllegalArgumentException e) {
      throw command.usage(option + " must be " + names + ", not '" + value + "'");
    }
  }

  private PpoOptions options() {
    PpoMode itsMode = choice(PpoMode.class, "--mode", mode, "full-mask, trl-classic or lab");
    KlPenalty penalty = choice(KlPenalty.class, "--kl-penalty", klPenalty, "kl, abs, mse or full");
    boolean ppo = start.algorithm().equals("ppo");
    try {
      return PpoOptions.builder()
          .algorithm(PolicyAlgorithm.valueOf(start.algorithm().toUpperCase(Locale.ROOT)))
          .mode(itsMode)
          .batch(
              batch ->
                  batch
                      .batchSize(steps.batchSize(16))
                      .miniBatchSize(miniBatchSize)
                      .groupSize(groupSize > 0 ? groupSize : ppo ? 1 : 4))
          .optimization(
              optimization ->
                  optimization
                      .gradientAccumulation(steps.gradientAccumulation())
                      .ppoEpochs(ppoEpochs)
                      .learningRate(steps.learningRate(1.41e-5f))
                      .maxGradNorm(steps.maxGradNorm(0))
                      .earlyStopKl(earlyStopKl))
          .schedule(
              schedule ->
                  schedule
                      .maxSteps(steps.maxSteps() == null ? 100 : steps.maxSteps())
                      .checkpointEvery(steps.checkpointEvery(10))
                      .keepCheckpoints(steps.keepCheckpoints()))
          .kl(
              kl ->
                  kl.penalty(penalty)
                      .adaptive(!fixedKl)
                      .coefficient(klCoef)
                      .target(targetKl)
                      .horizon(klHorizon))
          .watchdog(
              watchdog -> watchdog.klLimit(klLimit).scoreDrop(scoreDrop).maxRollbacks(maxRollbacks))
          .gae(gae -> gae.gamma(gamma).lambda(lambda))
          .loss(
              loss ->
                  loss.clipRange(clipRange)
                      .clipRangeValue(clipRangeValue)
                      .valueCoefficient(valueCoef)
                      .entropyCoefficient(entropyCoef)
                      .ratioThreshold(ratioThreshold))
          .rewards(
              rewards ->
                  rewards
                      .whitenRewards(whitenRewards)
                      .scaleScores(scaleScores || centreScores)
                      .centerScores(centreScores)
                      .scoreClip(scoreClip))
          .sampling(
              sampling ->
                  sampling
                      .maxNewTokens(maxNewTokens)
                      .minNewTokens(minNewTokens)
                      .shortestLimit(shortestLimit)
                      .temperature(temperature)
                      .topK(topK)
                      .topP(topP))
          .seed(command.common().seed())
          .build();
    } catch (InvalidInputException e) {
      throw command.usage("--" + e.getMessage());
    }
  }

  /**
   * The reward, and what responses are compared by beside it.
   *
   * @param classifier null where no model is asked
   * @param template what it reads, its own where none was given; null likewise
   */
  private record Rewards(
      Reward total, Map<String, Reward> measures, Classifier classifier, RewardTemplate template)
      implements AutoCloseable {
    @Override
    public void close() {
      if (classifier != null) {
        classifier.close();
      }
    }
  }

  private Rewards rewards() {
    List<WeightedReward.Part> parts = new ArrayList<>();
    Map<String, Reward> measures = new LinkedHashMap<>();
    Classifier classifier = null;
    RewardTemplate read = null;
    if (rewardModel != null) {
      classifier =
          Classifier.load(
              command.resolve(rewardModel),
              new Classifier.LoadOptions().dtype(rewardType()).threads(command.common().threads()));
    }
    try {
      if (classifier != null) {
        RewardTemplate template =
            rewardTemplate == null ? null : new RewardTemplate(rewardTemplate.replace("\\n", "\n"));
        ClassifierReward itself =
            new ClassifierReward(
                classifier,
                rewardLabel,
                ClassifierReward.Measure.valueOf(rewardMeasure.toUpperCase(Locale.ROOT)),
                template);
        read = itself.template();
        parts.add(new WeightedReward.Part(itself.label(), 1, itself));
        if (classifier.labels().size() == 2) {
          String other =
              classifier.labels().get(classifier.labels().indexOf(itself.label()) == 0 ? 1 : 0);
          Reward toxicity =
              new ClassifierReward(
                  classifier, other, ClassifierReward.Measure.PROBABILITY, template);
          measures.put("probability of " + other, toxicity);
          measures.put(
              "probability of " + other + ", prompt", prompts -> ofPrompts(toxicity, prompts));
        }
      }
      for (String spec : rewards) {
        parts.add(part(spec));
      }
      return new Rewards(new WeightedReward(parts), measures, classifier, read);
    } catch (RuntimeException | Error e) {
      if (classifier != null) {
        classifier.close();
      }
      throw e;
    }
  }

  /** What people said is told apart from what the model made of it. */
  private static List<Score> ofPrompts(Reward reward, List<Completion> completions) {
    return reward.score(
        completions.stream().map(c -> new Completion(c.id(), "", c.prompt(), List.of())).toList());
  }

  private WeightedReward.Part part(String spec) {
    int equals = spec.lastIndexOf('=');
    String name = equals < 0 ? spec : spec.substring(0, equals);
    double weight;
    try {
      weight = equals < 0 ? 1 : Double.parseDouble(spec.substring(equals + 1));
    } catch (NumberFormatException e) {
      throw command.usage("--reward " + spec + ": the weight after = must be a number");
    }
    if (name.startsWith("rouge:")) {
      String id = name.substring("rouge:".length());
      for (Rouge.Metric metric : Rouge.Metric.values()) {
        if (metric.id().equals(id)) {
          return new WeightedReward.Part(id, weight, RougeReward.of(metric));
        }
      }
    } else if (name.matches("length:\\d{1,6}")) {
      int target = Integer.parseInt(name.substring("length:".length()));
      return new WeightedReward.Part(
          "length", weight, new LengthReward(LengthReward.Unit.WORDS, target, 1));
    }
    throw command.usage(
        "--reward must be rouge:rouge1, rouge:rouge2, rouge:rougeL, rouge:rougeLsum or"
            + " length:WORDS, with =WEIGHT after it, not '"
            + spec
            + "'");
  }

  private Data prompts(Tokenizer tokenizer) {
    List<Prompt> all = read(tokenizer, data);
    if (steps.evalData() != null) {
      return new Data(all, read(tokenizer, steps.evalData()));
    }
    int compared = Math.min(COMPARED, all.size() / 10);
    if (compared == 0) {
      command.note(
          "Fewer than 10 prompts: before and after are compared on those that are trained on;"
              + " --eval-data names others.");
      return new Data(all, all);
    }
    int from = all.size() - compared;
    return new Data(all.subList(0, from), all.subList(from, all.size()));
  }

  private List<Prompt> read(Tokenizer tokenizer, Path file) {
    if (!Files.isRegularFile(file)) {
      throw new InvalidInputException(file + " must be a file: alignment reads it more than once");
    }
    List<Prompt> prompts = new ArrayList<>();
    int leftOut = 0;
    for (Dialogue dialogue : DialogueReader.read(file)) {
      String text =
          dialogue.raw() ? dialogue.dialogue() : start.promptTemplate().fill(dialogue.dialogue());
      int[] tokens = tokenizer.encode(text);
      if (tokens.length > start.maxSourceLength()) {
        leftOut++;
        continue;
      }
      prompts.add(new Prompt(dialogue.id(), text, tokens, dialogue.summaries()));
    }
    if (leftOut > 0) {
      command.note(
          "%s: %,d of %,d prompts are left out: longer than %d tokens."
              .formatted(file, leftOut, leftOut + prompts.size(), start.maxSourceLength()));
    }
    if (prompts.isEmpty()) {
      throw new InvalidInputException(
          file + " has no prompt that fits --max-source-length " + start.maxSourceLength());
    }
    return prompts;
  }

  private ObjectNode config(PpoOptions options, RewardTemplate template) {
    ObjectNode json = AlignmentStart.json();
    start.writeTo(json, command);
    json.put("data", data.toString());
    json.put("data_sha256", ModelFolder.fileHash(data));
    if (steps.evalData() != null) {
      json.put("eval_data", steps.evalData().toString());
      json.put("eval_data_sha256", ModelFolder.fileHash(steps.evalData()));
    }
    if (rewardModel != null) {
      json.put("reward_model", rewardModel);
      json.put("reward_model_sha256", ModelFolder.weightsHash(command.resolve(rewardModel)));
      json.put("reward_label", rewardLabel == null ? "the only one" : rewardLabel);
      json.put("reward_measure", rewardMeasure);
      json.put("reward_dtype", rewardType().name().toLowerCase(Locale.ROOT));
      json.put("reward_template", template.text());
    }
    ArrayNode terms = json.putArray("reward");
    rewards.forEach(terms::add);
    json.setAll(options.toJson());
    return json;
  }

  private int align(
      TrainableT5 t5,
      Ppo ppo,
      PpoTrainer trainer,
      RunFolder run,
      Tokenizer tokenizer,
      Rewards reward,
      Data prompts) {
    long trained = t5.parameters().count();
    long head = ppo.head() == null ? 0 : ppo.head().parameters().count();
    command.note(
        "trainable params: %,d%s || all params: %,d || reference: %s"
            .formatted(
                trained,
                head > 0 ? " and %,d of the value head".formatted(head) : "",
                t5.parameterCount(),
                start.reference()));
    command.note(
        "%,d prompts, %,d steps of %d responses, %d to compare before and after; native memory %s"
            .formatted(
                prompts.training.size(),
                trainer.totalSteps(),
                ppo.options().batch().batchSize(),
                prompts.compared.size(),
                MemoryText.of(plan(trainer, reward))));
    GenerationOptions sampled = ppo.options().sampling().generation(1, command.common().seed());
    List<String> before = before(t5, run, tokenizer, prompts, sampled);
    if (trainer.done() > 0) {
      command.note("Going on after step %,d.".formatted(trainer.done()));
    }
    PpoTrainer.Result result;
    List<String> lines = new ArrayList<>();
    try (Interruption interruption = new Interruption(trainer::stop);
        Progress progress = new Progress(command.terminal(), command.common().quiet());
        RunReport report = new RunReport(run, trainer.done(), RunReport.POLICY)) {
      result = trainer.train(new Watcher(command, progress, report, trainer.done(), lines));
      lines.forEach(command::note);
      if (result.end() == PpoTrainer.End.INTERRUPTED) {
        report.write();
        command.note(
            "Stopped after step %,d of %,d: the same command with --resume goes on from there."
                .formatted(result.steps(), trainer.totalSteps()));
        return BaseCommand.FAILED;
      }
      progress.show("comparing before and after");
      List<String> after = Comparison.respond(t5.model(), tokenizer, prompts.compared, sampled);
      Comparison comparison =
          Comparison.of(
              prompts.compared,
              before,
              after,
              measures(reward, prompts.compared),
              command.common().seed());
      new ComparisonTable(comparison).writeTo(run);
      report.section(new ComparisonTable(comparison).html());
      report.write();
      progress.close();
      new ComparisonTable(comparison).text(SHOWN).forEach(command.terminal()::println);
    }
    start.checkModelUnchanged(command);
    command.note(
        "Done after %,d steps: %s"
            .formatted(result.steps(), start.output().resolve(trainer.resultName())));
    return BaseCommand.DONE;
  }

  private static MemoryPlan plan(PpoTrainer trainer, Rewards reward) {
    Map<String, Long> parts = new LinkedHashMap<>(trainer.plan().parts());
    if (reward.classifier != null) {
      parts.put("reward model", reward.classifier.plan().total());
    }
    return new MemoryPlan(parts);
  }

  private Map<String, Reward> measures(Rewards reward, List<Prompt> compared) {
    Map<String, Reward> all = new LinkedHashMap<>();
    all.put("reward", reward.total);
    all.putAll(reward.measures);
    if (compared.stream().noneMatch(prompt -> prompt.references().isEmpty())) {
      for (Rouge.Metric metric : List.of(Rouge.Metric.ROUGE_1, Rouge.Metric.ROUGE_L)) {
        all.put(metric.id(), RougeReward.of(metric));
      }
    }
    return all;
  }

  /** Responses of the policy as it starts: made once, and kept with the run. */
  private List<String> before(
      TrainableT5 t5, RunFolder run, Tokenizer tokenizer, Data prompts, GenerationOptions sampled) {
    Path file = run.folder().resolve("before.json");
    if (Files.exists(file)) {
      List<String> before = new ArrayList<>();
      for (JsonNode text : Json.readObject(file).node().path("responses")) {
        before.add(text.stringValue());
      }
      if (before.size() == prompts.compared.size()) {
        return before;
      }
      throw new InvalidInputException(
          file + " does not belong to this run's prompts: start a new --output");
    }
    List<String> before = Comparison.respond(t5.model(), tokenizer, prompts.compared, sampled);
    ObjectNode json = AlignmentStart.json();
    ArrayNode responses = json.putArray("responses");
    before.forEach(responses::add);
    run.write("before.json", json + "\n");
    return before;
  }

  /** Shows progress and feeds the report. */
  private record Watcher(
      BaseCommand command, Progress progress, RunReport report, long from, List<String> lines)
      implements PpoTrainer.Listener {
    @Override
    public void onPreflight(Preflight preflight) {
      for (Preflight.Check check : preflight.checks()) {
        lines.add("preflight: %s = %.3g".formatted(check.name(), check.value()));
      }
    }

    @Override
    public void onStep(PpoTrainer.Step step) {
      report.values(step.step(), step.statistics());
      progress.show(
          "step %,d/%,d  score %.3f  kl %.2f  %.1f s a step  %s"
              .formatted(
                  step.step(),
                  step.totalSteps(),
                  step.statistics().get("env/reward_mean"),
                  step.statistics().get("objective/kl"),
                  step.seconds(),
                  progress.left((double) (step.step() - from) / (step.totalSteps() - from))));
    }

    @Override
    public void onRollback(long toStep, String reason) {
      lines.add("Went back to step %,d: %s.".formatted(toStep, reason));
    }
  }
}
