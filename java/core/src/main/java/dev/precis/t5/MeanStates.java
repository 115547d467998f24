package dev.precis.t5;

import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.util.Arrays;
import java.util.List;

/**
 * Represents texts by the mean of the encoder's last states, as Sentence-T5 does (Ni et al. 2022).
 *
 * <p>Not thread-safe. Sources are batched by length; a source's states do not depend on its
 * neighbors.
 */
public final class MeanStates implements AutoCloseable {
  private final T5Model model;
  private final Workspace workspace;

  /** Takes a model, which must outlive this. The caller must close this. */
  public MeanStates(T5Model model) {
    this.model = model;
    workspace = model.ops().newWorkspace();
  }

  /**
   * Returns the means.
   *
   * @param sources token ids of each source, its end token included
   * @return for each source, in order, dModel numbers
   * @throws dev.precis.io.InvalidInputException if a source is empty or has an id outside the
   *     vocabulary
   */
  public List<float[]> of(List<int[]> sources) {
    float[][] means = new float[sources.size()][];
    LengthBatches.forEach(sources, Integer.MAX_VALUE, batch -> encode(sources, batch, means));
    return List.of(means);
  }

  private void encode(List<int[]> sources, int[] batch, float[][] means) {
    workspace.reset();
    List<int[]> some = Arrays.stream(batch).mapToObj(sources::get).toList();
    Ragged source = model.sources(some, workspace);
    Tensor hidden = model.encode(source, workspace).hidden();
    int prompt = model.weights().promptTokens(); // virtual tokens are no part of a text
    for (int i = 0; i < batch.length; i++) {
      long row = source.begin(i) + prompt;
      means[batch[i]] = mean(hidden, row, sources.get(batch[i]).length);
    }
  }

  private static float[] mean(Tensor hidden, long first, int length) {
    double[] sums = null;
    for (long row = first; row < first + length; row++) {
      float[] state = hidden.row(row);
      if (sums == null) {
        sums = new double[state.length];
      }
      for (int i = 0; i < state.length; i++) {
        sums[i] += state[i];
      }
    }
    float[] mean = new float[sums.length];
    for (int i = 0; i < mean.length; i++) {
      mean[i] = (float) (sums[i] / length);
    }
    return mean;
  }

  @Override
  public void close() {
    workspace.close();
  }
}
