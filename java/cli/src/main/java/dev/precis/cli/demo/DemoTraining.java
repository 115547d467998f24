package dev.precis.cli.demo;

import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.Progress;
import dev.precis.cli.report.Curves;
import dev.precis.cli.report.RunReport;
import dev.precis.data.builtin.BuiltInDialogue;
import dev.precis.data.builtin.BuiltInDialogues;
import dev.precis.lora.LoraConfig;
import dev.precis.tensor.DType;
import dev.precis.text.Tokenizer;
import dev.precis.training.Example;
import dev.precis.training.Optimizer;
import dev.precis.training.RunFolder;
import dev.precis.training.TrainableT5;
import dev.precis.training.Trainer;
import dev.precis.training.TrainingOptions;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.node.ObjectNode;

/** The first part of the demo that trains: LoRA adapters, and all weights. */
record DemoTraining(BaseCommand command, Path model, BuiltInDialogues data, Path folder) {
  private static final int BATCH = 8;

  /** Trains adapters; returns the run's folder. */
  Path lora() {
    LoraConfig lora = new LoraConfig(16, 32, 0, List.of("all-linear"), false);
    TrainingOptions options = options(2e-3f);
    ObjectNode config = DemoRuns.config("lora", null, options.toJson());
    config.set("lora", DemoRuns.lora(lora));
    try (RunFolder run = RunFolder.create(folder.resolve("lora"), config);
        TrainableT5 t5 =
            TrainableT5.lora(
                model,
                lora,
                DType.FLOAT32,
                0,
                command.common().seed(),
                command.common().deviceOptions())) {
      return train("LoRA", t5, options, run);
    }
  }

  /** Trains all weights; returns the run's folder. */
  Path full() {
    TrainingOptions options = options(1e-3f);
    ObjectNode config = DemoRuns.config("full", null, options.toJson());
    try (RunFolder run = RunFolder.create(folder.resolve("full"), config);
        TrainableT5 t5 =
            TrainableT5.full(model, DType.FLOAT32, 0, command.common().deviceOptions())) {
      return train("full", t5, options, run);
    }
  }

  private TrainingOptions options(float learningRate) {
    return TrainingOptions.builder()
        .optimizer(Optimizer.Settings.of(Optimizer.Kind.ADAMW, 0))
        .learningRate(learningRate)
        .warmupSteps(20)
        .batchSize(BATCH)
        .seed(command.common().seed())
        .build();
  }

  private List<Example> examples() {
    List<Example> examples = new ArrayList<>();
    try (Tokenizer tokenizer = Tokenizer.load(model)) {
      for (BuiltInDialogue dialogue : data.train()) {
        examples.add(
            new Example(
                tokenizer.encode(DemoCandidate.prompt(dialogue)),
                tokenizer.encode(dialogue.summaries().getFirst())));
      }
    }
    return examples;
  }

  private Path train(String name, TrainableT5 t5, TrainingOptions options, RunFolder run) {
    Progress progress = new Progress(command.terminal(), command.common().quiet());
    try (Trainer trainer = new Trainer(t5, options, examples(), List.of(), run);
        RunReport report = new RunReport(run, 0, Curves.FINE_TUNING);
        progress) {
      report.parameters(t5.parameters().count(), t5.parameterCount());
      trainer.train(
          new Trainer.Listener() {
            @Override
            public void onStep(Trainer.Step step) {
              report.step(step);
              progress.show(
                  "%s: step %d/%d  loss %.3f  %,.0f tokens/s  %s"
                      .formatted(
                          name,
                          step.step(),
                          step.totalSteps(),
                          step.loss(),
                          step.tokensPerSecond(),
                          progress.left((double) step.step() / step.totalSteps())));
            }
          });
      report.write();
    }
    command
        .terminal()
        .println(
            "%-5s %,9d of %,d parameters trained in %s"
                .formatted(
                    name + ":",
                    t5.parameters().count(),
                    t5.parameterCount(),
                    Progress.clock(progress.seconds())));
    return run.folder();
  }
}
