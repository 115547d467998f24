package dev.precis.cli.bench;

import dev.precis.alignment.Reference;
import dev.precis.alignment.policy.Ppo;
import dev.precis.alignment.policy.PpoOptions;
import dev.precis.alignment.policy.Prompt;
import dev.precis.alignment.policy.Rollout;
import dev.precis.checkpoint.Checkpoint;
import dev.precis.checkpoint.SafeTensors;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.Proc;
import dev.precis.cli.common.Version;
import dev.precis.encoder.RobertaClassifier;
import dev.precis.encoder.RobertaConfig;
import dev.precis.encoder.RobertaWeights;
import dev.precis.generation.SampledTokens;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.lora.LoraConfig;
import dev.precis.ops.Tape;
import dev.precis.random.SplitMix64;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import dev.precis.training.RunFolder;
import dev.precis.training.TrainableT5;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(
    name = "ppo",
    header = "Times a step of PPO.",
    description = {
      "Times a whole step: responses are sampled to random prompts, a RoBERTa-base of random"
          + " weights scores their tokens, policy, reference and critic score them, and one pass of"
          + " mini-batches updates adapters and value head. One step to warm up, then --repeats.",
      "Prints one JSON object: seconds is the fastest step, median_seconds the median,"
          + " tokens_per_second of the fastest (new tokens), parts the fastest of each part,"
          + " peak_mb the peak resident memory of the process; on a GPU gpu is its name and gpu_mb"
          + " what is in use of its memory in the end, by everything on it."
    },
    footer = {
      "",
      "Example:",
      "  precis bench ppo --model google/flan-t5-base --dtype bfloat16 --batch 8 --minibatch 4"
    })
public final class BenchPpoCommand extends BaseCommand {
  private static final int FIRST_ID = 3;
  private static final int LAST_ID = 31999;
  private static final int LAST_REWARD_ID = 50000;
  private static final String ROBERTA_BASE =
      """
      {"model_type": "roberta", "vocab_size": 50265, "hidden_size": 768, "num_hidden_layers": 12,
       "num_attention_heads": 12, "intermediate_size": 3072, "max_position_embeddings": 514,
       "type_vocab_size": 1, "layer_norm_eps": 1e-5, "hidden_act": "gelu", "pad_token_id": 1,
       "bos_token_id": 0, "eos_token_id": 2, "id2label": {"0": "a", "1": "b"}}
      """;

  @Option(
      names = "--model",
      required = true,
      paramLabel = "MODEL",
      description = "A model's folder, or a hub id already downloaded.")
  private String model;

  @Option(
      names = "--batch",
      paramLabel = "N",
      defaultValue = "8",
      description = "Responses of a step (default: ${DEFAULT-VALUE}).")
  private int batch;

  @Option(
      names = "--source",
      paramLabel = "N",
      defaultValue = "256",
      description = "Tokens of each prompt (default: ${DEFAULT-VALUE}).")
  private int source;

  @Option(
      names = "--new",
      paramLabel = "N",
      defaultValue = "64",
      description = "New tokens of each response (default: ${DEFAULT-VALUE}).")
  private int newTokens;

  @Option(
      names = "--minibatch",
      paramLabel = "N",
      defaultValue = "4",
      description = "Responses that are updated at once (default: ${DEFAULT-VALUE}).")
  private int miniBatch;

  @Option(
      names = "--rank",
      paramLabel = "N",
      defaultValue = "32",
      description = "Rank of the adapters (default: ${DEFAULT-VALUE}).")
  private int rank;

  @Option(
      names = "--target-modules",
      paramLabel = "NAMES",
      defaultValue = "q,v",
      description = {
        "Adapted layers (default: ${DEFAULT-VALUE}); 'decoder\\..*\\.(q|v)' leaves the encoder as"
            + " it is."
      })
  private String targetModules;

  @Option(
      names = "--repeats",
      paramLabel = "N",
      defaultValue = "2",
      description = "Timed steps (default: ${DEFAULT-VALUE}).")
  private int repeats;

  /** The keys of the peers' scripts, then ours. */
  private record Result(
      String mode,
      String dtype,
      String device,
      double seconds,
      double median_seconds,
      double tokens_per_second,
      long peak_mb,
      int threads,
      int batch,
      int source,
      @com.fasterxml.jackson.annotation.JsonProperty("new") int newTokens,
      int minibatch,
      Map<String, Double> parts,
      int rank,
      String target_modules,
      double kl,
      String engine,
      String isa,
      String gpu,
      long gpu_mb) {}

  @Override
  public Integer call() {
    requirePositive("--batch", batch);
    requirePositive("--source", source);
    requirePositive("--new", newTokens);
    requirePositive("--minibatch", miniBatch);
    requirePositive("--repeats", repeats);
    PpoOptions options =
        PpoOptions.builder()
            .batch(sizes -> sizes.batchSize(batch).miniBatchSize(Math.min(miniBatch, batch)))
            .optimization(optimization -> optimization.ppoEpochs(1))
            .sampling(sampling -> sampling.maxNewTokens(newTokens).minNewTokens(newTokens))
            .loss(loss -> loss.entropyCoefficient(0.01f))
            .seed(common().seed())
            .build();
    List<String> targets =
        targetModules.matches("[A-Za-z0-9_.,\\- ]+")
            ? List.of(targetModules.trim().split("[, ]+"))
            : List.of(targetModules);
    LoraConfig lora = new LoraConfig(rank, 32, 0, targets, false);
    try (TrainableT5 t5 =
            TrainableT5.lora(
                resolve(model),
                lora,
                common().trainingType(),
                0,
                common().seed(),
                common().contextOptions());
        Reference reference = Reference.open("base", t5, this::resolve);
        Ppo ppo = new Ppo(t5, reference, null, options);
        RandomReward reward = new RandomReward(t5)) {
      List<Prompt> prompts = prompts(Math.min(LAST_ID, t5.config().vocabSize() - 1));
      double[] seconds = new double[repeats];
      Map<String, Double> parts = new LinkedHashMap<>();
      Map<String, Double> statistics = Map.of();
      for (int run = -1; run < repeats; run++) {
        long start = System.nanoTime();
        Rollout rollout = ppo.rollout(prompts, run + 1);
        long rolled = System.nanoTime();
        double[] scores = reward.score(rollout.samples());
        double rewarded = (System.nanoTime() - rolled) / 1e9;
        statistics = ppo.update(rollout, scores);
        t5.context().synchronize();
        if (run >= 0) {
          seconds[run] = (System.nanoTime() - start) / 1e9;
          fastest(parts, "generate", statistics.get("time/ppo/generate"));
          fastest(parts, "reward", rewarded);
          fastest(parts, "logprobs", statistics.get("time/ppo/forward_pass"));
          fastest(parts, "update", statistics.get("time/ppo/optimize_step"));
        }
      }
      Arrays.sort(seconds);
      double median = (seconds[(repeats - 1) / 2] + seconds[repeats / 2]) / 2;
      Result result =
          new Result(
              "ppo",
              t5.dtype().name().toLowerCase(Locale.ROOT),
              BenchDevice.kind(t5.context().info()),
              rounded(seconds[0], 1e4),
              rounded(median, 1e4),
              rounded(batch * newTokens / seconds[0], 10),
              Proc.bytes("/proc/self/status", "VmHWM") >> 20,
              t5.context().info().threads(),
              batch,
              source,
              newTokens,
              miniBatch,
              parts,
              rank,
              targetModules,
              rounded(statistics.get("objective/kl"), 1e6),
              "precis " + Version.number(),
              t5.context().info().isa(),
              BenchDevice.gpu(t5.context().info()),
              BenchDevice.megabytes(t5.context().info()));
      terminal().println(Json.mapper().writeValueAsString(result));
      return DONE;
    }
  }

  private static void fastest(Map<String, Double> parts, String name, double seconds) {
    parts.merge(name, rounded(seconds, 1e3), Math::min);
  }

  private List<Prompt> prompts(int lastId) {
    Random random = new Random(common().seed());
    List<Prompt> prompts = new ArrayList<>();
    for (int i = 0; i < batch; i++) {
      int[] ids = random.ints(source, Math.min(FIRST_ID, lastId), lastId + 1).toArray();
      prompts.add(new Prompt("prompt " + (i + 1), "", ids, List.of()));
    }
    return prompts;
  }

  /** A RoBERTa-base of random weights, on the policy's cores; it reads token ids. */
  private static final class RandomReward implements AutoCloseable {
    private final Arena arena = Arena.ofShared();
    private final Workspace workspace;
    private final RobertaClassifier classifier;
    private final Tape tape;

    RandomReward(TrainableT5 t5) {
      workspace = new Workspace(t5.context());
      Path folder = null;
      try {
        folder = Files.createTempDirectory("precis-bench-");
        RunFolder.writeText(folder.resolve("config.json"), ROBERTA_BASE);
        RobertaConfig config = RobertaConfig.read(folder);
        write(config, folder.resolve("model.safetensors"));
        try (Checkpoint checkpoint = Checkpoint.open(folder)) {
          RobertaWeights weights =
              RobertaWeights.load(checkpoint, config, t5.ops(), arena, t5.dtype());
          classifier = new RobertaClassifier(weights, t5.ops(), t5.dtype(), false);
        }
      } catch (IOException e) {
        throw new UncheckedIOException("Cannot make a temporary folder: " + e.getMessage(), e);
      } finally {
        remove(folder);
      }
      tape = new Tape(t5.ops(), workspace, false);
    }

    /** Normal with deviation 0.02, as BERT starts; norms are 1 and biases 0. */
    private static void write(RobertaConfig config, Path file) {
      try (Arena call = Arena.ofShared()) {
        long most = 0;
        for (long[] shape : config.tensorShapes().values()) {
          most = Math.max(most, elements(shape));
        }
        MemorySegment memory = call.allocate(2 * most, 64);
        List<SafeTensors.Source> tensors = new ArrayList<>();
        config
            .tensorShapes()
            .forEach(
                (name, shape) ->
                    tensors.add(
                        new SafeTensors.Source(
                            name, DType.BFLOAT16, shape, () -> filled(memory, name, shape))));
        SafeTensors.writeSources(file, tensors, Map.of("format", "pt"));
      }
    }

    private static long elements(long[] shape) {
      return shape.length == 1 ? shape[0] : shape[0] * shape[1];
    }

    private static MemorySegment filled(MemorySegment memory, String name, long[] shape) {
      MemorySegment part = memory.asSlice(0, 2 * elements(shape));
      if (shape.length == 1) {
        boolean ones = name.endsWith("LayerNorm.weight");
        for (long i = 0; i < shape[0]; i++) {
          part.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (ones ? 0x3f80 : 0));
        }
        return part;
      }
      SplitMix64 random = new SplitMix64(name.hashCode());
      for (long i = 0; i < elements(shape); i++) {
        // Uniform with that deviation: the time does not depend on the distribution.
        float value = (float) ((random.uniform() - 0.5) * 0.02 * Math.sqrt(12));
        short rounded = (short) (Float.floatToRawIntBits(value) >>> 16);
        part.setAtIndex(ValueLayout.JAVA_SHORT, i, rounded);
      }
      return part;
    }

    double[] score(List<SampledTokens> samples) {
      workspace.reset();
      tape.begin(false, 0);
      List<int[]> ids = new ArrayList<>();
      for (SampledTokens sample : samples) {
        ids.add(Arrays.stream(sample.tokens()).map(id -> Math.min(id, LAST_REWARD_ID)).toArray());
      }
      Ragged tokens = Ragged.of(ids, classifier.config().vocabSize(), workspace);
      Tensor logits = classifier.logits(tape, tokens).value();
      double[] scores = new double[ids.size()];
      for (int i = 0; i < scores.length; i++) {
        scores[i] = logits.get(i, 0);
      }
      return scores;
    }

    private static void remove(Path folder) {
      try {
        if (folder != null) {
          for (String name : List.of("config.json", "model.safetensors")) {
            Files.deleteIfExists(folder.resolve(name));
          }
          Files.delete(folder);
        }
      } catch (IOException e) {
        throw new UncheckedIOException("Cannot remove " + folder + ": " + e.getMessage(), e);
      }
    }

    @Override
    public void close() {
      workspace.close();
      arena.close();
    }
  }

  private static void requirePositive(String option, int value) {
    if (value < 1) {
      throw new InvalidInputException(option + " must be 1 or more, not " + value);
    }
  }

  private static double rounded(double value, double digits) {
    return Math.round(value * digits) / digits;
  }
}
