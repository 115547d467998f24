package dev.precis.t5;

import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/**
 * Computes the probabilities of the first token that a T5 would generate: a model that was trained
 * to answer with a word is read so as a judge.
 *
 * <p>Not thread-safe. Sources are batched by length; a source's result does not depend on its
 * neighbors.
 */
public final class FirstTokens implements AutoCloseable {
  /** The most sources of a batch, which bounds the logits' memory. */
  private static final int BATCH_SOURCES = 32;

  private final T5Model model;
  private final Workspace workspace;

  /** Takes a model, which must outlive this. The caller must close this. */
  public FirstTokens(T5Model model) {
    this.model = model;
    workspace = model.ops().newWorkspace();
  }

  /**
   * Returns the log-probabilities of tokens as the first generated one, of a softmax over the whole
   * vocabulary.
   *
   * @param sources token ids of each source, its end token included
   * @param tokens ids of the tokens that are asked for
   * @return for each source, in order, a log-probability for each token
   * @throws dev.precis.io.InvalidInputException if a source is empty or has an id outside the
   *     vocabulary
   */
  public List<double[]> logProbabilities(List<int[]> sources, int[] tokens) {
    double[][] all = new double[sources.size()][];
    LengthBatches.forEach(sources, BATCH_SOURCES, batch -> batch(sources, batch, tokens, all));
    return List.of(all);
  }

  private void batch(List<int[]> sources, int[] batch, int[] tokens, double[][] all) {
    workspace.reset();
    T5Config config = model.config();
    List<int[]> some = Arrays.stream(batch).mapToObj(sources::get).toList();
    List<int[]> starts =
        Collections.nCopies(batch.length, new int[] {config.decoderStartTokenId()});
    T5Model.Encoded encoded = model.encode(model.sources(some, workspace), workspace);
    Ragged target = Ragged.of(starts, config.vocabSize(), workspace);
    Tensor hidden = model.decode(encoded, target, workspace);
    Tensor logits = workspace.tensor(DType.FLOAT32, batch.length, config.vocabSize());
    model.logits(hidden, logits);
    for (int i = 0; i < batch.length; i++) {
      all[batch[i]] = logProbabilities(logits.row(i), tokens);
    }
  }

  private static double[] logProbabilities(float[] logits, int[] tokens) {
    double largest = Double.NEGATIVE_INFINITY;
    for (float logit : logits) {
      largest = Math.max(largest, logit);
    }
    double sum = 0;
    for (float logit : logits) {
      sum += Math.exp(logit - largest);
    }
    double[] result = new double[tokens.length];
    for (int i = 0; i < tokens.length; i++) {
      result[i] = logits[tokens[i]] - largest - Math.log(sum);
    }
    return result;
  }

  @Override
  public void close() {
    workspace.close();
  }
}
