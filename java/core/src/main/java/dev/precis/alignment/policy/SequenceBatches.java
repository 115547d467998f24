package dev.precis.alignment.policy;

import dev.precis.generation.SampledTokens;
import dev.precis.ops.Ops;
import dev.precis.t5.T5Config;
import dev.precis.t5.T5Model.Encoded;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.lang.foreign.ValueLayout;
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

  /** Returns the decoder's input for responses: the start token, then each token but the last. */
  Ragged decoderInputs(List<SampledTokens> responses, Workspace workspace) {
    List<int[]> inputs = new ArrayList<>();
    for (SampledTokens response : responses) {
      int[] tokens = response.tokens();
      int[] input = new int[tokens.length];
      if (tokens.length > 0) {
        input[0] = config.decoderStartTokenId();
        System.arraycopy(tokens, 0, input, 1, tokens.length - 1);
      }
      inputs.add(input);
    }
    return Ragged.of(inputs, config.vocabSize(), workspace);
  }

  /** Returns the tokens of responses, shape (tokens), which the decoder should predict. */
  static Tensor labels(List<SampledTokens> responses, Workspace workspace) {
    int count = responses.stream().mapToInt(response -> response.tokens().length).sum();
    Tensor labels = workspace.tensor(DType.INT32, count);
    int at = 0;
    for (SampledTokens response : responses) {
      for (int token : response.tokens()) {
        labels.memory().setAtIndex(ValueLayout.JAVA_INT, at++, token);
      }
    }
    return labels;
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
