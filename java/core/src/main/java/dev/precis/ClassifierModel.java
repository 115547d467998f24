package dev.precis;

import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import java.util.List;

/** The network of a {@link Classifier}; on the model's thread, but for its sizes. */
interface ClassifierModel {
  /** Returns the labels' names, in the order of the logits. */
  List<String> labels();

  /** Returns whether each label stands for itself: its probability is the logit's sigmoid. */
  boolean multiLabel();

  /** Returns the rows of the embedding. */
  int vocabSize();

  /** Returns the most tokens of a text. */
  int maxTokens();

  /** Returns the number of token types; 0: there are none. */
  int tokenTypes();

  /** Returns whether it reads pairs of texts as its tokenizer joins them. */
  boolean readsPairs();

  /** Returns the bytes of the weights. */
  long weightBytes();

  /**
   * Computes logits.
   *
   * @param types (tokens) int32; null: all tokens are of the type 0
   * @return (sequences, labels) float32
   */
  Tensor logits(Ragged tokens, Tensor types);
}
