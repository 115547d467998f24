package dev.precis.cli.align;

import dev.precis.Classifier;
import dev.precis.alignment.Reference;
import dev.precis.alignment.policy.Comparison;
import dev.precis.alignment.policy.Ppo;
import dev.precis.alignment.policy.PpoOptions;
import dev.precis.alignment.policy.PpoTrainer;
import dev.precis.alignment.policy.Preflight;
import dev.precis.alignment.policy.Prompt;
import dev.precis.alignment.reward.Reward;
import dev.precis.alignment.reward.RougeReward;
import dev.precis.cli.common.AvailableMemory;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.GracefulShutdown;
import dev.precis.cli.common.MemoryCheck;
import dev.precis.cli.common.MemoryFormat;
import dev.precis.cli.common.Progress;
import dev.precis.cli.options.GenerationConfigOption;
import dev.precis.cli.options.ReadOptions;
import dev.precis.cli.options.StepOptions;
import dev.precis.cli.report.ComparisonHtml;
import dev.precis.cli.report.ComparisonTable;
import dev.precis.cli.report.Curves;
import dev.precis.cli.report.RunReport;
import dev.precis.cli.train.NextCommand;
import dev.precis.cli.train.RunConfig;
import dev.precis.cli.train.TrainingSession;
import dev.precis.evaluation.Rouge;
import dev.precis.generation.GenerationOptions;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.tensor.MemoryPlan;
import dev.precis.text.Tokenizer;
import dev.precis.training.Optimizer;
import dev.precis.training.RunFolder;
import dev.precis.training.TrainableT5;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Aligns to a reward, from responses that are sampled and scored: PPO, GRPO and RLOO. */
record PolicyAlignment(
    PolicySetup setup,
    Path data,
    ReadOptions reading,
    RewardOptions rewards,
    PolicyOptions flags,
    StepOptions steps) {
  private static final int SHOWN = 5;

  /** Aligns; returns the exit code. */
  int run() {
    BaseCommand command = setup.command();
    if (data == null) {
      throw command.usage("--data is missing: the dialogues to respond to");
    }
    rewards.check(command);
    flags.check(command, setup.algorithm());
    PpoOptions options = flags.options(command, setup.algorithm(), steps);
    if (options.sampling().warped()) {
      command.note(
          "Tokens are sampled from another distribution than the one that is scored (temperature,"
              + " top-k, top-p or min-new-tokens): the reported KL can be negative.");
    }
    GenerationConfigOption.noteForTraining(
        command, setup.folder(), "responses are sampled by the options of this command alone");
    setup.checkMemory(
        Optimizer.Settings.of(Optimizer.Kind.ADAM, 0), true, rewards.weightMemory(command));
    ReadOptions.Data training = reading.training(command, data);
    ReadOptions.Data evalData = reading.validation(command, steps.evaluation().evalData());
    try (Tokenizer tokenizer = Tokenizer.load(setup.folder());
        RewardTerms reward = RewardTerms.load(command, rewards, rewards.probes())) {
      PolicyPrompts prompts =
          PolicyPrompts.read(command, tokenizer, setup.prompts(), training, evalData);
      RunConfig config =
          setup.config().data("data", training, reading).data("eval_data", evalData, reading);
      rewards.writeTo(config, command, reward.templates());
      config.options(options.toJson());
      try (RunFolder run = config.open(setup.run());
          TrainableT5 t5 = setup.policy();
          Reference reference = Reference.open(setup.reference(), t5, command::resolve);
          Ppo ppo = new Ppo(t5, reference, tokenizer, options);
          PpoTrainer trainer =
              new PpoTrainer(
                  ppo, prompts.training(), reward.total(), run, setup.sameAsReference())) {
        if (setup.readValueHead(ppo.head())) {
          command.note("Training continues from the value head that was saved with the adapter.");
        }
        trainer.withoutChecks(rewards.checksOff());
        if (setup.run().resume()) {
          trainer.resume();
        }
        announce(t5, ppo, trainer, reward, prompts);
        return align(new Work(t5, ppo, trainer, run, tokenizer, reward, prompts), options);
      }
    }
  }

  /** Holds the open resources of an alignment. */
  private record Work(
      TrainableT5 t5,
      Ppo ppo,
      PpoTrainer trainer,
      RunFolder run,
      Tokenizer tokenizer,
      RewardTerms reward,
      PolicyPrompts prompts) {
    /** Says what the run trains, and on a GPU what memory its plan has there. */
    void costs(RunReport report) {
      long head = ppo.head() == null ? 0 : ppo.head().parameters().count();
      report.parameters(t5.parameters().count() + head, t5.parameterCount() + head);
      report.deviceMemory(t5.ops().onGpu() ? trainer.plan().total() : 0);
    }

    List<String> respond(GenerationOptions sampling) {
      return Comparison.respond(t5.model(), tokenizer, prompts.compared(), sampling);
    }
  }

  private void announce(
      TrainableT5 t5, Ppo ppo, PpoTrainer trainer, RewardTerms reward, PolicyPrompts prompts) {
    long head = ppo.head() == null ? 0 : ppo.head().parameters().count();
    setup
        .command()
        .note(
            "trainable params: %,d%s || all params: %,d || reference: %s"
                .formatted(
                    t5.parameters().count(),
                    head > 0 ? " and %,d of the value head".formatted(head) : "",
                    t5.parameterCount(),
                    setup.reference()));
    MemoryPlan plan = plan(t5, ppo, trainer, reward, prompts);
    setup
        .command()
        .note(
            ("%,d prompts, %,d steps of %d responses, %d prompts for the comparison; native"
                    + " memory %s")
                .formatted(
                    prompts.training().size(),
                    trainer.totalSteps(),
                    ppo.options().batch().batchSize(),
                    prompts.compared().size(),
                    MemoryFormat.of(plan)));
    if (setup.run().checksMemory() && !t5.ops().onGpu()) {
      MemoryCheck.require(
          plan,
          AvailableMemory.ofThisProcess(),
          "--batch-size, --mini-batch-size, --max-source-length or --dtype bfloat16");
    }
  }

  private static MemoryPlan plan(
      TrainableT5 t5, Ppo ppo, PpoTrainer trainer, RewardTerms reward, PolicyPrompts prompts) {
    Map<String, Long> parts = new LinkedHashMap<>(trainer.plan().parts());
    parts.put(
        "comparison",
        Comparison.plan(t5.model(), prompts.compared(), ppo.options().sampling().maxNewTokens()));
    long weights = 0;
    for (Classifier classifier : reward.classifiers()) {
      MemoryPlan its = classifier.plan();
      weights += its.parts().get("weights");
      parts.merge("reward model", its.total(), Long::sum);
    }
    MemoryPlan plan = new MemoryPlan(parts);
    return t5.ops().onGpu() ? plan : MemoryCheck.withProcess(plan, weights);
  }

  private int align(Work work, PpoOptions options) {
    BaseCommand command = setup.command();
    PpoTrainer trainer = work.trainer;
    GenerationOptions sampling = options.sampling().generation(1, command.common().seed());
    List<String> baseline = baseline(work, sampling);
    TrainingSession.announceResumed(command, trainer.done());
    PpoTrainer.Result result;
    try (GracefulShutdown shutdown = new GracefulShutdown(trainer::stop);
        Progress progress = new Progress(command.terminal(), command.common().quiet());
        RunReport report = new RunReport(work.run, trainer.done(), Curves.POLICY)) {
      work.costs(report);
      result = trainer.train(new Watcher(progress, report, trainer.done()));
      if (result.end() == PpoTrainer.End.INTERRUPTED) {
        report.interrupted(result.steps(), trainer.totalSteps());
        report.write();
        TrainingSession.announceInterrupted(command, result.steps(), trainer.totalSteps());
        return BaseCommand.FAILED;
      }
      progress.show("comparing baseline and aligned responses");
      Comparison comparison =
          Comparison.of(
              work.prompts.compared(),
              baseline,
              work.respond(sampling),
              measures(work),
              command.common().seed());
      ComparisonTable table = new ComparisonTable(comparison);
      table.writeTo(work.run);
      new ComparisonHtml(comparison).addTo(report);
      report.write();
      progress.clear();
      table.text(SHOWN).forEach(command.terminal()::println);
    }
    RunConfig.checkModelUnchanged(setup.run().output(), setup.folder());
    command.note(
        "Done after %,d steps: %s"
            .formatted(result.steps(), setup.run().output().resolve(trainer.resultName())));
    NextCommand.afterT5(command, setup.model(), setup.run().output(), trainer.resultName());
    return BaseCommand.DONE;
  }

  private static Map<String, Reward> measures(Work work) {
    Map<String, Reward> all = new LinkedHashMap<>();
    all.put("reward", work.reward.total());
    all.putAll(work.reward.measures());
    List<Prompt> compared = work.prompts.compared();
    if (compared.stream().noneMatch(prompt -> prompt.references().isEmpty())) {
      for (Rouge.Metric metric : List.of(Rouge.Metric.ROUGE_1, Rouge.Metric.ROUGE_L)) {
        all.put(metric.id(), RougeReward.of(metric));
      }
    }
    return all;
  }

  /** Samples responses of the policy as it starts: once, and kept with the run. */
  private static List<String> baseline(Work work, GenerationOptions sampling) {
    Path file = work.run.folder().resolve("before.json");
    if (!Files.exists(file)) {
      List<String> baseline = work.respond(sampling);
      ObjectNode json = Json.mapper().createObjectNode();
      ArrayNode responses = json.putArray("responses");
      baseline.forEach(responses::add);
      work.run.write("before.json", json + "\n");
      return baseline;
    }
    List<String> baseline = new ArrayList<>();
    for (JsonNode text : Json.readObject(file).node().path("responses")) {
      baseline.add(text.stringValue());
    }
    if (baseline.size() != work.prompts.compared().size()) {
      throw new InvalidInputException(
          file + " does not belong to this run's prompts: start a new --output");
    }
    return baseline;
  }

  /** Shows progress and feeds the report. */
  private record Watcher(Progress progress, RunReport report, long from)
      implements PpoTrainer.Listener {
    @Override
    public void onPreflight(Preflight preflight) {
      for (Preflight.Check check : preflight.checks()) {
        progress.print("preflight: %s = %.3g".formatted(check.name(), check.value()));
      }
    }

    @Override
    public void onStep(PpoTrainer.Step step) {
      report.values(step.step(), step.statistics());
      progress.step(
          step.step(),
          step.totalSteps(),
          "step %,d/%,d  score %.3f  kl %.2f  %.1f s/step  %s"
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
      progress.print("Rolled back to step %,d: %s.".formatted(toStep, reason));
    }
  }
}
