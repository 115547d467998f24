package dev.precis.alignment.policy;

import dev.precis.generation.SampledTokens;
import dev.precis.ops.Tape;
import dev.precis.ops.Variable;
import dev.precis.t5.T5Model.Encoded;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import dev.precis.training.TrainableT5;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Forward passes of the policy that an update differentiates. The rollout computes that of the
 * first mini-batch while it scores: no weight changes in between, and recorded and unrecorded
 * passes are bitwise identical. With dropout they are not, and each mini-batch computes its own.
 */
final class UpdateForward implements AutoCloseable {
  private final TrainableT5 t5;
  private final SequenceBatches sequences;
  private final boolean trainsEncoder;
  private final Workspace workspace;
  private final Tape tape;
  private First first;

  /** Forward pass of the first mini-batch, which the rollout fills in. */
  private static final class First {
    final int[] part;
    final Ragged source;
    final Variable encoded;
    Ragged target;
    Variable hidden;
    Rollout rollout;

    First(int[] part, Ragged source, Variable encoded) {
      this.part = part;
      this.source = source;
      this.encoded = encoded;
    }
  }

  UpdateForward(TrainableT5 t5, SequenceBatches sequences) {
    this.t5 = t5;
    this.sequences = sequences;
    trainsEncoder = t5.trainsEncoder();
    workspace = t5.ops().newWorkspace();
    tape = new Tape(t5.ops(), workspace, false);
  }

  Tape tape() {
    return tape;
  }

  Workspace workspace() {
    return workspace;
  }

  /** Discards the first mini-batch's pass. */
  void discard() {
    first = null;
  }

  /** Returns true if a rollout has started the first mini-batch's pass. */
  boolean started() {
    return first != null;
  }

  /** Returns the indices of the first mini-batch's prompts. */
  int[] part() {
    return first.part;
  }

  /** Returns the layout of the first mini-batch's encoder states. */
  Ragged source() {
    return first.source;
  }

  /** Returns the layout of the first mini-batch's decoder states. */
  Ragged target() {
    return first.target;
  }

  private Ragged begin(List<Prompt> prompts, int[] part) {
    workspace.reset();
    tape.begin(true, 0);
    return sequences.sources(prompts, part, workspace);
  }

  /** Starts the first mini-batch's pass on the states of a frozen encoder. */
  void start(List<Prompt> prompts, int[] part, Encoded all) {
    Ragged source = begin(prompts, part);
    Tensor states = sequences.gather(all, part, source, workspace);
    first = new First(part, source, tape.constant(states));
  }

  /**
   * Starts the first mini-batch's pass with the encoder, which is trained.
   *
   * @return its states, shape (tokens of {@link #source}, d_model)
   */
  Tensor start(List<Prompt> prompts, int[] part) {
    Ragged source = begin(prompts, part);
    first = new First(part, source, t5.training().encode(tape, source));
    return first.encoded.value();
  }

  /**
   * Continues the first mini-batch's pass with the decoder.
   *
   * @param samples all responses of the step
   * @param each responses to each prompt
   * @return its states, shape (tokens of {@link #target}, d_model)
   */
  Tensor decode(List<SampledTokens> samples, int each) {
    List<SampledTokens> its = SequenceBatches.responses(samples, first.part, each);
    first.target = sequences.decoderInputs(its, workspace);
    first.hidden = t5.training().decode(tape, first.encoded, first.source, first.target);
    return first.hidden.value();
  }

  /** Keeps the first mini-batch's pass for the update on this rollout alone. */
  void keepFor(Rollout rollout) {
    if (first != null) {
      first.rollout = rollout;
    }
  }

  /**
   * Returns the decoder's states of a mini-batch, shape (tokens, d_model), recorded on the tape.
   *
   * @param part indices of its prompts
   * @param isFirst whether it is the first of the update
   * @param number of its first prompt in the epoch; dropout masks depend on a prompt's number
   * @param dropoutSeed of the dropout masks of the optimizer step
   */
  Variable hidden(Rollout rollout, int[] part, boolean isFirst, int number, long dropoutSeed) {
    First kept = first;
    first = null;
    if (kept != null && kept.rollout == rollout && isFirst) {
      return kept.hidden;
    }
    workspace.reset();
    tape.begin(true, dropoutSeed, IntStream.range(number, number + part.length).toArray());
    Ragged source = sequences.sources(rollout.prompts(), part, workspace);
    Ragged target =
        sequences.decoderInputs(
            SequenceBatches.responses(rollout.samples(), part, rollout.perPrompt()), workspace);
    Variable encoded =
        trainsEncoder
            ? t5.training().encode(tape, source)
            : tape.constant(sequences.gather(rollout.encoded, part, source, workspace));
    return t5.training().decode(tape, encoded, source, target);
  }

  @Override
  public void close() {
    workspace.close();
  }
}
