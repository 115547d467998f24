package dev.precis.alignment.preference;

import dev.precis.alignment.Reference;
import dev.precis.ops.Tape;
import dev.precis.ops.Variable;
import dev.precis.t5.T5Model;
import dev.precis.t5.T5Model.Encoded;
import dev.precis.t5.T5Training;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import dev.precis.training.StepMemory;
import dev.precis.training.TeacherForcing;
import dev.precis.training.TrainableT5;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/**
 * Computes the log-probabilities of whole completions under the policy and its reference, each the
 * sum over its tokens, and the policy's gradients. A prompt is encoded once for all of its
 * completions.
 *
 * <p>Not thread-safe.
 */
final class CompletionScorer implements AutoCloseable {
  /** Computes the loss's gradient with respect to each completion's log-probability. */
  interface Gradients {
    /**
     * Returns the gradient of each completion.
     *
     * @param sums for each item, the log-probabilities of its completions
     * @return of the same shape; null: skip the backward pass
     */
    double[][] of(double[][] sums);
  }

  private final TrainableT5 t5;
  private final Workspace workspace;
  private final Tape tape;

  /**
   * Prepares the tape.
   *
   * @param recompute recompute activations in the backward pass, see {@link Tape}
   */
  CompletionScorer(TrainableT5 t5, boolean recompute) {
    t5.requireNoPrompt();
    this.t5 = t5;
    workspace = t5.ops().newWorkspace();
    tape = new Tape(t5.ops(), workspace, recompute);
  }

  /**
   * Items in native memory: completions first to last (exclusive) of each item, item after item.
   */
  private final class Inputs {
    final int perItem;
    final Ragged source;
    final Ragged target;
    final Tensor labels;

    Inputs(List<TokenizedPair> items, int first, int last) {
      perItem = last - first;
      List<int[]> sources = items.stream().map(TokenizedPair::source).toList();
      List<int[]> answers = new ArrayList<>();
      for (TokenizedPair item : items) {
        answers.addAll(Arrays.asList(item.answers()).subList(first, last));
      }
      source = Ragged.of(sources, t5.config().vocabSize(), workspace);
      target = TeacherForcing.inputs(answers, t5.config(), workspace);
      labels = TeacherForcing.labels(answers, workspace);
    }

    /** Returns the sum of each completion's token log-probabilities. */
    double[][] sums(Tensor scores) {
      double[][] sums = new double[target.sequences() / perItem][perItem];
      for (int i = 0; i < target.sequences(); i++) {
        double sum = 0;
        for (int t = target.begin(i); t < target.begin(i + 1); t++) {
          sum += scores.memory().getAtIndex(ValueLayout.JAVA_FLOAT, t);
        }
        sums[i / perItem][i % perItem] = sum;
      }
      return sums;
    }
  }

  /**
   * Returns the policy's log-probabilities of completions first to last (exclusive) of each item,
   * without dropout.
   */
  double[][] policy(List<TokenizedPair> items, int first, int last) {
    workspace.reset();
    tape.begin(false, 0);
    Inputs inputs = new Inputs(items, first, last);
    Variable hidden = hidden(inputs);
    return inputs.sums(scores(hidden.value(), inputs, t5.model()));
  }

  /** Returns the reference's log-probabilities of the same completions. */
  double[][] reference(Reference reference, List<TokenizedPair> items, int first, int last) {
    return reference.with(
        () -> {
          workspace.reset();
          Inputs inputs = new Inputs(items, first, last);
          T5Model model = reference.model();
          Encoded encoded = model.encode(inputs.source, workspace);
          return inputs.sums(
              scores(model.decode(encoded, inputs.target, workspace), inputs, model));
        });
  }

  /**
   * Adds the policy's gradients to those of the parameters.
   *
   * @param numbers of the items in the step's whole batch, which their dropout masks depend on
   * @param seed of the dropout masks of the whole step
   * @return the policy's log-probabilities of the completions
   */
  double[][] accumulate(
      List<TokenizedPair> items,
      int first,
      int last,
      int[] numbers,
      long seed,
      Gradients gradients) {
    workspace.reset();
    tape.begin(true, seed, numbers);
    Inputs inputs = new Inputs(items, first, last);
    Variable hidden = hidden(inputs);
    Tensor scores = scores(hidden.value(), inputs, t5.model());
    double[][] sums = inputs.sums(scores);
    double[][] found = gradients.of(sums);
    if (found != null) {
      backward(hidden, inputs, scores, found);
      tape.backward();
    }
    return sums;
  }

  private Variable hidden(Inputs inputs) {
    T5Training model = t5.training();
    Variable encoded = model.encode(tape, inputs.source);
    return model.decode(tape, encoded, inputs.source, inputs.target);
  }

  private Tensor scores(Tensor hidden, Inputs inputs, T5Model model) {
    Tensor scores = workspace.shared(DType.FLOAT32, inputs.target.tokens());
    model.logProbabilities(hidden, inputs.labels, scores, null);
    return scores;
  }

  /** Backpropagates: each token has its completion's gradient. */
  private void backward(Variable hidden, Inputs inputs, Tensor scores, double[][] gradients) {
    Tensor dscores = workspace.shared(DType.FLOAT32, inputs.target.tokens());
    for (int i = 0; i < inputs.target.sequences(); i++) {
      float gradient = (float) gradients[i / inputs.perItem][i % inputs.perItem];
      for (int t = inputs.target.begin(i); t < inputs.target.begin(i + 1); t++) {
        dscores.memory().setAtIndex(ValueLayout.JAVA_FLOAT, t, gradient);
      }
    }
    t5.training().logProbabilities(tape, hidden, inputs.labels, dscores, scores);
  }

  /**
   * Returns the bytes that a step of so many tokens takes for activations, see {@link StepMemory}.
   * Gradients of the parameters are zero afterwards.
   *
   * @param reference scored in the same workspace; or null
   */
  long plan(Reference reference, long sourceTokens, long answerTokens) {
    return StepMemory.plan(
        t5.ops(),
        workspace,
        sourceTokens,
        answerTokens,
        (source, answers, examples) -> measure(reference, source, answers, examples));
  }

  private void measure(Reference reference, int sourceTokens, int answerTokens, int count) {
    int[] source = new int[sourceTokens];
    int[] half = new int[Math.max(1, answerTokens / 2)];
    Arrays.fill(source, t5.config().eosTokenId());
    Arrays.fill(half, t5.config().eosTokenId());
    TokenizedPair item = new TokenizedPair(0, source, new int[][] {half, half}, true);
    List<TokenizedPair> items = Collections.nCopies(count, item);
    double[][] gradients = new double[count][];
    Arrays.fill(gradients, new double[] {1, -1});
    accumulate(items, 0, 2, new int[count], 0, sums -> gradients);
    t5.parameters().clearGradients();
    if (reference != null) {
      reference(reference, items, 0, 2);
    }
  }

  /** Allocates the memory of a plan at once. */
  void reserve(long bytes) {
    workspace.reserve(bytes);
  }

  /** Returns the most memory that activations took since the plan, in bytes. */
  long peak() {
    return workspace.peak();
  }

  @Override
  public void close() {
    workspace.close();
  }
}
