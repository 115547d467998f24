package dev.precis.training;

import dev.precis.ops.Ops;
import dev.precis.tensor.Workspace;

/** Plans the workspace of training steps on sources and targets. */
public final class StepMemory {
  private static final int SHORT = 32;
  private static final int LONG = 96;
  private static final int TINY = 2;

  /** Longest sequence of the full-size step on a GPU: attention is quadratic in the length. */
  private static final int PIECE = 512;

  private StepMemory() {}

  /** A step forward and backward in the planned workspace, whose gradients are zeroed again. */
  @FunctionalInterface
  public interface Step {
    /**
     * Runs the step.
     *
     * @param sourceTokens tokens of each example's source
     * @param targetTokens tokens of each example's target
     */
    void run(int sourceTokens, int targetTokens, int examples);
  }

  /**
   * Returns the bytes that a step of so many tokens takes for activations. They are the largest of
   * several phases, each of which grows linearly with the tokens, so that tiny steps measure them:
   * three where the decoder's phase is the largest, and two where the source is so much longer than
   * the target that the encoder's is. Fewer tokens than those of the tiniest step get its memory,
   * because the line through larger ones runs too low there. On a GPU a step of the full size
   * follows, which allocates the scratch memory of the kernels.
   */
  public static long plan(
      Ops ops, Workspace workspace, long sourceTokens, long targetTokens, Step step) {
    // Once to size the workspace: memory is given back on the way only if it is one block.
    measure(workspace, step, LONG, LONG);
    long base = measure(workspace, step, SHORT, SHORT);
    long longSource = measure(workspace, step, LONG, SHORT);
    double bySource = slope(base, longSource, SHORT, LONG);
    double byTarget = slope(base, measure(workspace, step, SHORT, LONG), SHORT, LONG);
    double bytes =
        base
            + bySource * Math.max(0, sourceTokens - SHORT)
            + byTarget * Math.max(0, targetTokens - SHORT);
    if (sourceTokens > LONG) {
      long lone = measure(workspace, step, LONG, TINY);
      double byLoneSource = slope(measure(workspace, step, SHORT, TINY), lone, SHORT, LONG);
      bytes =
          Math.max(
              bytes,
              lone
                  + byLoneSource * (sourceTokens - LONG)
                  + slope(lone, longSource, TINY, SHORT) * Math.max(0, targetTokens - TINY));
    }
    // Room for rounding up to whole cache lines, and for the offsets of the sequences.
    long planned = (long) (bytes * 1.01) + (1 << 16);
    if (ops.onGpu()) {
      workspace.reserve(planned);
      int pieces = (int) Math.ceilDiv(Math.max(sourceTokens, targetTokens), PIECE);
      step.run(
          (int) Math.ceilDiv(sourceTokens, pieces),
          (int) Math.ceilDiv(targetTokens, pieces),
          pieces);
    }
    workspace.resetPeak();
    return planned;
  }

  /** Returns the bytes that each token adds. */
  private static double slope(long fewer, long more, int from, int to) {
    return (double) (more - fewer) / (to - from);
  }

  private static long measure(Workspace workspace, Step step, int sourceTokens, int targetTokens) {
    workspace.resetPeak();
    step.run(sourceTokens, targetTokens, 1);
    return workspace.peak();
  }
}
