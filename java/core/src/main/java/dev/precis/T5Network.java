package dev.precis;

import dev.precis.checkpoint.Checkpoint;
import dev.precis.io.JsonObject;
import dev.precis.ops.Tape;
import dev.precis.t5.T5Classifier;
import dev.precis.t5.T5Config;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A classifier on a T5's encoder, which reads pairs in a prompt. */
record T5Network(T5Classifier model, List<String> labels, Tape tape) implements ClassifierModel {
  /** Positions are relative: the tokenizer's file or the memory sets the limit. */
  private static final int MAX_TOKENS = 1 << 14;

  /** Vectara's model, whose configuration names another folder for its sizes. */
  private static final String HHEM = "HHEMv2";

  private static final String ARCHITECTURE = "T5ForTokenClassification";

  /** Returns whether a configuration is that of such a classifier. */
  static boolean is(JsonObject config) {
    return isHhem(config)
        || config.optionalText("model_type").orElse("t5").equals("t5")
            && config.texts("architectures").contains(ARCHITECTURE);
  }

  private static boolean isHhem(JsonObject config) {
    return config.optionalText("model_type").orElse("").startsWith(HHEM);
  }

  static T5Network load(
      Path folder, JsonObject json, Checkpoint checkpoint, Engine engine, Tape tape, DType dtype) {
    T5Config config = isHhem(json) ? T5Classifier.flanConfig(checkpoint) : T5Config.read(folder);
    List<String> labels = new ArrayList<>();
    JsonObject names = json.object("id2label");
    int count = T5Classifier.labels(checkpoint);
    for (int i = 0; i < count; i++) {
      String label = names.optionalText(Integer.toString(i)).orElse("LABEL_" + i);
      if (labels.contains(label)) {
        throw json.wrong("id2label", "a different name for each class");
      }
      labels.add(label);
    }
    return new T5Network(
        T5Classifier.load(checkpoint, config, count, engine.ops(), engine.arena(), dtype),
        List.copyOf(labels),
        tape);
  }

  @Override
  public boolean multiLabel() {
    return labels.size() == 1;
  }

  @Override
  public int vocabSize() {
    return model.config().vocabSize();
  }

  @Override
  public int maxTokens() {
    return MAX_TOKENS;
  }

  @Override
  public int tokenTypes() {
    return 0;
  }

  @Override
  public boolean readsPairs() {
    return false;
  }

  @Override
  public long weightBytes() {
    return model.weightBytes();
  }

  @Override
  public Tensor logits(Ragged tokens, Tensor types) {
    tape.begin(false, 0);
    return model.logits(tape, tokens);
  }
}
