package dev.precis.training;

import dev.precis.ops.Ops;
import dev.precis.tensor.Workspace;

/** Plans the workspace of training steps on sources and targets. */
public final class StepMemory {
  private static final int SHORT = 32;
  private static final int LONG = 96;

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
   * Returns the bytes that a step of so many tokens takes for activations. They grow linearly with
   * the tokens, so that three tiny steps measure them. On a GPU a step of the full size follows,
   * which allocates the scratch memory of the kernels.
   */
  public static long plan(
      Ops ops, Workspace workspace, long sourceTokens, long targetTokens, Step step) {
    // Once to size the workspace: memory is given back on the way only if it is one block.
    measure(workspace, step, LONG, LONG);
    long base = measure(workspace, step, SHORT, SHORT);
    long source = measure(workspace, step, LONG, SHORT) - base;
    long target = measure(workspace, step, SHORT, LONG) - base;
    double range = LONG - SHORT;
    // The peak is the largest of several phases, each linear in the tokens, so that the line runs
    // too low before its first point: fewer tokens are given the memory of that point.
    double bytes =
        base
            + source / range * Math.max(0, sourceTokens - SHORT)
            + target / range * Math.max(0, targetTokens - SHORT);
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

  private static long measure(Workspace workspace, Step step, int sourceTokens, int targetTokens) {
    workspace.resetPeak();
    step.run(sourceTokens, targetTokens, 1);
    return workspace.peak();
  }
}
