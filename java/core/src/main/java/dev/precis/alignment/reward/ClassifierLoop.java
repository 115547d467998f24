package dev.precis.alignment.reward;

import dev.precis.io.InvalidInputException;
import dev.precis.ops.Tape;
import dev.precis.ops.Variable;
import dev.precis.tensor.DType;
import dev.precis.tensor.MemoryPlan;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import dev.precis.training.Batches;
import dev.precis.training.GradientExchange;
import dev.precis.training.RunFolder;
import dev.precis.training.TrainableEncoder;
import dev.precis.training.TrainingLoop;
import dev.precis.training.TrainingOptions;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToIntFunction;

/**
 * Trains a RoBERTa on examples of one or more sequences each; subclasses define the loss of their
 * logits.
 *
 * @param <E> an example
 */
abstract class ClassifierLoop<E> extends TrainingLoop {
  private static final String LOSS = "loss";

  private final TrainableEncoder roberta;
  private final List<E> evaluation;
  private final ToIntFunction<E> tokens;
  private final Batches<E> batches;
  private final Workspace workspace;
  private final Tape tape;
  private final MemoryPlan plan;

  /**
   * Prepares a run, which starts from the beginning unless it is resumed.
   *
   * @param tokens number of tokens of all sequences number of sequences of an example
   * @param sequences number of sequences of an example
   */
  ClassifierLoop(
      TrainableEncoder roberta,
      TrainingOptions options,
      List<E> training,
      List<E> evaluation,
      ToIntFunction<E> tokens,
      int sequences,
      RunFolder run) {
    if (training.isEmpty()) {
      throw new InvalidInputException("There is no example to train on.");
    }
    options.requireBatchesOfExamples();
    Batches<E> batches =
        new Batches<>(
            training, tokens, Batches.Size.of(options), options.shuffle(), options.seed());
    super(roberta, options, batches, !evaluation.isEmpty(), run);
    this.roberta = roberta;
    this.evaluation = List.copyOf(evaluation);
    this.tokens = tokens;
    this.batches = batches;
    workspace = roberta.ops().newWorkspace();
    tape = new Tape(roberta.ops(), workspace, options.recompute());
    try {
      long longest = Batches.longest(training, tokens, options.batchSize());
      long bytes = bytes(longest, (long) sequences * options.batchSize());
      plan = plan(bytes);
      workspace.reserve(bytes);
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  /** Returns the sequences of examples, in the order that {@link #loss} expects. */
  abstract List<int[]> sequences(List<E> examples);

  /**
   * Computes the sum of the examples' losses.
   *
   * @param logits of shape (sequences, labels)
   * @param scale factor of the gradient
   * @param gradient receives the gradient of scale times the sum, of the shape of logits; null:
   *     skipped
   * @param metrics sums that further measures are added to
   */
  abstract double loss(
      List<E> examples, Tensor logits, double scale, Tensor gradient, Map<String, Double> metrics);

  private static Map<String, Double> means(Map<String, Double> sums, int examples) {
    Map<String, Double> means = new LinkedHashMap<>();
    sums.forEach((name, sum) -> means.put(name, sum / examples));
    return means;
  }

  @Override
  protected final BatchLoss accumulateGradients(long step) {
    List<List<E>> parts = batches.batches(step);
    List<E> batch = Batches.join(parts);
    Map<String, Double> sums =
        accumulate(
            step,
            parts,
            (micro, first, seed, into) -> {
              Variable logits = forward(micro, first, true, seed);
              Tensor gradient = tape.gradientFor(logits, DType.FLOAT32);
              double loss = loss(micro, logits.value(), 1.0 / batch.size(), gradient, into);
              into.merge(LOSS, loss, Double::sum);
              tape.collected(logits);
              tape.backward();
            });
    double loss = sums.remove(LOSS);
    long read = 0;
    for (E example : batch) {
      read += tokens.applyAsInt(example);
    }
    return new BatchLoss(loss / batch.size(), read, means(sums, batch.size()));
  }

  @Override
  public final void share(GradientExchange exchange) {
    super.share(exchange);
  }

  private Variable forward(List<E> examples, int first, boolean recording, long seed) {
    List<int[]> sequences = sequences(examples);
    // All first sequences come first, then all second ones.
    int each = sequences.size() / examples.size();
    int[] numbers = new int[sequences.size()];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = (first + i % examples.size()) * each + i / examples.size();
    }
    return forward(sequences, numbers, recording, seed);
  }

  private Variable forward(List<int[]> sequences, int[] numbers, boolean recording, long seed) {
    workspace.reset();
    tape.begin(recording, seed, numbers);
    return roberta
        .classifier()
        .logits(tape, Ragged.of(sequences, roberta.config().vocabSize(), workspace));
  }

  /**
   * Returns the logits of the sequences of one batch, shape (sequences, labels), without dropout.
   * Evaluations call it for each batch: between two of them the run may stop.
   */
  final Tensor logits(List<E> examples) {
    checkStopped();
    return forward(examples, 0, false, 0).value();
  }

  /** Returns the held-out examples. */
  final List<E> heldOut() {
    return evaluation;
  }

  /** Returns the memory that the run needs, whatever lengths come. */
  @Override
  public final MemoryPlan plan() {
    return plan;
  }

  /** Returns the most memory that activations took in a step, in bytes. */
  final long peak() {
    return workspace.peak();
  }

  /**
   * Returns the bytes that a step of so many tokens in so many sequences takes for activations.
   * They grow linearly with both, so that tiny steps measure them. Gradients of the parameters are
   * zero afterwards.
   */
  private long bytes(long tokens, long sequences) {
    int some = Math.min(8, roberta.config().maxTokens());
    int more = Math.min(24, roberta.config().maxTokens());
    // Once to size the workspace: memory is given back on the way only if it is one block.
    measure(8, more);
    long base = measure(4, some);
    double perToken = more == some ? 0 : (measure(4, more) - base) / (4.0 * (more - some));
    double perSequence = (measure(8, some) - base) / 4.0 - some * perToken;
    workspace.resetPeak();
    double all = base + perToken * (tokens - 4.0 * some) + perSequence * (sequences - 4);
    // Room for rounding up to whole cache lines.
    return (long) (all * 1.01) + (1 << 16);
  }

  private long measure(int count, int length) {
    List<int[]> sequences = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int[] sequence = new int[length];
      Arrays.fill(sequence, roberta.config().padTokenId() == 0 ? 1 : 0);
      sequences.add(sequence);
    }
    workspace.resetPeak();
    Variable logits = forward(sequences, numbers(0, count), true, 0);
    Tensor gradient = tape.gradientFor(logits, DType.FLOAT32);
    float[] ones = new float[Math.toIntExact(gradient.rows() * gradient.columns())];
    Arrays.fill(ones, 1);
    gradient.write(to -> to.copyFrom(MemorySegment.ofArray(ones)));
    tape.collected(logits);
    tape.backward();
    roberta.parameters().clearGradients();
    return workspace.peak();
  }

  @Override
  public void close() {
    workspace.close();
    super.close();
  }
}
