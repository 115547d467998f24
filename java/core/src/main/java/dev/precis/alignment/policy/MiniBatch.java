package dev.precis.alignment.policy;

import dev.precis.alignment.policy.PpoMode.Whitening;
import dev.precis.ops.PpoLoss;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.lang.foreign.ValueLayout;

/**
 * Inputs and outputs of the loss kernel for the responses of a mini-batch.
 *
 * @param tokens index of each token in the rollout's arrays
 * @param advantages advantage of each token, whitened if the mode whitens mini-batches
 * @param responses of the mini-batch: begin of each among its tokens, and the end of the last
 */
record MiniBatch(
    int[] tokens,
    double[] advantages,
    int[] responses,
    PpoLoss.Inputs inputs,
    PpoLoss.Outputs outputs,
    PpoLoss.Coefficients coefficients) {

  /**
   * Collects the responses to some prompts of a rollout.
   *
   * @param part indices of the prompts
   * @param stepTokens trained tokens of all mini-batches of the optimizer step
   * @param klCoefficient coefficient of GRPO's penalty in the loss
   */
  static MiniBatch of(
      Rollout rollout,
      PolicyTargets targets,
      int[] part,
      int stepTokens,
      PpoOptions options,
      double klCoefficient,
      Workspace workspace) {
    int[] offsets = rollout.offsets();
    int each = rollout.perPrompt();
    int count = 0;
    for (int p : part) {
      count += offsets[(p + 1) * each] - offsets[p * each];
    }
    int[] tokens = new int[count];
    boolean[] mask = new boolean[count];
    double[] advantages = new double[count];
    int at = 0;
    int trained = 0;
    for (int p : part) {
      for (int t = offsets[p * each]; t < offsets[(p + 1) * each]; t++) {
        tokens[at] = t;
        mask[at] = rollout.mask()[t];
        advantages[at] = targets.advantages()[t];
        trained += mask[at] ? 1 : 0;
        at++;
      }
    }
    boolean critic = options.algorithm() == PolicyAlgorithm.PPO;
    if (critic && options.mode().whitening() == Whitening.MINI_BATCH) {
      Advantages.whiten(advantages, mask, true);
    }
    int[] responses = new int[part.length * each + 1];
    Tensor actions = workspace.tensor(DType.INT32, count);
    Tensor weights = workspace.shared(DType.FLOAT32, count);
    at = 0;
    int response = 0;
    for (int p : part) {
      for (int s = p * each; s < (p + 1) * each; s++) {
        int[] ids = rollout.samples().get(s).tokens();
        double share = share(options, trained, stepTokens, part.length * each, ids.length);
        for (int id : ids) {
          actions.memory().setAtIndex(ValueLayout.JAVA_INT, at, mask[at] ? id : -100);
          weights.memory().setAtIndex(ValueLayout.JAVA_FLOAT, at, mask[at] ? (float) share : 0);
          at++;
        }
        responses[++response] = at;
      }
    }
    boolean penalized = options.algorithm() == PolicyAlgorithm.GRPO && klCoefficient > 0;
    PpoLoss.Inputs inputs =
        new PpoLoss.Inputs(
            actions,
            weights,
            floats(rollout.logProbabilities(), tokens, workspace),
            floats(advantages, null, workspace),
            penalized ? floats(rollout.referenceLogProbabilities(), tokens, workspace) : null,
            critic ? floats(targets.values(), tokens, workspace) : null,
            critic ? floats(targets.returns(), tokens, workspace) : null);
    PpoLoss.Outputs outputs =
        new PpoLoss.Outputs(
            workspace.shared(DType.FLOAT32, count),
            workspace.shared(DType.FLOAT32, count),
            workspace.shared(DType.FLOAT32, count),
            critic ? workspace.shared(DType.FLOAT32, count) : null);
    return new MiniBatch(
        tokens,
        advantages,
        responses,
        inputs,
        outputs,
        new PpoLoss.Coefficients(
            options.loss().clipRange(),
            options.loss().clipRangeHigh(),
            options.loss().clipRangeValue(),
            critic ? options.loss().valueCoefficient() : 0,
            options.loss().entropyCoefficient(),
            penalized ? (float) klCoefficient : 0));
  }

  /**
   * Returns a trained token's weight in the loss of an optimizer step. PPO takes the mean over
   * tokens, RLOO the mean over responses of their sum, and GRPO what {@link GrpoLoss} says.
   */
  private static double share(
      PpoOptions options, int trained, int stepTokens, int responses, int length) {
    int miniBatches = options.optimization().gradientAccumulation();
    return switch (options.algorithm()) {
      case PPO -> 1.0 / trained / miniBatches;
      case RLOO -> 1.0 / responses / miniBatches;
      case GRPO ->
          switch (options.groups().loss()) {
            case GRPO -> 1.0 / ((double) responses * length) / miniBatches;
            case BNPO -> 1.0 / trained / miniBatches;
            case DR_GRPO ->
                1.0 / ((double) responses * options.sampling().maxNewTokens()) / miniBatches;
            case DAPO -> 1.0 / stepTokens;
          };
    };
  }

  /** Returns whether a token has a gradient. */
  boolean trained(int i) {
    return inputs.actions().memory().getAtIndex(ValueLayout.JAVA_INT, i) >= 0;
  }

  /** Returns the nearest ratio that the loss does not clip. */
  double clamp(double ratio) {
    return Math.clamp(ratio, 1.0 - coefficients.clipRangeLow(), 1.0 + coefficients.clipRangeHigh());
  }

  private static Tensor floats(double[] from, int[] at, Workspace workspace) {
    int count = at == null ? from.length : at.length;
    Tensor tensor = workspace.shared(DType.FLOAT32, count);
    for (int i = 0; i < count; i++) {
      float value = (float) from[at == null ? i : at[i]];
      tensor.memory().setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
    }
    return tensor;
  }

  /** Returns an element of a tensor. */
  static double at(Tensor tensor, int i) {
    return tensor.memory().getAtIndex(ValueLayout.JAVA_FLOAT, i);
  }
}
