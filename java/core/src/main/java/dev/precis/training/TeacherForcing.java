package dev.precis.training;

import dev.precis.t5.T5Config;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/** Inputs and labels of a decoder that reads the target itself (Williams and Zipser 1989). */
public final class TeacherForcing {
  private TeacherForcing() {}

  /** Returns the decoder's input for targets: the start token, then each token but the last. */
  public static Ragged inputs(List<int[]> targets, T5Config config, Workspace workspace) {
    List<int[]> inputs =
        targets.stream().map(target -> shiftedRight(target, config.decoderStartTokenId())).toList();
    return Ragged.of(inputs, config.vocabSize(), workspace);
  }

  private static int[] shiftedRight(int[] target, int start) {
    int[] input = new int[target.length];
    if (target.length > 0) {
      input[0] = start;
      System.arraycopy(target, 0, input, 1, target.length - 1);
    }
    return input;
  }

  /** Returns the tokens of targets, int32 of shape (tokens), which the decoder should predict. */
  public static Tensor labels(List<int[]> targets, Workspace workspace) {
    Tensor labels =
        workspace.tensor(DType.INT32, targets.stream().mapToLong(each -> each.length).sum());
    long at = 0;
    for (int[] target : targets) {
      MemorySegment.copy(target, 0, labels.memory(), ValueLayout.JAVA_INT, at * 4, target.length);
      at += target.length;
    }
    return labels;
  }
}
