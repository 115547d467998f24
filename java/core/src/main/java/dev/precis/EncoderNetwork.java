package dev.precis;

import dev.precis.checkpoint.Checkpoint;
import dev.precis.encoder.EncoderClassifier;
import dev.precis.encoder.EncoderConfig;
import dev.precis.encoder.EncoderWeights;
import dev.precis.layers.Linear;
import dev.precis.ops.Tape;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import java.util.List;

/** A classifier of BERT's kind. */
record EncoderNetwork(EncoderConfig config, EncoderClassifier model, Tape tape, DType activations)
    implements ClassifierModel {
  static EncoderNetwork load(
      Checkpoint checkpoint, EncoderConfig config, Engine engine, Tape tape, DType dtype) {
    EncoderWeights weights =
        EncoderWeights.load(checkpoint, config, engine.ops(), engine.arena(), dtype);
    return new EncoderNetwork(
        config,
        new EncoderClassifier(weights, engine.ops(), dtype, false),
        tape,
        dtype.activations());
  }

  @Override
  public List<String> labels() {
    return config.labels();
  }

  @Override
  public boolean multiLabel() {
    return config.multiLabel();
  }

  @Override
  public int vocabSize() {
    return config.vocabSize();
  }

  @Override
  public int maxTokens() {
    return config.maxTokens();
  }

  @Override
  public int tokenTypes() {
    return config.typeVocabSize();
  }

  @Override
  public boolean readsPairs() {
    return true;
  }

  @Override
  public long weightBytes() {
    EncoderWeights weights = model.weights();
    long bytes = weights.words().value().address().byteSize();
    if (weights.positions() != null) {
      bytes += weights.positions().value().address().byteSize();
    }
    bytes += config.positionTableElements() * activations.bytes();
    return bytes + Linear.bytes(weights.linears());
  }

  @Override
  public Tensor logits(Ragged tokens, Tensor types) {
    tape.begin(false, 0);
    return model.logits(tape, tokens, types).value();
  }
}
