package dev.precis.alignment.policy;

import dev.precis.Fixtures;
import dev.precis.Killing;
import dev.precis.alignment.Reference;
import dev.precis.alignment.reward.Reward;
import dev.precis.alignment.reward.Score;
import dev.precis.data.Dialogue;
import dev.precis.data.DialogueReader;
import dev.precis.device.DeviceOptions;
import dev.precis.io.Json;
import dev.precis.lora.LoraConfig;
import dev.precis.tensor.DType;
import dev.precis.text.PromptTemplate;
import dev.precis.text.Tokenizer;
import dev.precis.training.RunFolder;
import dev.precis.training.TrainableT5;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.node.ObjectNode;

/** A short PPO run as a process of its own, for {@link PpoResumeTest} to kill. */
final class PolicyProcess {
  static final Path MODEL = Fixtures.folder("t5-tiny");
  static final int STEPS = 8;

  /** The more often the letter e, the better. */
  static final Reward REWARD =
      all ->
          all.stream()
              .map(c -> Score.of("e", c.text().chars().filter(each -> each == 'e').count()))
              .toList();

  private PolicyProcess() {}

  static PpoOptions.Builder options() {
    return PpoOptions.builder()
        .batch(batch -> batch.batchSize(4).miniBatchSize(2))
        .optimization(optimization -> optimization.ppoEpochs(2).learningRate(1e-3f))
        .schedule(schedule -> schedule.maxSteps(STEPS).checkpointEvery(2))
        .sampling(sampling -> sampling.maxNewTokens(10).shortestLimit(4))
        .rewards(rewards -> rewards.scaleScores(true))
        .seed(11);
  }

  static TrainableT5 policy(DType dtype, String... targets) {
    return TrainableT5.lora(
        MODEL,
        new LoraConfig(4, 8, 0, List.of(targets), false),
        dtype,
        0,
        5,
        new DeviceOptions().threads(2));
  }

  static List<Prompt> prompts(Tokenizer tokenizer) {
    List<Prompt> prompts = new ArrayList<>();
    for (Dialogue dialogue : DialogueReader.read(Fixtures.folder("dialogues.jsonl"))) {
      String text = PromptTemplate.DEFAULT.fill(dialogue.dialogue());
      prompts.add(new Prompt(dialogue.id(), text, tokenizer.encode(text), dialogue.summaries()));
    }
    return prompts;
  }

  static PpoTrainer.Result align(
      Path folder, PpoOptions options, PpoTrainer.Listener listener, boolean stopAfterOne) {
    ObjectNode config = Json.mapper().createObjectNode().put("test", true);
    boolean going = Files.exists(folder.resolve("config.json"));
    try (Tokenizer tokenizer = Tokenizer.load(MODEL);
        RunFolder run =
            going ? RunFolder.resume(folder, config) : RunFolder.create(folder, config);
        TrainableT5 t5 = policy(DType.BFLOAT16, "q", "v");
        Reference reference = Reference.open("base", t5, Path::of);
        Ppo ppo = new Ppo(t5, reference, tokenizer, options);
        PpoTrainer trainer =
            new PpoTrainer(ppo, prompts(tokenizer).subList(0, 10), REWARD, run, true)) {
      if (going) {
        trainer.resume();
      }
      return trainer.train(
          new PpoTrainer.Listener() {
            @Override
            public void onStep(PpoTrainer.Step step) {
              listener.onStep(step);
              if (stopAfterOne) {
                trainer.stop();
              }
            }

            @Override
            public void onRollback(long toStep, String reason) {
              listener.onRollback(toStep, reason);
            }
          });
    }
  }

  public static void main(String[] args) {
    Killing.started();
    PpoTrainer.Listener listener =
        new PpoTrainer.Listener() {
          @Override
          public void onStep(PpoTrainer.Step step) {
            Killing.stepped(step.step(), step.totalSteps());
          }
        };
    PpoTrainer.Result result = align(Path.of(args[0]), options().build(), listener, false);
    System.exit(result.end() == PpoTrainer.End.DONE ? 0 : 3);
  }
}
