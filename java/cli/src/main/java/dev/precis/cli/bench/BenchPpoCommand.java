package dev.precis.cli.bench;

import dev.precis.alignment.Reference;
import dev.precis.alignment.policy.Ppo;
import dev.precis.alignment.policy.PpoOptions;
import dev.precis.alignment.policy.Prompt;
import dev.precis.alignment.policy.Rollout;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.options.LoraOptions;
import dev.precis.device.DeviceInfo;
import dev.precis.training.TrainableT5;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import tools.jackson.databind.node.ObjectNode;

@Command(
    name = "ppo",
    header = "Times a step of PPO.",
    description = {
      "Times a whole step: responses to random prompts are sampled, a RoBERTa-base of random"
          + " weights scores them, policy, reference and critic compute log-probabilities and"
          + " values, and one PPO epoch of mini-batches updates adapters and value head.",
      "Prints one JSON object: seconds is the fastest step, median_seconds the median,"
          + " tokens_per_second the rate of the fastest step (new tokens), parts the fastest time"
          + " of each part and peak_mb the peak resident memory of the process. On a GPU, gpu is"
          + " its name and gpu_mb its memory in use at the end, by all processes."
    },
    footer = {
      "",
      "Example:",
      "  precis bench ppo --model google/flan-t5-base --dtype bfloat16 --minibatch 4"
    })
public final class BenchPpoCommand extends BaseCommand {
  @Mixin private BenchOptions bench = new BenchOptions();
  @Mixin private BenchOptions.NewTokens length = new BenchOptions.NewTokens();

  @Option(
      names = "--minibatch",
      paramLabel = "N",
      defaultValue = "4",
      description = "Responses in one mini-batch of the update (default: ${DEFAULT-VALUE}).")
  private int miniBatch;

  @Mixin private LoraOptions lora = new LoraOptions();

  @Override
  protected Map<String, String> defaults() {
    return Map.of("--repeats", "2", "--lora-dropout", "0");
  }

  @Override
  public Integer call() {
    bench.check(this);
    int newTokens = length.newTokens(this);
    requireAtLeast(1, "--minibatch", miniBatch);
    PpoOptions options =
        PpoOptions.builder()
            .batch(
                sizes ->
                    sizes
                        .batchSize(bench.batch())
                        .miniBatchSize(Math.min(miniBatch, bench.batch())))
            .optimization(optimization -> optimization.ppoEpochs(1))
            .sampling(sampling -> sampling.maxNewTokens(newTokens).minNewTokens(newTokens))
            .loss(loss -> loss.entropyCoefficient(0.01f))
            .seed(common().seed())
            .build();
    try (BenchModel.Folder model = bench.model().open(this);
        TrainableT5 t5 =
            TrainableT5.lora(
                model.path(),
                lora.config(),
                common().trainingType(),
                0,
                common().seed(),
                common().deviceOptions());
        Reference reference = Reference.open("base", t5, this::resolve);
        Ppo ppo = new Ppo(t5, reference, null, options);
        RandomRewardModel reward = new RandomRewardModel(t5)) {
      List<Prompt> prompts = prompts(t5.config().vocabSize());
      Map<String, Double> parts = new LinkedHashMap<>();
      Map<String, Double> statistics = new HashMap<>();
      BenchResult result =
          BenchResult.time(
              bench.repeats(), run -> step(ppo, prompts, reward, t5, run, parts, statistics));
      DeviceInfo info = t5.device().info();
      ObjectNode json = result.json("ppo", t5.weightType(), info, bench.batch() * newTokens);
      json.put("batch", bench.batch());
      json.put("source", bench.source());
      json.put("new", newTokens);
      json.put("minibatch", miniBatch);
      ObjectNode each = json.putObject("parts");
      parts.forEach(each::put);
      json.put("rank", lora.rank());
      json.put("target_modules", lora.targetModules());
      json.put("kl", BenchResult.rounded(statistics.get("objective/kl"), 1e6));
      terminal().println(BenchResult.finished(json, info));
      return DONE;
    }
  }

  private static void step(
      Ppo ppo,
      List<Prompt> prompts,
      RandomRewardModel reward,
      TrainableT5 t5,
      int run,
      Map<String, Double> parts,
      Map<String, Double> statistics) {
    Rollout rollout = ppo.rollout(prompts, run + 1);
    long start = System.nanoTime();
    double[] scores = reward.score(rollout.samples());
    double seconds = (System.nanoTime() - start) / 1e9;
    statistics.putAll(ppo.update(rollout, scores));
    t5.device().synchronize();
    if (run >= 0) {
      fastest(parts, "generate", statistics.get("time/ppo/generate"));
      fastest(parts, "reward", seconds);
      fastest(parts, "logprobs", statistics.get("time/ppo/forward_pass"));
      fastest(parts, "update", statistics.get("time/ppo/optimize_step"));
    }
  }

  private static void fastest(Map<String, Double> parts, String name, double seconds) {
    parts.merge(name, BenchResult.rounded(seconds, 1e3), Math::min);
  }

  private List<Prompt> prompts(int vocabulary) {
    List<Prompt> prompts = new ArrayList<>();
    for (int[] ids : bench.randomSources(common().seed(), vocabulary)) {
      prompts.add(new Prompt("prompt " + (prompts.size() + 1), "", ids, List.of()));
    }
    return prompts;
  }
}
