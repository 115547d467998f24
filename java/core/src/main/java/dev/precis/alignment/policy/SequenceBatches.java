package dev.precis.alignment.policy;

import dev.precis.generation.SampledTokens;
import dev.precis.ops.Ops;
import dev.precis.t5.T5Config;
import dev.precis.t5.T5Model.Encoded;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import dev.precis.training.TeacherForcing;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Batches of prompts and responses as the model reads them, and copies between such batches. */
final class SequenceBatches {
  private final T5Config config;
  private final Ops ops;

  SequenceBatches(T5Config config, Ops ops) {
    this.config = config;
    this.ops = ops;
  }

  /** Returns the token ids of all prompts. */
  Ragged sources(List<Prompt> prompts, Workspace workspace) {
    List<int[]> sources = prompts.stream().map(Prompt::source).toList();
    return Ragged.of(sources, config.vocabSize(), workspace);
  }

  /** Returns the token ids of the prompts with these indices. */
  Ragged sources(List<Prompt> prompts, int[] part, Workspace workspace) {
    return sources(Arrays.stream(part).mapToObj(prompts::get).toList(), workspace);
  }

  /** Returns the decoder's input for responses, see {@link TeacherForcing}. */
  Ragged decoderInputs(List<SampledTokens> responses, Workspace workspace) {
    return TeacherForcing.inputs(tokens(responses), config, workspace);
  }

  /** Returns the tokens of responses, shape (tokens), which the decoder should predict. */
  static Tensor labels(List<SampledTokens> responses, Workspace workspace) {
    return TeacherForcing.labels(tokens(responses), workspace);
  }

  private static List<int[]> tokens(List<SampledTokens> responses) {
    return responses.stream().map(SampledTokens::tokens).toList();
  }

  /**
   * Returns the responses to the prompts with these indices.
   *
   * @param each responses to each prompt
   */
  static List<SampledTokens> responses(List<SampledTokens> all, int[] part, int each) {
    List<SampledTokens> some = new ArrayList<>();
    for (int p : part) {
      some.addAll(all.subList(p * each, (p + 1) * each));
    }
    return some;
  }

  /**
   * Returns copies of the encoder's hidden states of the prompts with these indices, shape (tokens
   * of source, d_model).
   */
  Tensor gather(Encoded all, int[] part, Ragged source, Workspace workspace) {
    Tensor rows = workspace.tensor(all.hidden().dtype(), source.tokens(), all.hidden().columns());
    for (int i = 0; i < part.length; i++) {
      int length = source.length(i);
      Tensor from = all.hidden().rows(all.source().begin(part[i]), length);
      ops.convert(from, rows.rows(source.begin(i), length));
    }
    return rows;
  }

  /**
   * Copies the rows of some prompts' sequences to their places among all.
   *
   * @param each sequences of each prompt
   */
  void scatter(Tensor some, Ragged layout, int[] part, int each, Tensor all, Ragged allLayout) {
    for (int i = 0; i < part.length * each; i++) {
      int place = part[i / each] * each + i % each;
      int length = layout.length(i);
      ops.convert(some.rows(layout.begin(i), length), all.rows(allLayout.begin(place), length));
    }
  }
}
