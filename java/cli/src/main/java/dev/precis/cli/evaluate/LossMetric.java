package dev.precis.cli.evaluate;

import dev.precis.T5;
import dev.precis.cli.common.Prompts;
import dev.precis.data.Dialogue;
import dev.precis.t5.T5Model;
import dev.precis.t5.T5Model.Encoded;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * Scores a model by the cross-entropy of the first reference, teacher-forced: as a mean over
 * dialogues, in which all of them count the same, and as one over tokens, in which long references
 * count more, as in a training loss and in perplexity.
 */
final class LossMetric implements Metric {
  private final Prompts prompts;
  private final String source;
  private final int maxSourceLength;
  private final boolean truncate;
  private final List<String> perplexities = new ArrayList<>();

  LossMetric(Prompts prompts, String source, int maxSourceLength, boolean truncate) {
    this.prompts = prompts;
    this.source = source;
    this.maxSourceLength = maxSourceLength;
    this.truncate = truncate;
  }

  @Override
  public List<String> columns() {
    return List.of("loss", "token_loss");
  }

  @Override
  public String settings() {
    return "loss: cross-entropy per token of the first reference, a mean over dialogues;"
        + " token_loss: the mean over all tokens; lower is better";
  }

  /** Returns the perplexities, exp(token_loss), in the candidates' order. */
  @Override
  public List<String> remarks() {
    return perplexities.isEmpty()
        ? List.of()
        : List.of("perplexity over tokens, in this order: " + String.join(", ", perplexities));
  }

  @Override
  public double[][] score(T5 t5, List<Dialogue> dialogues, List<String> summaries) {
    List<int[]> sources =
        prompts.encode(t5.tokenizer(), dialogues, source, maxSourceLength, truncate);
    T5Model model = t5.model();
    int vocab = t5.config().vocabSize();
    double[] losses = new double[sources.size()];
    double[] ofTokens = new double[losses.length];
    long tokens = 0;
    try (Workspace workspace = model.ops().newWorkspace()) {
      for (int i = 0; i < losses.length; i++) {
        workspace.reset();
        int[] target = t5.tokenizer().encode(dialogues.get(i).summaries().getFirst());
        int[] input = new int[target.length];
        input[0] = t5.config().decoderStartTokenId();
        System.arraycopy(target, 0, input, 1, target.length - 1);
        Encoded encoded =
            model.encode(model.sources(List.of(sources.get(i)), workspace), workspace);
        Tensor hidden =
            model.decode(encoded, Ragged.of(List.of(input), vocab, workspace), workspace);
        Tensor labels = workspace.tensor(DType.INT32, target.length);
        MemorySegment.copy(target, 0, labels.memory(), ValueLayout.JAVA_INT, 0, target.length);
        Tensor each = workspace.shared(DType.FLOAT32, target.length);
        model.crossEntropy(hidden, labels, each, workspace);
        for (int t = 0; t < target.length; t++) {
          float loss = each.memory().getAtIndex(ValueLayout.JAVA_FLOAT, t);
          losses[i] += loss / target.length;
          ofTokens[i] += loss;
        }
        tokens += target.length;
      }
    }
    double sum = Arrays.stream(ofTokens).sum();
    perplexities.add(String.format(Locale.ROOT, "%.3f", Math.exp(sum / tokens)));
    for (int i = 0; i < losses.length; i++) {
      ofTokens[i] *= (double) losses.length / tokens; // so that their mean is that over tokens
    }
    return new double[][] {losses, ofTokens};
  }
}
