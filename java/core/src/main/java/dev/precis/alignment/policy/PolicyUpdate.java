package dev.precis.alignment.policy;

import dev.precis.alignment.policy.PpoMode.EarlyStop;
import dev.precis.heads.ValueHead;
import dev.precis.ops.Ops;
import dev.precis.ops.Variable;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import dev.precis.training.DivergedException;
import dev.precis.training.Optimizer;
import dev.precis.training.TrainableT5;
import java.lang.foreign.Arena;
import java.util.Arrays;

/** Trains policy and critic on a rollout: PPO epochs of mini-batches, and their optimizer steps. */
final class PolicyUpdate {
  /** Early stopping ends the epochs at this multiple of its KL, as TRL does. */
  private static final double EARLY_STOP_FACTOR = 1.5;

  private final TrainableT5 t5;
  private final ValueHead head;
  private final PpoOptions options;
  private final PolicyRandom random;
  private final UpdateForward forward;
  private final Ops ops;
  private final Optimizer policyOptimizer;
  private final Optimizer headOptimizer;
  private long optimizerSteps;
  private float learningRateFactor = 1;

  /**
   * Makes the optimizers.
   *
   * @param head the critic; null for GRPO and RLOO
   * @param owner frees the optimizers' state
   */
  PolicyUpdate(
      TrainableT5 t5,
      ValueHead head,
      PpoOptions options,
      PolicyRandom random,
      UpdateForward forward,
      Arena owner) {
    this.t5 = t5;
    this.head = head;
    this.options = options;
    this.random = random;
    this.forward = forward;
    ops = t5.ops();
    Optimizer.Settings adam = Optimizer.Settings.of(Optimizer.Kind.ADAM, 0);
    policyOptimizer = Optimizer.create(adam, t5.parameters(), ops, owner);
    headOptimizer = head == null ? null : Optimizer.create(adam, head.parameters(), ops, owner);
  }

  Optimizer policyOptimizer() {
    return policyOptimizer;
  }

  /** Returns the critic's optimizer; null where there is no critic. */
  Optimizer headOptimizer() {
    return headOptimizer;
  }

  /** Returns the number of optimizer steps so far. */
  long optimizerSteps() {
    return optimizerSteps;
  }

  /** Continues after so many optimizer steps, with the learning rate multiplied by the factor. */
  void restore(long optimizerSteps, float learningRateFactor) {
    this.optimizerSteps = optimizerSteps;
    this.learningRateFactor = learningRateFactor;
  }

  /** Returns the policy's learning rate in a step: 0 while only the critic learns. */
  float learningRate(long step) {
    return step < options.optimization().valueWarmupSteps()
        ? 0
        : options.optimization().learningRate() * learningRateFactor;
  }

  /** Returns the learning rate of the critic's head. */
  float valueLearningRate() {
    return options.optimization().valueLearningRate() * learningRateFactor;
  }

  /**
   * Runs the PPO epochs of a step.
   *
   * @param klCoefficient of GRPO's penalty in the loss
   * @throws DivergedException where the loss or the gradient is not finite
   */
  void run(Rollout rollout, PolicyTargets targets, double klCoefficient, PpoStatistics statistics) {
    int prompts = rollout.prompts().size();
    int together = options.batch().miniBatchPrompts();
    boolean stopsInEpochs = options.mode().earlyStop() == EarlyStop.OPTIMIZER_STEP;
    for (int epoch = 0; epoch < options.optimization().ppoEpochs(); epoch++) {
      int[] order = random.order(prompts, rollout.step(), epoch);
      int accumulated = 0;
      boolean stop = false;
      int stepTokens = 0;
      int stepBegin = 0;
      for (int at = 0; at < order.length && !stop; at += together) {
        int[] part = Arrays.copyOfRange(order, at, Math.min(order.length, at + together));
        if (accumulated == 0) {
          clearGradients();
          int end =
              Math.min(order.length, at + together * options.optimization().gradientAccumulation());
          stepBegin = at;
          stepTokens = rollout.trainedTokens(Arrays.copyOfRange(order, at, end));
        }
        Variable hidden =
            forward.hidden(
                rollout,
                part,
                epoch == 0 && at == 0,
                at,
                random.dropout(rollout.step(), epoch, stepBegin));
        accumulate(hidden, rollout, targets, part, stepTokens, klCoefficient, statistics);
        accumulated++;
        if (accumulated == options.optimization().gradientAccumulation()
            || at + together >= order.length) {
          step(statistics, learningRate(rollout.step()));
          accumulated = 0;
          stop = stopsInEpochs && movedTooFar(statistics);
        }
      }
      if (stop || movedTooFar(statistics)) {
        statistics.stoppedEarly();
        return;
      }
    }
  }

  private boolean movedTooFar(PpoStatistics statistics) {
    double limit = options.optimization().earlyStopKl();
    return limit > 0 && statistics.lastPolicyKl() > EARLY_STOP_FACTOR * limit;
  }

  private void clearGradients() {
    t5.parameters().clearGradients();
    if (head != null) {
      head.parameters().clearGradients();
    }
  }

  /**
   * Computes loss and gradients of some prompts' responses as an update does, and discards them.
   *
   * @param part indices of the prompts
   */
  void measure(Rollout rollout, PolicyTargets targets, int[] part, double klCoefficient) {
    Variable hidden = forward.hidden(rollout, part, true, 0, random.dropout(rollout.step(), 0, 0));
    accumulate(hidden, rollout, targets, part, rollout.trainedTokens(part), klCoefficient, null);
    clearGradients();
  }

  /**
   * Adds the gradients of a mini-batch's loss.
   *
   * @param hidden the decoder's states
   * @param part indices of its prompts
   * @param stepTokens trained tokens of all mini-batches of the optimizer step
   * @param statistics take the mini-batch in and can skip its gradients; or null
   */
  private void accumulate(
      Variable hidden,
      Rollout rollout,
      PolicyTargets targets,
      int[] part,
      int stepTokens,
      double klCoefficient,
      PpoStatistics statistics) {
    MiniBatch batch =
        MiniBatch.of(
            rollout, targets, part, stepTokens, options, klCoefficient, forward.workspace());
    SequenceRatios sequences =
        options.importanceSampling() == ImportanceSampling.SEQUENCE
            ? sequenceRatios(hidden.value(), batch)
            : null;
    Variable values = head == null ? null : head.values(forward.tape(), hidden);
    t5.training()
        .ppoLoss(
            forward.tape(),
            hidden,
            values,
            sequences == null ? batch.inputs() : sequences.inputs(),
            batch.coefficients(),
            batch.outputs());
    Tensor predicted = values == null ? null : values.value();
    if (statistics == null || statistics.miniBatch(batch, sequences, predicted, targets)) {
      forward.tape().backward();
    }
  }

  /** Scores the responses with the policy as it is, which the loss of whole responses needs. */
  private SequenceRatios sequenceRatios(Tensor hidden, MiniBatch batch) {
    Tensor now = forward.workspace().shared(DType.FLOAT32, batch.tokens().length);
    t5.model().logProbabilities(hidden, batch.inputs().actions(), now, null);
    return SequenceRatios.of(
        batch, now, options.algorithm() == PolicyAlgorithm.GRPO, forward.workspace());
  }

  private void step(PpoStatistics statistics, float learningRate) {
    double squares = ops.sumOfSquares(t5.parameters().gradients());
    if (head != null) {
      squares += ops.sumOfSquares(head.parameters().gradients());
    }
    double norm = Math.sqrt(squares);
    if (!Double.isFinite(norm) || !Double.isFinite(statistics.lastLoss())) {
      throw new DivergedException(
          "The loss is %s and the gradient norm is %s: lower the learning rate"
              .formatted(statistics.lastLoss(), norm));
    }
    statistics.gradNorm(norm);
    float scale = Optimizer.clippingScale(norm, options.optimization().maxGradNorm());
    optimizerSteps++;
    policyOptimizer.step(optimizerSteps, learningRate, scale);
    t5.update();
    if (head != null) {
      headOptimizer.step(optimizerSteps, valueLearningRate(), scale);
      head.update();
    }
  }
}
