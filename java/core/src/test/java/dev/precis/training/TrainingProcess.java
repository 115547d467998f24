package dev.precis.training;

import dev.precis.Fixtures;
import dev.precis.io.Json;
import dev.precis.lora.LoraConfig;
import dev.precis.tensor.DType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import tools.jackson.databind.node.ObjectNode;

/** A short run as a process of its own, for {@link ResumeTest} to kill. */
final class TrainingProcess {
  static final int STEPS = 14;

  private TrainingProcess() {}

  static TrainingOptions options() {
    return TrainingOptions.builder()
        .batchSize(2)
        .gradientAccumulation(2)
        .maxSteps(STEPS)
        .checkpointEvery(1)
        .evaluateEvery(5)
        .seed(11)
        .build();
  }

  static TrainableT5 trainable() {
    return TrainableT5.lora(
        Fixtures.folder("t5-tiny"),
        new LoraConfig(4, 8, 0.1f, List.of("q", "v", "wo"), false),
        DType.BFLOAT16,
        0.1f,
        5,
        TrainingGoldenTest.device());
  }

  static Trainer.Result train(Path folder, Trainer.Listener listener) {
    return train(folder, options(), listener);
  }

  static Trainer.Result train(Path folder, TrainingOptions options, Trainer.Listener listener) {
    ObjectNode config = Json.mapper().createObjectNode().put("test", true);
    List<Example> all = TrainingGoldenTest.dialogues();
    boolean going = Files.exists(folder.resolve("config.json"));
    try (RunFolder run =
            going ? RunFolder.resume(folder, config) : RunFolder.create(folder, config);
        TrainableT5 t5 = trainable();
        Trainer trainer = new Trainer(t5, options, all.subList(0, 40), all.subList(40, 48), run)) {
      if (going) {
        trainer.resume();
      }
      return trainer.train(listener);
    }
  }

  /**
   * A run that takes its time over each step and never gets beyond the last: it has to be killed.
   */
  private static Trainer.Listener dawdling() {
    return new Trainer.Listener() {
      @Override
      public void onStep(Trainer.Step step) {
        try {
          Thread.sleep(step.step() < STEPS ? 20 : Long.MAX_VALUE);
        } catch (InterruptedException e) {
          Thread.currentThread().interrupt();
        }
      }
    };
  }

  /** The run's folder, and {@code dawdle} where it is to be killed. */
  public static void main(String[] args) {
    boolean dawdle = args.length > 1 && args[1].equals("dawdle");
    Trainer.Result result =
        train(Path.of(args[0]), dawdle ? dawdling() : new Trainer.Listener() {});
    System.exit(result.end() == Trainer.End.DONE ? 0 : 3);
  }
}
