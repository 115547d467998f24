package dev.precis.encoder;

import dev.precis.checkpoint.Checkpoint;
import dev.precis.layers.Linear;
import dev.precis.layers.WeightLoader;
import dev.precis.ops.Attention;
import dev.precis.ops.Ops;
import dev.precis.ops.Tape;
import dev.precis.ops.Variable;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/**
 * Projects a DeBERTa's relative positions for each layer as it is loaded: they do not depend on the
 * text. Row {@code reach + d} is for the distance d of a query from a key.
 */
final class PositionTables {
  private final Checkpoint checkpoint;
  private final EncoderConfig config;
  private final Ops ops;
  private final Arena owner;
  private final DType dtype;

  private PositionTables(
      Checkpoint checkpoint, EncoderConfig config, Ops ops, Arena owner, DType dtype) {
    this.checkpoint = checkpoint;
    this.config = config;
    this.ops = ops;
    this.owner = owner;
    this.dtype = dtype;
  }

  /**
   * Returns the relative positions that each layer attends by.
   *
   * @param qkv each layer's product of queries, keys and values
   */
  static List<Attention.Disentangled> project(
      List<Linear> qkv,
      Checkpoint checkpoint,
      EncoderConfig config,
      Ops ops,
      Arena owner,
      DType dtype) {
    return new PositionTables(checkpoint, config, ops, owner, dtype).project(qkv);
  }

  private List<Attention.Disentangled> project(List<Linear> qkv) {
    try (Arena call = Arena.ofConfined();
        Workspace workspace = ops.newWorkspace()) {
      WeightLoader source =
          WeightLoader.frozen(checkpoint, ops, call, dtype, WeightLoader.memory(ops, call));
      Tape tape = Tape.inference(ops, workspace);
      Variable positions = tape.constant(positions(source, workspace));
      List<Attention.Disentangled> projected = new ArrayList<>();
      for (int i = 0; i < qkv.size(); i++) {
        Workspace.Mark mark = workspace.mark();
        projected.add(project(qkv.get(i), i, source, tape, positions));
        workspace.release(mark);
      }
      ops.synchronize();
      return projected;
    }
  }

  /** Returns the vector of each distance, (2 reach + 1, hidden) float32. */
  private Tensor positions(WeightLoader source, Workspace workspace) {
    RelativePositions relative = config.relative();
    int width = config.hiddenSize();
    int reach = config.reach();
    Tensor table = source.weight(config.relativeTable(), 2L * relative.span(), width).value();
    Tensor rows = workspace.tensor(DType.INT32, 2L * reach + 1);
    for (int i = 0; i <= 2 * reach; i++) {
      rows.memory().setAtIndex(ValueLayout.JAVA_INT, i, relative.row(i - reach));
    }
    Tensor positions = workspace.tensor(DType.FLOAT32, 2L * reach + 1, width);
    ops.embedding(table, rows, positions);
    if (!relative.normalized()) {
      return positions;
    }
    Tensor normalized = workspace.tensor(DType.FLOAT32, 2L * reach + 1, width);
    ops.layerNorm(
        positions,
        source.weight(config.relativeNorm() + ".weight", width).value(),
        source.weight(config.relativeNorm() + ".bias", width).value(),
        config.layerNormEpsilon(),
        normalized);
    return normalized;
  }

  private Attention.Disentangled project(
      Linear qkvOfLayer, int index, WeightLoader source, Tape tape, Variable positions) {
    RelativePositions relative = config.relative();
    int width = config.hiddenSize();
    Tensor keys = null;
    Tensor queries = null;
    if (relative.shared()) {
      Tensor qkv = qkvOfLayer.apply(tape, positions, dtype.activations()).value();
      queries = relative.byKey() ? kept(qkv.columns(0, width)) : null;
      keys = relative.byQuery() ? kept(qkv.columns(width, width)) : null;
    } else {
      if (relative.byQuery()) {
        keys = kept(product(source, config.positionKeys(index), tape, positions));
      }
      if (relative.byKey()) {
        queries = kept(product(source, config.positionQueries(index), tape, positions));
      }
    }
    return new Attention.Disentangled(
        config.numHeads(), relative.scale(width / config.numHeads()), keys, queries);
  }

  private Tensor product(WeightLoader source, String name, Tape tape, Variable positions) {
    int width = config.hiddenSize();
    return source
        .biased(List.of(name), width, width, dtype)
        .apply(tape, positions, dtype.activations())
        .value();
  }

  /** Copies what lies in the workspace to memory that lives as long as the weights. */
  private Tensor kept(Tensor from) {
    DType type = from.dtype();
    long bytes = from.rows() * from.columns() * type.bytes();
    Tensor copy =
        Tensor.of(ops.allocate(owner, bytes), type, from.rows(), from.columns()).on(ops.device());
    ops.convert(from, copy);
    return copy;
  }
}
