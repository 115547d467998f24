package dev.precis.ops;

/**
 * An optimizer's step: what all of them are told, and beside it the settings of each.
 *
 * @param step from 1
 * @param learningRate of the step
 * @param gradientScale the gradient is multiplied by it first: clipping
 */
public record Update(long step, float learningRate, float gradientScale) {
  /**
   * Settings of Adam (Kingma and Ba 2015).
   *
   * @param decoupled weight decay apart from the gradient: AdamW (Loshchilov and Hutter 2019)
   */
  public record Adam(
      float beta1, float beta2, float epsilon, float weightDecay, boolean decoupled) {}

  /** Settings of stochastic gradient descent. */
  public record Sgd(float momentum, float weightDecay) {}

  /**
   * Settings of Adafactor (Shazeer and Stern 2018); the other constants are those of the paper.
   *
   * @param scaleParameter whether the learning rate is relative to the parameter's size
   */
  public record Adafactor(float weightDecay, boolean scaleParameter) {}
}
