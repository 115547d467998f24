package dev.precis.t5;

import dev.precis.ops.Ops;
import dev.precis.ops.Tape;
import dev.precis.ops.Weight;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.lang.foreign.ValueLayout;
import java.util.List;

/**
 * A soft prompt (Lester et al. 2021): virtual tokens before each source, whose embeddings are
 * trained while the model is frozen. Their embeddings are rows of the embedding's table behind
 * those of the vocabulary, so that their ids are the ones after its last.
 */
public final class SoftPrompt {
  private final Weight values;
  private final Tensor rows;
  private final int firstId;

  /**
   * Makes a prompt, and fills its rows of the table.
   *
   * @param values (virtual tokens, dModel) float32, with a gradient if they are trained
   * @param table (vocabulary and virtual tokens, dModel), float32 or bfloat16
   */
  SoftPrompt(Weight values, Tensor table, Ops ops) {
    this.values = values;
    long count = values.value().rows();
    firstId = Math.toIntExact(table.rows() - count);
    rows = table.rows(firstId, count);
    update(ops);
  }

  /** Returns the number of virtual tokens. */
  public int tokens() {
    return Math.toIntExact(values.value().rows());
  }

  /** Brings the table up to date with the values. */
  void update(Ops ops) {
    ops.convert(values.value(), rows);
  }

  /** Puts the virtual tokens before each source. */
  List<int[]> before(List<int[]> sources) {
    return sources.stream().map(this::before).toList();
  }

  private int[] before(int[] source) {
    int[] all = new int[tokens() + source.length];
    for (int i = 0; i < tokens(); i++) {
      all[i] = firstId + i;
    }
    System.arraycopy(source, 0, all, tokens(), source.length);
    return all;
  }

  /**
   * Returns the trained rows of a batch of sources that begin with the virtual tokens.
   *
   * @return null where the values are not trained
   */
  Tape.TrainedRows trained(Ragged sources, Workspace workspace) {
    if (!values.trained()) {
      return null;
    }
    int all = Math.multiplyExact(sources.sequences(), tokens());
    Tensor places = workspace.tensor(DType.INT32, all);
    Tensor of = workspace.tensor(DType.INT32, all);
    for (int i = 0; i < all; i++) {
      int place = sources.begin(i / tokens()) + i % tokens();
      places.memory().setAtIndex(ValueLayout.JAVA_INT, i, place);
      of.memory().setAtIndex(ValueLayout.JAVA_INT, i, i % tokens());
    }
    return new Tape.TrainedRows(places, of, values.gradient());
  }
}
