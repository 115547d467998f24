package dev.precis.cli.bench;

import dev.precis.checkpoint.Checkpoint;
import dev.precis.checkpoint.SafeTensors;
import dev.precis.cli.common.TemporaryFolder;
import dev.precis.encoder.EncoderClassifier;
import dev.precis.encoder.EncoderConfig;
import dev.precis.encoder.EncoderWeights;
import dev.precis.generation.SampledTokens;
import dev.precis.io.AtomicFile;
import dev.precis.ops.Tape;
import dev.precis.random.SplitMix64;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import dev.precis.training.TrainableT5;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** A RoBERTa-base of random weights on the policy's device; it reads token ids. */
final class RandomRewardModel implements AutoCloseable {
  private static final int LAST_REWARD_ID = 50000;
  private static final String ROBERTA_BASE =
      """
      {"model_type": "roberta", "vocab_size": 50265, "hidden_size": 768, "num_hidden_layers": 12,
       "num_attention_heads": 12, "intermediate_size": 3072, "max_position_embeddings": 514,
       "type_vocab_size": 1, "layer_norm_eps": 1e-5, "hidden_act": "gelu", "pad_token_id": 1,
       "bos_token_id": 0, "eos_token_id": 2, "id2label": {"0": "a", "1": "b"}}
      """;

  private final Arena arena = Arena.ofShared();
  private final Workspace workspace;
  private final EncoderClassifier classifier;
  private final Tape tape;

  RandomRewardModel(TrainableT5 t5) {
    workspace = t5.ops().newWorkspace();
    try (TemporaryFolder folder = TemporaryFolder.create("precis-bench-")) {
      AtomicFile.writeText(folder.path().resolve("config.json"), ROBERTA_BASE);
      EncoderConfig config = EncoderConfig.read(folder.path());
      write(config, folder.path().resolve("model.safetensors"));
      try (Checkpoint checkpoint = Checkpoint.open(folder.path())) {
        EncoderWeights weights =
            EncoderWeights.load(checkpoint, config, t5.ops(), arena, t5.dtype());
        classifier = new EncoderClassifier(weights, t5.ops(), t5.dtype(), false);
      }
    }
    tape = new Tape(t5.ops(), workspace, false);
  }

  /** Normal with deviation 0.02, as BERT starts; norms are 1 and biases 0. */
  private static void write(EncoderConfig config, Path file) {
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

  @Override
  public void close() {
    workspace.close();
    arena.close();
  }
}
