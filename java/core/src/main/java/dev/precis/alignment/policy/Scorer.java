package dev.precis.alignment.policy;

import dev.precis.alignment.Reference;
import dev.precis.heads.ValueHead;
import dev.precis.t5.T5Model;
import dev.precis.t5.T5Model.Encoded;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import dev.precis.training.TrainableT5;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;

/**
 * Computes the log-probabilities of responses under policy and reference, and the critic's values.
 * The encoder runs once per prompt wherever its weights do not differ between them.
 */
final class Scorer implements AutoCloseable {
  private final TrainableT5 t5;
  private final Reference reference;
  private final ValueHead head;
  private final PpoOptions options;
  private final PolicyRandom random;
  private final SequenceBatches sequences;
  private final UpdateForward forward;
  private final Workspace encoding;
  private final Workspace decoding;

  /**
   * Allocates the workspaces.
   *
   * @param head the critic; null for GRPO and RLOO
   * @param forward computes the first mini-batch's share, for the update
   */
  Scorer(
      TrainableT5 t5,
      Reference reference,
      ValueHead head,
      PpoOptions options,
      PolicyRandom random,
      SequenceBatches sequences,
      UpdateForward forward) {
    this.t5 = t5;
    this.reference = reference;
    this.head = head;
    this.options = options;
    this.random = random;
    this.sequences = sequences;
    this.forward = forward;
    encoding = t5.ops().newWorkspace();
    decoding = t5.ops().newWorkspace();
  }

  /** Returns the workspaces: of the encoder's states, and of everything else. */
  List<Workspace> workspaces() {
    return List.of(encoding, decoding);
  }

  /**
   * Encodes the prompts of a step with the policy.
   *
   * @param startsUpdate whether the first mini-batch's pass is kept for the update, where it can be
   * @return valid until the next call
   */
  Encoded encode(List<Prompt> batch, long step, boolean startsUpdate) {
    forward.discard();
    encoding.reset();
    decoding.reset();
    T5Model policy = t5.model();
    Ragged source = sequences.sources(batch, encoding);
    if (!startsUpdate || t5.dropsOut()) {
      return policy.encode(source, encoding);
    }
    int[] order = random.order(batch.size(), step, 0);
    int[] part = Arrays.copyOf(order, Math.min(order.length, options.batch().miniBatchPrompts()));
    if (!t5.trainsEncoder()) {
      Encoded encoded = policy.encode(source, encoding);
      forward.start(batch, part, encoded);
      return encoded;
    }
    Tensor first = forward.start(batch, part);
    Tensor hidden = encoding.tensor(first.dtype(), source.tokens(), first.columns());
    sequences.scatter(first, forward.source(), part, 1, hidden, source);
    int[] rest = Arrays.copyOfRange(order, part.length, order.length);
    if (rest.length > 0) {
      Workspace.Mark mark = encoding.mark();
      Encoded others = policy.encode(sequences.sources(batch, rest, encoding), encoding);
      sequences.scatter(others.hidden(), others.source(), rest, 1, hidden, source);
      encoding.release(mark);
    }
    return new Encoded(source, hidden);
  }

  /** Returns the policy's decoder states of all responses, shape (tokens of target, d_model). */
  private Tensor decode(Rollout rollout, Ragged target) {
    T5Model policy = t5.model();
    if (!forward.started()) {
      return policy.decode(rollout.encoded, target, decoding);
    }
    int each = rollout.perPrompt();
    int[] part = forward.part();
    Tensor first = forward.decode(rollout.samples(), each);
    Tensor hidden = decoding.tensor(first.dtype(), target.tokens(), first.columns());
    sequences.scatter(first, forward.target(), part, each, hidden, target);
    int[] order = random.order(rollout.prompts().size(), rollout.step(), 0);
    int[] rest = Arrays.copyOfRange(order, part.length, order.length);
    if (rest.length > 0) {
      Workspace.Mark mark = decoding.mark();
      Ragged source = sequences.sources(rollout.prompts(), rest, decoding);
      Encoded others =
          new Encoded(source, sequences.gather(rollout.encoded, rest, source, decoding));
      Ragged its =
          sequences.decoderInputs(
              SequenceBatches.responses(rollout.samples(), rest, each), decoding);
      sequences.scatter(policy.decode(others, its, decoding), its, rest, each, hidden, target);
      decoding.release(mark);
    }
    return hidden;
  }

  /** Fills in a rollout's log-probabilities, entropies, KL penalties and values. */
  void score(Rollout rollout) {
    decoding.reset();
    Ragged target = sequences.decoderInputs(rollout.samples(), decoding);
    Tensor labels = SequenceBatches.labels(rollout.samples(), decoding);
    T5Model policy = t5.model();
    Tensor hidden = decode(rollout, target);
    forward.keepFor(rollout);
    Tensor logProbabilities = decoding.tensor(DType.FLOAT32, target.tokens());
    Tensor extra = decoding.tensor(DType.FLOAT32, target.tokens());
    policy.logProbabilities(hidden, labels, logProbabilities, extra);
    copy(logProbabilities, rollout.logProbabilities);
    copy(extra, rollout.entropies);
    if (head != null) {
      copy(head.values(hidden, decoding), rollout.values);
    }
    boolean full = options.kl().penalty() == KlPenalty.FULL;
    reference.with(
        () -> {
          T5Model model = reference.model();
          Encoded encoded =
              reference.sharesEncoder()
                  ? rollout.encoded
                  : model.encode(rollout.encoded.source(), decoding);
          Tensor states = model.decode(encoded, target, decoding);
          model.logProbabilities(states, labels, logProbabilities, null);
          copy(logProbabilities, rollout.referenceLogProbabilities);
          if (full) {
            policy.divergences(hidden, model, states, labels, logProbabilities, extra);
            copy(extra, rollout.penalties);
          }
          return null;
        });
    if (!full) {
      for (int t = 0; t < rollout.tokens(); t++) {
        rollout.penalties[t] =
            options
                .kl()
                .penalty()
                .of(rollout.logProbabilities[t] - rollout.referenceLogProbabilities[t]);
      }
    }
  }

  private static void copy(Tensor from, double[] to) {
    MemorySegment values = from.toHost();
    for (int i = 0; i < to.length; i++) {
      to[i] = values.getAtIndex(ValueLayout.JAVA_FLOAT, i);
    }
  }

  @Override
  public void close() {
    encoding.close();
    decoding.close();
  }
}
