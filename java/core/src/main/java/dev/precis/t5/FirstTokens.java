package dev.precis.t5;

import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Computes the probabilities of the first token that a T5 would generate: a model that was trained
 * to answer with a word is read so as a judge.
 *
 * <p>Not thread-safe. Sources are batched by length; a source's result does not depend on its
 * neighbors.
 */
public final class FirstTokens implements AutoCloseable {
  /** The most tokens of a batch; a longer source is a batch of its own. */
  private static final int BATCH_TOKENS = 2048;

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
    int[] order =
        IntStream.range(0, sources.size())
            .boxed()
            .sorted(Comparator.comparingInt(i -> sources.get(i).length))
            .mapToInt(Integer::intValue)
            .toArray();
    for (int at = 0; at < order.length; ) {
      int end = at + 1;
      for (int length = sources.get(order[at]).length;
          end < order.length
              && end - at < BATCH_SOURCES
              && length + sources.get(order[end]).length <= BATCH_TOKENS;
          end++) {
        length += sources.get(order[end]).length;
      }
      batch(sources, order, at, end, tokens, all);
      at = end;
    }
    return List.of(all);
  }

  private void batch(
      List<int[]> sources, int[] order, int begin, int end, int[] tokens, double[][] all) {
    workspace.reset();
    T5Config config = model.config();
    List<int[]> batch = new ArrayList<>(end - begin);
    List<int[]> starts = new ArrayList<>(end - begin);
    for (int i = begin; i < end; i++) {
      batch.add(sources.get(order[i]));
      starts.add(new int[] {config.decoderStartTokenId()});
    }
    T5Model.Encoded encoded =
        model.encode(Ragged.of(batch, config.vocabSize(), workspace), workspace);
    Ragged target = Ragged.of(starts, config.vocabSize(), workspace);
    Tensor hidden = model.decode(encoded, target, workspace);
    Tensor logits = workspace.tensor(DType.FLOAT32, end - begin, config.vocabSize());
    model.logits(hidden, logits);
    for (int i = begin; i < end; i++) {
      all[order[i]] = logProbabilities(logits.row(i - begin), tokens);
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
