package dev.precis.cli.align;

import dev.precis.alignment.Reference;
import dev.precis.alignment.preference.FeedbackExample;
import dev.precis.alignment.preference.PreferenceExample;
import dev.precis.alignment.preference.PreferenceLoss;
import dev.precis.alignment.preference.PreferenceTrainer;
import dev.precis.alignment.preference.UnpairedLoss;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.options.ReadOptions;
import dev.precis.cli.options.StepOptions;
import dev.precis.cli.options.TargetOptions;
import dev.precis.cli.report.Curves;
import dev.precis.cli.train.NextCommand;
import dev.precis.cli.train.RunConfig;
import dev.precis.cli.train.TrainingSession;
import dev.precis.training.RunFolder;
import dev.precis.training.TrainableT5;
import dev.precis.training.TrainingLoop;
import dev.precis.training.TrainingOptions;
import java.nio.file.Path;
import java.util.List;

/** Aligns to human preferences, without sampling: DPO and its family, and KTO. */
record PreferenceAlignment(
    PolicySetup setup,
    Path pairs,
    ReadOptions reading,
    TargetOptions targets,
    PreferenceOptions flags,
    StepOptions steps) {
  /** Holds the parts of the trainer other than the run, the policy and its reference. */
  private interface TrainerFactory {
    PreferenceTrainer create(TrainableT5 policy, Reference reference, boolean same, RunFolder run);
  }

  /** Describes the training data: its amount and its kind. */
  private record Task(String examples, TrainerFactory factory) {}

  /** Aligns and says what to do with the result; returns the exit code. */
  int run() {
    int code = train();
    if (code == BaseCommand.DONE) {
      NextCommand.afterT5(
          setup.command(), setup.model(), setup.run().output(), setup.method().resultName());
    }
    return code;
  }

  /** Refuses options that cannot be, and returns those of the training. */
  TrainingOptions check() {
    BaseCommand command = setup.command();
    flags.check(command, setup.algorithm(), pairs, steps);
    targets.check(command);
    if (setup.algorithm().equals("kto")) {
      flags.unpairedLoss(command);
    } else {
      flags.loss(command, setup.algorithm());
    }
    return flags.options(command, setup.method().lora(), steps);
  }

  /** Adds to a run's configuration how it learns from preferences. */
  RunConfig complete(RunConfig config, TrainingOptions options) {
    config
        .put("max_target_length", targets.maxTargetLength())
        .put("truncate", setup.prompts().truncate())
        .options(options.toJson());
    flags.writeTo(config, setup.algorithm());
    return config;
  }

  /** Aligns; returns the exit code. */
  int train() {
    BaseCommand command = setup.command();
    TrainingOptions options = check();
    boolean compares = PreferenceOptions.needsReference(setup.algorithm());
    setup.checkMemory(options.optimizer(), compares, 0);
    ReadOptions.Data data = reading.training(command, pairs != null ? pairs : flags.feedback());
    ReadOptions.Data evalData = reading.validation(command, steps.evaluation().evalData());
    Task task =
        setup.algorithm().equals("kto")
            ? onFeedback(options, data, evalData)
            : onPairs(options, data, evalData);
    RunConfig config =
        complete(
            setup
                .config()
                .data(pairs != null ? "pairs" : "feedback", data, reading, "data_sha256")
                .data("eval_data", evalData, reading),
            options);
    try (RunFolder run = config.open(setup.run());
        TrainableT5 t5 = setup.policy();
        Reference reference =
            compares ? Reference.open(setup.reference(), t5, command::resolve) : null;
        PreferenceTrainer trainer =
            task.factory.create(t5, reference, compares && setup.sameAsReference(), run)) {
      if (setup.run().resume()) {
        trainer.resume();
      }
      return align(t5, trainer, options, run, task.examples);
    }
  }

  private Task onPairs(
      TrainingOptions options, ReadOptions.Data training, ReadOptions.Data evalData) {
    PreferenceLoss loss = flags.loss(setup.command(), setup.algorithm());
    try (PreferenceData data = data()) {
      List<PreferenceExample> examples = data.pairs(training);
      List<PreferenceExample> evaluation = data.pairs(evalData);
      return new Task(
          "%,d pairs".formatted(examples.size()),
          (t5, reference, same, run) ->
              PreferenceTrainer.onPairs(
                  t5, options, loss, examples, evaluation, reference, same, run));
    }
  }

  private Task onFeedback(
      TrainingOptions options, ReadOptions.Data training, ReadOptions.Data evalData) {
    UnpairedLoss loss = flags.unpairedLoss(setup.command());
    try (PreferenceData data = data()) {
      boolean sides = pairs != null;
      List<FeedbackExample> answers = sides ? data.sides(training) : data.feedback(training);
      List<FeedbackExample> evaluation = sides ? data.sides(evalData) : data.feedback(evalData);
      return new Task(
          "%,d labelled answers".formatted(answers.size()),
          (t5, reference, same, run) ->
              PreferenceTrainer.onFeedback(
                  t5, options, loss, answers, evaluation, reference, same, run));
    }
  }

  private PreferenceData data() {
    return new PreferenceData(setup.command(), setup.folder(), setup.prompts(), targets);
  }

  private int align(
      TrainableT5 t5,
      PreferenceTrainer trainer,
      TrainingOptions options,
      RunFolder run,
      String examples) {
    BaseCommand command = setup.command();
    command.note(
        "trainable params: %,d || all params: %,d || reference: %s"
            .formatted(t5.parameters().count(), t5.parameterCount(), setup.reference()));
    TrainingSession session = new TrainingSession(command, trainer, run);
    session.announce(examples, options, setup.run().checksMemory());
    TrainingLoop.Result result =
        session.train(
            Curves.PREFERENCES, t5.parameters().count(), t5.parameterCount(), report -> {});
    if (result.end() == TrainingLoop.End.INTERRUPTED) {
      return BaseCommand.FAILED;
    }
    Path output = setup.run().output();
    RunConfig.checkModelUnchanged(output, setup.folder());
    command.note(TrainingSession.summary(result, output.resolve(t5.resultName())));
    return BaseCommand.DONE;
  }
}
