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
import java.util.List;

/** Scores a model by the cross-entropy of the first reference, teacher-forced. */
record LossMetric(Prompts prompts, String source, int maxSourceLength, boolean truncate)
    implements Metric {
  @Override
  public List<String> columns() {
    return List.of("loss");
  }

  @Override
  public String settings() {
    return "loss: mean cross-entropy per token of the first reference; lower is better";
  }

  @Override
  public double[][] score(T5 t5, List<Dialogue> dialogues, List<String> summaries) {
    List<int[]> sources =
        prompts.encode(t5.tokenizer(), dialogues, source, maxSourceLength, truncate);
    T5Model model = t5.model();
    int vocab = t5.config().vocabSize();
    double[] losses = new double[sources.size()];
    try (Workspace workspace = model.ops().newWorkspace()) {
      for (int i = 0; i < losses.length; i++) {
        workspace.reset();
        int[] target = t5.tokenizer().encode(dialogues.get(i).summaries().getFirst());
        int[] input = new int[target.length];
        input[0] = t5.config().decoderStartTokenId();
        System.arraycopy(target, 0, input, 1, target.length - 1);
        Encoded encoded =
            model.encode(Ragged.of(List.of(sources.get(i)), vocab, workspace), workspace);
        Tensor hidden =
            model.decode(encoded, Ragged.of(List.of(input), vocab, workspace), workspace);
        Tensor labels = workspace.tensor(DType.INT32, target.length);
        MemorySegment.copy(target, 0, labels.memory(), ValueLayout.JAVA_INT, 0, target.length);
        Tensor each = workspace.tensor(DType.FLOAT32, target.length);
        model.crossEntropy(hidden, labels, each, workspace);
        for (int t = 0; t < target.length; t++) {
          losses[i] += each.memory().getAtIndex(ValueLayout.JAVA_FLOAT, t) / target.length;
        }
      }
    }
    return new double[][] {losses};
  }
}
