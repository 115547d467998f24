package dev.precis.training;

import dev.precis.io.InvalidInputException;
import dev.precis.ops.Tape;
import dev.precis.ops.Variable;
import dev.precis.t5.T5Training;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/**
 * Computes the supervised loss of a T5 and its gradients: the cross-entropy of each target token,
 * given the source and the target tokens before it.
 *
 * <p>Not thread-safe.
 */
public final class FineTuning implements AutoCloseable {
  private final TrainableT5 t5;
  private final float labelSmoothing;
  private final Workspace workspace;
  private final Tape tape;

  /**
   * Prepares the loss of a model.
   *
   * @param labelSmoothing share of each target's weight that is spread over the whole vocabulary
   *     (Szegedy et al. 2016)
   * @param recompute activations in the backward pass, see {@link Tape}
   */
  public FineTuning(TrainableT5 t5, float labelSmoothing, boolean recompute) {
    this.t5 = t5;
    this.labelSmoothing = labelSmoothing;
    workspace = t5.ops().newWorkspace();
    tape = new Tape(t5.ops(), workspace, recompute);
  }

  /**
   * Adds the gradients of {@code scale x sum of the losses} to those of the parameters.
   *
   * @param scale one over the tokens of the whole step, so that the gradients of micro-batches add
   *     up to the step's
   * @param seed of the dropout masks
   * @return the sum of the losses of all target tokens
   */
  public double accumulate(List<Example> examples, float scale, long seed) {
    return accumulate(examples, 0, scale, seed);
  }

  /**
   * Adds the gradients of some examples of a larger batch, as {@link #accumulate(List, float,
   * long)} does. They have the dropout masks that they have in the whole batch.
   *
   * @param first number of the first example in the whole batch
   */
  public double accumulate(List<Example> examples, int first, float scale, long seed) {
    try {
      double sum = loss(examples, first, true, scale, labelSmoothing, seed);
      tape.backward();
      return sum;
    } finally {
      t5.ops().release();
    }
  }

  /** Computes the loss of a batch from the decoder's states, and records its gradient. */
  @FunctionalInterface
  interface Loss {
    /**
     * Computes the loss.
     *
     * @param hidden (target tokens, dModel), of the decoder
     * @param labels (target tokens) int32
     */
    void compute(Tape tape, Variable hidden, Tensor labels);
  }

  /**
   * Adds the gradients of a loss to those of the parameters.
   *
   * @param numbers of the examples in the step's whole batch, which dropout masks depend on
   * @param seed of the dropout masks of the whole step
   */
  void accumulate(List<Example> examples, int[] numbers, long seed, Loss loss) {
    try {
      compute(examples, numbers, true, seed, loss);
      tape.backward();
    } finally {
      t5.ops().release();
    }
  }

  /** Returns the sum of the losses, without label smoothing and without dropout. */
  public double evaluate(List<Example> examples) {
    try {
      return loss(examples, 0, false, 1, 0, 0);
    } finally {
      t5.ops().release();
    }
  }

  /** Returns the most memory that activations took in one step so far, in bytes. */
  long peak() {
    return workspace.peak();
  }

  /** Returns the number of target tokens of examples. */
  public static long targetTokens(List<Example> examples) {
    long n = 0;
    for (Example example : examples) {
      n += example.target().length;
    }
    return n;
  }

  private double loss(
      List<Example> examples,
      int first,
      boolean recording,
      float scale,
      float smoothing,
      long seed) {
    double[] sum = new double[1];
    compute(
        examples,
        TrainingLoop.numbers(first, examples.size()),
        recording,
        seed,
        (tape, hidden, labels) ->
            sum[0] = sum(t5.training().crossEntropy(tape, hidden, labels, smoothing, scale)));
    return sum[0];
  }

  /** Returns the sum of a vector, element by element in their order. */
  static double sum(Tensor vector) {
    double sum = 0;
    MemorySegment values = vector.toHost();
    for (long i = 0; i < vector.dim(0); i++) {
      sum += values.getAtIndex(ValueLayout.JAVA_FLOAT, i);
    }
    return sum;
  }

  private void compute(
      List<Example> examples, int[] numbers, boolean recording, long seed, Loss loss) {
    workspace.reset();
    tape.begin(recording, seed, numbers);
    T5Training model = t5.training();
    int vocab = t5.config().vocabSize();
    for (Example example : examples) {
      // The other tokens are read by the decoder, and checked there.
      int last = example.target()[example.target().length - 1];
      if (last < 0 || last >= vocab) {
        throw new InvalidInputException(
            ("A target ends with the label %d, but the model's vocabulary has %d: the tokenizer"
                    + " belongs to another model.")
                .formatted(last, vocab));
      }
    }
    List<int[]> targets = examples.stream().map(Example::target).toList();
    Tensor labels = TeacherForcing.labels(targets, workspace);
    List<int[]> sources = examples.stream().map(Example::source).toList();
    Ragged source = model.weights().sources(sources, workspace);
    Ragged target = TeacherForcing.inputs(targets, t5.config(), workspace);
    Variable encoded = model.encode(tape, source);
    Variable hidden = model.decode(tape, encoded, source, target);
    loss.compute(tape, hidden, labels);
  }

  /**
   * Returns the bytes that a step of so many tokens takes for activations, see {@link StepMemory}.
   * Gradients of the parameters are zero afterwards.
   */
  public long plan(long sourceTokens, long targetTokens) {
    return StepMemory.plan(t5.ops(), workspace, sourceTokens, targetTokens, this::measure);
  }

  private void measure(int sourceTokens, int targetTokens, int examples) {
    int[] source = new int[sourceTokens];
    int[] target = new int[targetTokens];
    Arrays.fill(source, t5.config().eosTokenId());
    Arrays.fill(target, t5.config().eosTokenId());
    accumulate(Collections.nCopies(examples, new Example(source, target)), 1, 0);
    t5.parameters().clearGradients();
  }

  /** Allocates the memory of a plan at once. */
  public void reserve(long bytes) {
    workspace.reserve(bytes);
  }

  /** Returns the bytes that the workspace holds. */
  public long workspaceBytes() {
    return workspace.bytes();
  }

  @Override
  public void close() {
    workspace.close();
  }
}
