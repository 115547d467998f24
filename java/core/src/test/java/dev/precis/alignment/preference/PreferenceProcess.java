package dev.precis.alignment.preference;

import dev.precis.Fixtures;
import dev.precis.Killing;
import dev.precis.alignment.Reference;
import dev.precis.device.DeviceOptions;
import dev.precis.io.Json;
import dev.precis.lora.LoraConfig;
import dev.precis.tensor.DType;
import dev.precis.training.RunFolder;
import dev.precis.training.TrainableT5;
import dev.precis.training.TrainingLoop.End;
import dev.precis.training.TrainingLoop.Listener;
import dev.precis.training.TrainingLoop.Result;
import dev.precis.training.TrainingLoop.Step;
import dev.precis.training.TrainingOptions;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import tools.jackson.databind.node.ObjectNode;

/** A short run, as a process of its own for {@link PreferenceResumeTest} to kill. */
final class PreferenceProcess {
  static final int STEPS = 9;

  private PreferenceProcess() {}

  /**
   * Begins a run or goes on with it.
   *
   * @param atMost steps of this process
   */
  static Result train(Path folder, boolean unpaired, int atMost) {
    TrainingOptions options =
        TrainingOptions.builder()
            .batchSize(2)
            .gradientAccumulation(2)
            .maxSteps(STEPS)
            .checkpointEvery(1)
            .evaluateEvery(4)
            .seed(11)
            .build();
    LoraConfig lora = new LoraConfig(4, 8, 0.1f, List.of("q", "v", "wo"), false);
    ObjectNode config = Json.mapper().createObjectNode().put("unpaired", unpaired);
    boolean going = Files.exists(folder.resolve("config.json"));
    try (RunFolder run =
            going ? RunFolder.resume(folder, config) : RunFolder.create(folder, config);
        TrainableT5 t5 =
            TrainableT5.lora(
                Fixtures.folder("t5-tiny"),
                lora,
                DType.BFLOAT16,
                0.1f,
                5,
                new DeviceOptions().threads(2));
        Reference reference = Reference.open("base", t5, Path::of);
        PreferenceTrainer trainer =
            unpaired
                ? unpaired(t5, options, reference, run)
                : paired(t5, options, reference, run)) {
      if (going) {
        trainer.resume();
      }
      return trainer.train(
          new Listener() {
            private int steps;

            @Override
            public void onStep(Step step) {
              Killing.stepped(step.step(), step.totalSteps());
              if (++steps == atMost) {
                trainer.stop();
              }
            }
          });
    }
  }

  private static PreferenceTrainer paired(
      TrainableT5 t5, TrainingOptions options, Reference reference, RunFolder run) {
    List<PreferenceExample> all = PreferenceData.pairs();
    PreferenceLoss loss = new PreferenceLoss(PreferenceLoss.Kind.SIGMOID, 0.1, 0, 0);
    return PreferenceTrainer.onPairs(
        t5, options, loss, all.subList(0, 30), all.subList(30, 36), reference, true, run);
  }

  private static PreferenceTrainer unpaired(
      TrainableT5 t5, TrainingOptions options, Reference reference, RunFolder run) {
    List<FeedbackExample> all = PreferenceData.feedback();
    UnpairedLoss loss = new UnpairedLoss(0.1, 1, 1);
    return PreferenceTrainer.onFeedback(
        t5, options, loss, all.subList(0, 30), all.subList(30, 36), reference, true, run);
  }

  public static void main(String[] args) {
    Killing.started();
    Result result = train(Path.of(args[0]), Boolean.parseBoolean(args[1]), STEPS + 1);
    System.exit(result.end() == End.DONE ? 0 : 3);
  }
}
