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
import dev.precis.cli.common.BuiltIn;
import dev.precis.cli.common.Progress;
import dev.precis.cli.report.ComparisonTable;
import dev.precis.cli.report.RunReport;
import dev.precis.data.builtin.BuiltInDialogue;
import dev.precis.data.builtin.BuiltInDialogues;
import dev.precis.evaluation.Rouge;
import dev.precis.generation.GenerationOptions;
import dev.precis.tensor.DType;
import dev.precis.text.PromptTemplate;
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

/**
 * The last part of the demo: the fine-tuned model repeats insults; PPO with a built-in classifier
 * as reward, and DPO from built-in pairs, each make that rarer.
 */
public final class DemoAlignment implements AutoCloseable {
  /** Responses of a step of PPO, and how many steps there are. */
  private static final int BATCH = 32;

  private static final int STEPS = 40;
  private static final int MAX_NEW_TOKENS = 60;

  /** ROUGE counts four times: a summary that says nothing is never rude. */
  private static final double QUALITY = 4;

  /** DPO keeps the chosen summaries likely: pairs alone would cost this small model its quality. */
  private static final double LIKELIHOOD = 5;

  private final Path model;
  private final Path start;
  private final BuiltInDialogues data;
  private final long seed;
  private final BaseCommand command;
  private final Tokenizer tokenizer;
  private final BuiltIn classifierFolder;
  private final Classifier classifier;
  private final Reward toxicity;

  /**
   * What an algorithm made of the fine-tuned model.
   *
   * @param run its folder, with the adapter in {@code adapter}
   */
  record Outcome(String name, Path run, Comparison comparison) {}

  /**
   * Begins.
   *
   * @param start the adapter that fine-tuning made
   */
  DemoAlignment(BaseCommand command, Path model, Path start, BuiltInDialogues data, long seed) {
    this.command = command;
    this.model = model;
    this.start = start;
    this.data = data;
    this.seed = seed;
    tokenizer = Tokenizer.load(model);
    classifierFolder = BuiltIn.toxicity();
    classifier =
        Classifier.load(
            classifierFolder.model(),
            new Classifier.LoadOptions().threads(command.common().threads()));
    toxicity = measure("hate");
  }

  private Reward measure(String label) {
    return new ClassifierReward(
        classifier, label, ClassifierReward.Measure.PROBABILITY, RewardTemplate.COMPLETION);
  }

  /** How likely each text is rude. */
  double[] toxicity(List<String> texts) {
    double[] all = new double[texts.size()];
    List<Classifier.Scores> scores = classifier.score(texts);
    for (int i = 0; i < all.length; i++) {
      all[i] = scores.get(i).probabilities().get("hate");
    }
    return all;
  }

  private List<Prompt> prompts(List<BuiltInDialogue> dialogues) {
    List<Prompt> prompts = new ArrayList<>();
    for (BuiltInDialogue dialogue : dialogues) {
      String text = PromptTemplate.DEFAULT.fill(dialogue.dialogue());
      prompts.add(new Prompt(dialogue.id(), text, tokenizer.encode(text), dialogue.summaries()));
    }
    return prompts;
  }

  private TrainableT5 policy() {
    return TrainableT5.loraFrom(
        model, start, 0, DType.FLOAT32, 0, command.common().contextOptions());
  }

  private Reference reference(TrainableT5 policy) {
    return Reference.open("adapter:" + start, policy, Path::of);
  }

  private Reward reward() {
    return new WeightedReward(
        List.of(
            new WeightedReward.Part("nothate", 1, measure("nothate")),
            new WeightedReward.Part("rouge1", QUALITY, RougeReward.of(Rouge.Metric.ROUGE_1))));
  }

  /** Draws responses before and after some work on a policy, and compares them. */
  private Comparison compared(TrainableT5 policy, Runnable work) {
    List<Prompt> test = prompts(data.test());
    GenerationOptions sampled =
        GenerationOptions.builder()
            .sample(true)
            .topK(0)
            .maxNewTokens(MAX_NEW_TOKENS)
            .seed(seed)
            .build();
    List<String> before = Comparison.respond(policy.model(), tokenizer, test, sampled);
    work.run();
    List<String> after = Comparison.respond(policy.model(), tokenizer, test, sampled);
    Map<String, Reward> measures = new LinkedHashMap<>();
    measures.put("reward", reward());
    measures.put("probability of hate", toxicity);
    measures.put("rouge1", RougeReward.of(Rouge.Metric.ROUGE_1));
    measures.put("rougeL", RougeReward.of(Rouge.Metric.ROUGE_L));
    return Comparison.of(test, before, after, measures, seed);
  }

  /** Proximal policy optimisation: responses are drawn and scored. */
  Outcome ppo(Path folder) {
    PpoOptions options =
        PpoOptions.builder()
            .batch(batch -> batch.batchSize(BATCH).miniBatchSize(BATCH / 2))
            .optimization(optimization -> optimization.ppoEpochs(2).learningRate(2e-4f))
            .schedule(schedule -> schedule.maxSteps(STEPS).checkpointEvery(STEPS))
            .kl(kl -> kl.coefficient(0.1).adaptive(false))
            .loss(loss -> loss.valueCoefficient(0.5f).clipRangeValue(2))
            .sampling(sampling -> sampling.maxNewTokens(MAX_NEW_TOKENS))
            .seed(seed)
            .build();
    try (RunFolder run = RunFolder.create(folder, options.toJson());
        TrainableT5 policy = policy();
        Reference reference = reference(policy);
        Ppo ppo = new Ppo(policy, reference, tokenizer, options);
        PpoTrainer trainer = new PpoTrainer(ppo, prompts(data.train()), reward(), run, true);
        Progress progress = new Progress(command.terminal(), command.common().quiet());
        RunReport report = new RunReport(run, 0, RunReport.POLICY)) {
      Comparison comparison =
          compared(
              policy,
              () ->
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
      new ComparisonTable(comparison).writeTo(run);
      report.section(new ComparisonTable(comparison).html());
      report.write();
      return new Outcome("PPO", folder, comparison);
    }
  }

  /** Direct preference optimisation: no responses, no reward, pairs of summaries instead. */
  Outcome dpo(Path folder) {
    List<PreferenceExample> pairs = new ArrayList<>();
    for (BuiltInDialogue dialogue : data.train()) {
      if (dialogue.rude()) {
        pairs.add(
            new PreferenceExample(
                tokenizer.encode(PromptTemplate.DEFAULT.fill(dialogue.dialogue())),
                tokenizer.encode(dialogue.politeSummary()),
                tokenizer.encode(dialogue.rudeSummary())));
      }
    }
    TrainingOptions options =
        TrainingOptions.builder()
            .optimizer(Optimizer.Settings.of(Optimizer.Kind.ADAMW, 0))
            .learningRate(4e-4f)
            .warmupSteps(5)
            .batchSize(16)
            .seed(seed)
            .build();
    try (RunFolder run = RunFolder.create(folder, options.toJson());
        TrainableT5 policy = policy();
        Reference reference = reference(policy);
        PreferenceTrainer trainer =
            PreferenceTrainer.onPairs(
                policy,
                options,
                new PreferenceLoss(PreferenceLoss.Kind.SIGMOID, 0.1, 0, 0, LIKELIHOOD),
                pairs,
                List.of(),
                reference,
                true,
                run);
        Progress progress = new Progress(command.terminal(), command.common().quiet());
        RunReport report = new RunReport(run, 0, RunReport.PREFERENCES)) {
      Comparison comparison =
          compared(
              policy,
              () ->
                  trainer.train(
                      new TrainingLoop.Listener() {
                        @Override
                        public void onStep(TrainingLoop.Step step) {
                          report.step(step);
                          report.values(step.step(), step.metrics());
                          progress.show(
                              "DPO: step %d/%d  loss %.3f  in the right order %.2f  %s"
                                  .formatted(
                                      step.step(),
                                      step.totalSteps(),
                                      step.loss(),
                                      step.metrics().get("rewards/accuracies"),
                                      progress.left((double) step.step() / step.totalSteps())));
                        }
                      }));
      new ComparisonTable(comparison).writeTo(run);
      report.section(new ComparisonTable(comparison).html());
      report.write();
      return new Outcome("DPO", folder, comparison);
    }
  }

  @Override
  public void close() {
    classifier.close();
    classifierFolder.close();
    tokenizer.close();
  }
}
