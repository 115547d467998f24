package dev.precis.alignment.policy;

import dev.precis.ops.PpoLoss;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.lang.foreign.ValueLayout;

/**
 * Ratios of new to old probability of whole responses, {@link ImportanceSampling#SEQUENCE}.
 *
 * <p>The loss of a response is {@code -min(r A, clamp(r, 1 - low, 1 + high) A)}. The gradient of r
 * by the log-probability of a token is r (of its geometric mean: r divided by the tokens, which is
 * in GRPO's weights). So the loss of single tokens has the same gradient where each token's
 * advantage is r A, or 0 if the clamp decides, and its own ratio is 1: the old log-probabilities
 * are the present ones.
 *
 * @param ratios the ratio of each token's response
 * @param losses the loss of each token's response, such that weights times losses have the sum of
 *     the loss
 * @param inputs of the kernel
 */
record SequenceRatios(double[] ratios, double[] losses, PpoLoss.Inputs inputs) {
  /**
   * Computes the ratios.
   *
   * @param now the tokens' present log-probabilities, (tokens) float32; 0 where they are not
   *     trained
   * @param mean of the logarithms, instead of their sum
   */
  static SequenceRatios of(MiniBatch batch, Tensor now, boolean mean, Workspace workspace) {
    int n = batch.tokens().length;
    double[] ratios = new double[n];
    double[] losses = new double[n];
    Tensor advantages = workspace.shared(DType.FLOAT32, n);
    int[] responses = batch.responses();
    for (int s = 0; s + 1 < responses.length; s++) {
      double logarithm = 0;
      int trained = 0;
      for (int i = responses[s]; i < responses[s + 1]; i++) {
        if (batch.trained(i)) {
          logarithm += MiniBatch.at(now, i) - MiniBatch.at(batch.inputs().oldLogProbabilities(), i);
          trained++;
        }
      }
      double ratio = Math.exp(mean && trained > 0 ? logarithm / trained : logarithm);
      for (int i = responses[s]; i < responses[s + 1]; i++) {
        double advantage = batch.advantages()[i];
        double plain = -ratio * advantage;
        double clipped = -batch.clamp(ratio) * advantage;
        ratios[i] = ratio;
        losses[i] = Math.max(plain, clipped) / (mean ? 1 : trained);
        advantages
            .memory()
            .setAtIndex(ValueLayout.JAVA_FLOAT, i, clipped > plain ? 0 : (float) -plain);
      }
    }
    PpoLoss.Inputs given = batch.inputs();
    PpoLoss.Inputs inputs =
        new PpoLoss.Inputs(
            given.actions(),
            given.weights(),
            now,
            advantages,
            given.referenceLogProbabilities(),
            null,
            null);
    return new SequenceRatios(ratios, losses, inputs);
  }
}
