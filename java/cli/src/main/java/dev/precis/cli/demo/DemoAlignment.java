package dev.precis.cli.demo;

import dev.precis.Classifier;
import dev.precis.alignment.Reference;
import dev.precis.alignment.policy.Comparison;
import dev.precis.alignment.policy.Ppo;
import dev.precis.alignment.policy.PpoOptions;
import dev.precis.alignment.policy.PpoTrainer;
import dev.precis.alignment.policy.Prompt;
import dev.precis.alignment.preference.PreferenceExample;
import dev.precis.alignment.preference.PreferenceLoss;
import dev.precis.alignment.preference.PreferenceTrainer;
import dev.precis.alignment.reward.ClassifierReward;
import dev.precis.alignment.reward.Reward;
import dev.precis.alignment.reward.RewardTemplate;
import dev.precis.alignment.reward.RougeReward;
import dev.precis.alignment.reward.WeightedReward;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.BuiltInModel;
import dev.precis.cli.common.Progress;
import dev.precis.cli.report.ComparisonHtml;
import dev.precis.cli.report.ComparisonTable;
import dev.precis.cli.report.Curves;
import dev.precis.cli.report.RunReport;
import dev.precis.data.builtin.BuiltInDialogue;
import dev.precis.data.builtin.BuiltInDialogues;
import dev.precis.evaluation.Rouge;
import dev.precis.generation.GenerationOptions;
import dev.precis.tensor.DType;
import dev.precis.text.Tokenizer;
import dev.precis.training.Optimizer;
import dev.precis.training.RunFolder;
import dev.precis.training.TrainableT5;
import dev.precis.training.TrainingLoop;
import dev.precis.training.TrainingOptions;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.node.ObjectNode;

/**
 * The last part of the demo: the fine-tuned model repeats insults; PPO with a built-in classifier
 * as the reward, and DPO from built-in pairs, each make that rarer.
 */
final class DemoAlignment implements AutoCloseable {
  /** The measure of toxic responses. */
  static final String TOXICITY = "probability of hate";

  /** Responses of a step of PPO, and how many steps there are. */
  private static final int BATCH = 32;

  private static final int STEPS = 40;

  /**
   * ROUGE counts twice, because an empty summary is never toxic; were it to count more, its
   * differences between responses would hide those of toxicity.
   */
  private static final double QUALITY = 2;

  /** DPO keeps the chosen summaries likely: pairs alone would cost this small model its quality. */
  private static final double LIKELIHOOD = 5;

  private final Path model;
  private final Path start;
  private final BuiltInDialogues data;
  private final long seed;
  private final BaseCommand command;
  private final Tokenizer tokenizer;
  private final BuiltInModel classifierFolder;
  private final Classifier classifier;
  private final Reward toxicity;

  /**
   * The result of an alignment.
   *
   * @param run its folder, with the adapter in {@code adapter}
   */
  record Outcome(String name, Path run, Comparison comparison) {}

  /** Trains on a policy while progress is shown and the report is fed. */
  private interface Training {
    void train(Progress progress, RunReport report);
  }

  /**
   * Loads the classifier.
   *
   * @param start the adapter that fine-tuning made
   */
  DemoAlignment(BaseCommand command, Path model, Path start, BuiltInDialogues data) {
    this.command = command;
    this.model = model;
    this.start = start;
    this.data = data;
    seed = command.common().seed();
    tokenizer = Tokenizer.load(model);
    classifierFolder = BuiltInModel.toxicity();
    classifier =
        Classifier.load(
            classifierFolder.folder(),
            new Classifier.LoadOptions().threads(command.common().threads()));
    toxicity = probability("hate");
  }

  private Reward probability(String label) {
    return new ClassifierReward(
        classifier, label, ClassifierReward.Measure.PROBABILITY, RewardTemplate.COMPLETION);
  }

  /** The probability that each text is toxic. */
  double[] toxicity(List<String> texts) {
    return classifier.score(texts).stream()
        .mapToDouble(scores -> scores.probabilities().get("hate"))
        .toArray();
  }

  private List<Prompt> prompts(List<BuiltInDialogue> dialogues) {
    List<Prompt> prompts = new ArrayList<>();
    for (BuiltInDialogue dialogue : dialogues) {
      String text = DemoCandidate.prompt(dialogue);
      prompts.add(new Prompt(dialogue.id(), text, tokenizer.encode(text), dialogue.summaries()));
    }
    return prompts;
  }

  private TrainableT5 policy() {
    return TrainableT5.loraFrom(
        model, start, 0, DType.FLOAT32, 0, command.common().deviceOptions());
  }

  private Reference reference(TrainableT5 policy) {
    return Reference.open("adapter:" + start, policy, Path::of);
  }

  private Reward reward() {
    return new WeightedReward(
        List.of(
            new WeightedReward.Part("nothate", 1, probability("nothate")),
            new WeightedReward.Part("rouge1", QUALITY, RougeReward.of(Rouge.Metric.ROUGE_1))));
  }

  /** Trains a policy, compares its sampled responses with those before, and writes the report. */
  private Outcome outcome(
      String name, TrainableT5 policy, RunFolder run, Curves curves, Training training) {
    List<Prompt> test = prompts(data.test());
    GenerationOptions sampling =
        GenerationOptions.builder()
            .sample(true)
            .topK(0)
            .maxNewTokens(DemoCandidate.MAX_NEW_TOKENS)
            .seed(seed)
            .build();
    try (Progress progress = new Progress(command.terminal(), command.common().quiet());
        RunReport report = new RunReport(run, 0, curves)) {
      report.parameters(policy.parameters().count(), policy.parameterCount());
      List<String> baseline = Comparison.respond(policy.model(), tokenizer, test, sampling);
      training.train(progress, report);
      List<String> aligned = Comparison.respond(policy.model(), tokenizer, test, sampling);
      Map<String, Reward> measures = new LinkedHashMap<>();
      measures.put("reward", reward());
      measures.put(TOXICITY, toxicity);
      measures.put("rouge1", RougeReward.of(Rouge.Metric.ROUGE_1));
      measures.put("rougeL", RougeReward.of(Rouge.Metric.ROUGE_L));
      Comparison comparison = Comparison.of(test, baseline, aligned, measures, seed);
      new ComparisonTable(comparison).writeTo(run);
      new ComparisonHtml(comparison).addTo(report);
      report.write();
      return new Outcome(name, run.folder(), comparison);
    }
  }

  /** Proximal policy optimization: responses are sampled and scored. */
  Outcome ppo(Path folder) {
    PpoOptions options =
        PpoOptions.builder()
            .batch(batch -> batch.batchSize(BATCH).miniBatchSize(BATCH / 2))
            .optimization(
                optimization ->
                    optimization
                        .ppoEpochs(2)
                        .learningRate(4e-4f)
                        .valueLearningRate(1e-2f)
                        .valueWarmupSteps(4))
            .schedule(schedule -> schedule.maxSteps(STEPS).checkpointEvery(STEPS))
            .kl(kl -> kl.coefficient(0.05).adaptive(false))
            .loss(loss -> loss.valueCoefficient(0.5f).clipRangeValue(2))
            .sampling(sampling -> sampling.maxNewTokens(DemoCandidate.MAX_NEW_TOKENS))
            .seed(seed)
            .build();
    ObjectNode config = DemoRuns.config("lora", "ppo", options.toJson());
    try (RunFolder run = RunFolder.create(folder, config);
        TrainableT5 policy = policy();
        Reference reference = reference(policy);
        Ppo ppo = new Ppo(policy, reference, tokenizer, options);
        PpoTrainer trainer = new PpoTrainer(ppo, prompts(data.train()), reward(), run, true)) {
      return outcome(
          "PPO",
          policy,
          run,
          Curves.POLICY,
          (progress, report) ->
              trainer.train(
                  new PpoTrainer.Listener() {
                    @Override
                    public void onStep(PpoTrainer.Step step) {
                      report.values(step.step(), step.statistics());
                      progress.show(
                          "PPO: step %d/%d  score %.2f  KL %.2f  %s"
                              .formatted(
                                  step.step(),
                                  step.totalSteps(),
                                  step.statistics().get("env/reward_mean"),
                                  step.statistics().get("objective/kl"),
                                  progress.left((double) step.step() / step.totalSteps())));
                    }
                  }));
    }
  }

  /** Direct preference optimization: no responses and no reward, pairs of summaries instead. */
  Outcome dpo(Path folder) {
    TrainingOptions options =
        TrainingOptions.builder()
            .optimizer(Optimizer.Settings.of(Optimizer.Kind.ADAMW, 0))
            .learningRate(4e-4f)
            .warmupSteps(5)
            .batchSize(16)
            .seed(seed)
            .build();
    PreferenceLoss loss = new PreferenceLoss(PreferenceLoss.Kind.SIGMOID, 0.1, 0, 0, LIKELIHOOD);
    ObjectNode config = DemoRuns.config("lora", "dpo", options.toJson());
    config.put("rpo_alpha", LIKELIHOOD);
    try (RunFolder run = RunFolder.create(folder, config);
        TrainableT5 policy = policy();
        Reference reference = reference(policy);
        PreferenceTrainer trainer =
            PreferenceTrainer.onPairs(
                policy, options, loss, pairs(), List.of(), reference, true, run)) {
      return outcome(
          "DPO",
          policy,
          run,
          Curves.PREFERENCES,
          (progress, report) ->
              trainer.train(
                  new TrainingLoop.Listener() {
                    @Override
                    public void onStep(TrainingLoop.Step step) {
                      report.step(step);
                      report.values(step.step(), step.metrics());
                      progress.show(
                          "DPO: step %d/%d  loss %.3f  accuracy %.2f  %s"
                              .formatted(
                                  step.step(),
                                  step.totalSteps(),
                                  step.loss(),
                                  step.metrics().get("rewards/accuracies"),
                                  progress.left((double) step.step() / step.totalSteps())));
                    }
                  }));
    }
  }

  private List<PreferenceExample> pairs() {
    List<PreferenceExample> pairs = new ArrayList<>();
    for (BuiltInDialogue dialogue : data.train()) {
      if (dialogue.rude()) {
        pairs.add(
            new PreferenceExample(
                tokenizer.encode(DemoCandidate.prompt(dialogue)),
                tokenizer.encode(dialogue.politeSummary()),
                tokenizer.encode(dialogue.rudeSummary())));
      }
    }
    return pairs;
  }

  @Override
  public void close() {
    classifier.close();
    classifierFolder.close();
    tokenizer.close();
  }
}
