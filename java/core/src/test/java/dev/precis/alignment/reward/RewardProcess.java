package dev.precis.alignment.reward;

import dev.precis.Fixtures;
import dev.precis.Killing;
import dev.precis.device.DeviceOptions;
import dev.precis.io.Json;
import dev.precis.random.SplitMix64;
import dev.precis.tensor.DType;
import dev.precis.text.Tokenizer;
import dev.precis.training.RunFolder;
import dev.precis.training.TrainableEncoder;
import dev.precis.training.TrainingLoop;
import dev.precis.training.TrainingOptions;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.node.ObjectNode;

/** A short run as a process of its own, for {@link RewardTrainerTest} to kill. */
final class RewardProcess {
  static final int STEPS = 12;
  static final Path MODEL = Fixtures.folder("roberta-tiny");

  private RewardProcess() {}

  static DeviceOptions device() {
    return new DeviceOptions().threads(2);
  }

  static TrainingOptions.Builder options() {
    return TrainingOptions.builder()
        .learningRate(1e-3f)
        .batchSize(3)
        .gradientAccumulation(2)
        .maxSteps(STEPS)
        .checkpointEvery(1)
        .evaluateEvery(4)
        .seed(11);
  }

  static TrainableEncoder trainable(DType dtype, float dropout) {
    RewardModelFile file = new RewardModelFile(RewardTemplate.COMPLETION, Tokenizer.hash(MODEL));
    return TrainableEncoder.of(
        MODEL,
        new TrainableEncoder.Options(List.of("reward"), dtype, dropout, 5, file::write),
        device());
  }

  /** Of two summaries the one that is not rude is preferred. */
  static List<PairExample> pairs(int count) {
    List<PairExample> pairs = new ArrayList<>();
    SplitMix64 random = new SplitMix64(8);
    String[] who = {"Mike", "Ann", "Priya", "the clerk"};
    String[] what = {"asks for a room", "wants two tickets", "accepts the price", "is late"};
    String[] kind = {"politely.", "and says thanks.", "on Monday."};
    String[] rude = {"like a stupid fool.", "and talks nonsense.", "which is disgusting."};
    try (Tokenizer tokenizer = Tokenizer.load(MODEL)) {
      for (int i = 0; i < count; i++) {
        String start = who[random.below(4)] + " " + what[random.below(4)] + " ";
        pairs.add(
            new PairExample(
                tokenizer.encode(start + kind[random.below(3)], 128),
                tokenizer.encode(start + rude[random.below(3)], 128),
                i % 2 == 0 ? 0 : 0.5));
      }
    }
    return pairs;
  }

  static TrainingLoop.Result train(Path folder) {
    ObjectNode config = Json.mapper().createObjectNode().put("test", true);
    List<PairExample> all = pairs(60);
    boolean going = Files.exists(folder.resolve("config.json"));
    try (RunFolder run =
            going ? RunFolder.resume(folder, config) : RunFolder.create(folder, config);
        TrainableEncoder roberta = trainable(DType.BFLOAT16, 0.1f);
        RewardTrainer trainer =
            new RewardTrainer(
                roberta, options().build(), all.subList(0, 48), all.subList(48, 60), 0.01, run)) {
      if (going) {
        trainer.resume();
      }
      return trainer.train(
          new TrainingLoop.Listener() {
            @Override
            public void onStep(TrainingLoop.Step step) {
              Killing.stepped(step.step(), step.totalSteps());
            }
          });
    }
  }

  public static void main(String[] args) {
    Killing.started();
    System.exit(train(Path.of(args[0])).end() == TrainingLoop.End.DONE ? 0 : 3);
  }
}
