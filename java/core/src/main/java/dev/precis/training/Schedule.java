package dev.precis.training;

/**
 * Schedule of the learning rate, with transformers' formulas: linear warm-up from zero, then
 * constant, or decaying to zero linearly or along half a cosine (Loshchilov and Hutter 2017).
 *
 * @param shape of the decay after the warm-up
 * @param warmupSteps steps until the full learning rate
 * @param totalSteps steps of the whole run
 */
public record Schedule(Shape shape, long warmupSteps, long totalSteps) {
  /** Shapes of the schedule after the warm-up. */
  public enum Shape {
    LINEAR,
    COSINE,
    CONSTANT
  }

  /**
   * Returns the factor of the learning rate.
   *
   * @param done steps before this one
   */
  public double factor(long done) {
    if (done < warmupSteps) {
      return (double) done / Math.max(1, warmupSteps);
    }
    double progress = (double) (done - warmupSteps) / Math.max(1, totalSteps - warmupSteps);
    return switch (shape) {
      case CONSTANT -> 1;
      case LINEAR -> Math.max(0, 1 - progress);
      case COSINE -> Math.max(0, 0.5 * (1 + StrictMath.cos(Math.PI * Math.min(1, progress))));
    };
  }
}
