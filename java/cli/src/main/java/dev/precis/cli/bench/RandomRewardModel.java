package dev.precis.cli.bench;

import dev.precis.checkpoint.Checkpoint;
import dev.precis.cli.common.TemporaryFolder;
import dev.precis.encoder.EncoderClassifier;
import dev.precis.encoder.EncoderConfig;
import dev.precis.encoder.EncoderWeights;
import dev.precis.generation.SampledTokens;
import dev.precis.io.AtomicFile;
import dev.precis.ops.Tape;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import dev.precis.training.TrainableT5;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** A RoBERTa-base of random weights on the policy's device; it reads token ids. */
final class RandomRewardModel implements AutoCloseable {
  private static final int LAST_REWARD_ID = 50000;
  private static final int VOCABULARY = 50265;

  /**
   * The shape of a RoBERTa.
   *
   * @param hidden width of the residual stream
   * @param inner width of the feed-forward layer
   */
  record Shape(int hidden, int layers, int heads, int inner) {
    static final Shape BASE = new Shape(768, 12, 12, 3072);

    private String config() {
      return """
      {"model_type": "roberta", "vocab_size": %d, "hidden_size": %d, "num_hidden_layers": %d,
       "num_attention_heads": %d, "intermediate_size": %d, "max_position_embeddings": 514,
       "type_vocab_size": 1, "layer_norm_eps": 1e-5, "hidden_act": "gelu", "pad_token_id": 1,
       "bos_token_id": 0, "eos_token_id": 2, "id2label": {"0": "a", "1": "b"}}
      """
          .formatted(VOCABULARY, hidden, layers, heads, inner);
    }

    /** Returns the multiply-adds of products and attention for texts of so many tokens. */
    double multiplications(int texts, int tokens) {
      double weights = 4.0 * hidden * hidden + 2.0 * hidden * inner;
      return (double) texts * layers * tokens * (weights + 2.0 * hidden * tokens);
    }
  }

  private final Arena arena = Arena.ofShared();
  private final Workspace workspace;
  private final EncoderClassifier classifier;
  private final Tape tape;

  RandomRewardModel(TrainableT5 t5) {
    this(t5, Shape.BASE);
  }

  RandomRewardModel(TrainableT5 t5, Shape shape) {
    workspace = t5.ops().newWorkspace();
    try (TemporaryFolder folder = TemporaryFolder.create("precis-bench-")) {
      AtomicFile.writeText(folder.path().resolve("config.json"), shape.config());
      EncoderConfig config = EncoderConfig.read(folder.path());
      // Normal with deviation 0.02, as BERT starts; norms are 1 and biases 0.
      RandomWeights.write(
          config.tensorShapes(),
          folder.path().resolve("model.safetensors"),
          (name, dims) ->
              dims.length > 1
                  ? RandomWeights.uniform(0.02)
                  : RandomWeights.constant(name.endsWith("LayerNorm.weight") ? 1 : 0));
      try (Checkpoint checkpoint = Checkpoint.open(folder.path())) {
        EncoderWeights weights =
            EncoderWeights.load(checkpoint, config, t5.ops(), arena, t5.dtype());
        classifier = new EncoderClassifier(weights, t5.ops(), t5.dtype(), false);
      }
    }
    tape = new Tape(t5.ops(), workspace, false);
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
