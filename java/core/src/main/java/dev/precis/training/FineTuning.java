package dev.precis.training;

import dev.precis.io.InvalidInputException;
import dev.precis.ops.Tape;
import dev.precis.ops.Variable;
import dev.precis.t5.T5Training;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/**
 * The supervised loss of a T5: the cross-entropy of each target token, given the source and the
 * target tokens before it; and its gradients.
 *
 * <p>Not for several threads.
 */
public final class FineTuning implements AutoCloseable {
  /** Tokens of a sequence of the step that takes a GPU's memory: attention is quadratic in them. */
  private static final int PIECE = 512;

  private final TrainableT5 t5;
  private final float labelSmoothing;
  private final Workspace workspace;
  private final Tape tape;

  /**
   * The loss of a model.
   *
   * @param labelSmoothing share of each target's weight that all tokens get alike (Szegedy et al.
   *     2016)
   * @param recompute see {@link Tape}
   */
  public FineTuning(TrainableT5 t5, float labelSmoothing, boolean recompute) {
    this.t5 = t5;
    this.labelSmoothing = labelSmoothing;
    workspace = new Workspace(t5.context());
    tape = new Tape(t5.ops(), workspace, recompute);
  }

  /**
   * Adds the gradients of {@code scale x sum of the losses} to those of the parameters.
   *
   * @param scale one over the tokens of the whole step, so that parts of a step add up to it
   * @param seed of the dropout masks
   * @return the sum of the losses, one for each target token
   */
  public double accumulate(List<Example> examples, float scale, long seed) {
    double sum = loss(examples, true, scale, labelSmoothing, seed);
    tape.backward();
    return sum;
  }

  /** The sum of the losses, without smoothing and without dropout. */
  public double evaluate(List<Example> examples) {
    return loss(examples, false, 1, 0, 0);
  }

  /** The most memory that values and gradients took in one step so far, in bytes. */
  long peak() {
    return workspace.peak();
  }

  /** Target tokens of examples. */
  public static long targetTokens(List<Example> examples) {
    long n = 0;
    for (Example example : examples) {
      n += example.target().length;
    }
    return n;
  }

  private double loss(
      List<Example> examples, boolean recording, float scale, float smoothing, long seed) {
    workspace.reset();
    tape.begin(recording, seed);
    T5Training model = t5.training();
    int vocab = t5.config().vocabSize();
    List<int[]> sources = new ArrayList<>();
    List<int[]> inputs = new ArrayList<>();
    Tensor labels = workspace.tensor(DType.INT32, targetTokens(examples));
    int at = 0;
    for (Example example : examples) {
      int[] target = example.target();
      // The others are read by the decoder, and checked there.
      int last = target[target.length - 1];
      if (last < 0 || last >= vocab) {
        throw new InvalidInputException(
            ("A target ends with the label %d, but the model's vocabulary has %d: the tokenizer"
                    + " belongs to another model.")
                .formatted(last, vocab));
      }
      int[] input = new int[target.length];
      input[0] = t5.config().decoderStartTokenId();
      System.arraycopy(target, 0, input, 1, target.length - 1);
      sources.add(example.source());
      inputs.add(input);
      MemorySegment.copy(target, 0, labels.memory(), ValueLayout.JAVA_INT, at * 4L, target.length);
      at += target.length;
    }
    Ragged source = Ragged.of(sources, vocab, workspace);
    Ragged target = Ragged.of(inputs, vocab, workspace);
    Variable encoded = model.encode(tape, source);
    Variable hidden = model.decode(tape, encoded, source, target);
    Tensor losses = model.crossEntropy(tape, hidden, labels, smoothing, scale);
    double sum = 0;
    for (long i = 0; i < labels.dim(0); i++) {
      sum += losses.memory().getAtIndex(ValueLayout.JAVA_FLOAT, i);
    }
    return sum;
  }

  /**
   * The memory that a step of so many tokens takes for values and gradients between operations,
   * which grows with the tokens alone: measured on three tiny steps. On a GPU one of the full size
   * follows, so that what kernels work in is there as well. Gradients of the parameters are zero
   * afterwards.
   *
   * @return bytes
   */
  public long plan(long sourceTokens, long targetTokens) {
    // Once to size the workspace: only in one piece is memory given back on the way.
    measure(96, 96);
    long base = measure(32, 32);
    long source = measure(96, 32) - base;
    long target = measure(32, 96) - base;
    double bytes = base + source / 64.0 * (sourceTokens - 32) + target / 64.0 * (targetTokens - 32);
    // What is rounded up to whole cache lines, and the offsets of the sequences.
    long planned = (long) (bytes * 1.01) + (1 << 16);
    if (t5.context().onGpu()) {
      workspace.reserve(planned);
      int pieces = (int) Math.ceilDiv(Math.max(sourceTokens, targetTokens), PIECE);
      measure(
          (int) Math.ceilDiv(sourceTokens, pieces),
          (int) Math.ceilDiv(targetTokens, pieces),
          pieces);
    }
    workspace.resetPeak();
    return planned;
  }

  private long measure(int sourceTokens, int targetTokens) {
    return measure(sourceTokens, targetTokens, 1);
  }

  private long measure(int sourceTokens, int targetTokens, int examples) {
    int[] source = new int[sourceTokens];
    int[] target = new int[targetTokens];
    Arrays.fill(source, t5.config().eosTokenId());
    Arrays.fill(target, t5.config().eosTokenId());
    workspace.resetPeak();
    accumulate(Collections.nCopies(examples, new Example(source, target)), 1, 0);
    t5.parameters().clearGradients();
    return workspace.peak();
  }

  /** Takes the memory of a plan at once. */
  public void reserve(long bytes) {
    workspace.reserve(bytes);
  }

  /** Bytes that the workspace holds. */
  public long workspaceBytes() {
    return workspace.bytes();
  }

  @Override
  public void close() {
    workspace.close();
  }
}
