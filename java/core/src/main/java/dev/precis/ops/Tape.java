package dev.precis.ops;

import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;

/**
 * Records operations and plays their backward steps in reverse. An operation without anything
 * trained upstream records nothing.
 *
 * <p>Values and gradients live in a {@link Workspace}, which its owner resets between steps. What a
 * {@link #block} takes for gradients is given back as soon as the block has been played.
 *
 * <p>Not for several threads.
 */
public final class Tape {
  private final Ops ops;
  private final Workspace workspace;
  private final boolean recompute;
  private List<Runnable> steps = new ArrayList<>();
  private boolean recording;
  private long seed;
  private long dropoutOffset;

  /**
   * A tape over a workspace.
   *
   * @param recompute whether blocks forget what is inside them and compute it again for the
   *     backward (Chen et al. 2016): less memory, one more forward
   */
  public Tape(Ops ops, Workspace workspace, boolean recompute) {
    this.ops = ops;
    this.workspace = workspace;
    this.recompute = recompute;
  }

  public Ops ops() {
    return ops;
  }

  public Workspace workspace() {
    return workspace;
  }

  /**
   * Begins a step: forgets what was recorded.
   *
   * @param recording false: forward only
   * @param seed of every dropout mask of the step
   */
  public void begin(boolean recording, long seed) {
    steps.clear();
    this.recording = recording;
    this.seed = seed;
    dropoutOffset = 0;
  }

  /** Whether backward steps are recorded. */
  public boolean recording() {
    return recording;
  }

  /** The seed of the step's dropout masks. */
  public long seed() {
    return seed;
  }

  /** A number that no other dropout of the step has: forward and backward use the same. */
  public long nextDropout() {
    return dropoutOffset++;
  }

  /** A value that nothing is trained upstream of. */
  public Variable constant(Tensor value) {
    return new Variable(value, false, new Variable.Gradient());
  }

  /** A value whose gradient is collected when something trained is upstream. */
  public Variable variable(Tensor value, boolean needsGradient) {
    return new Variable(value, needsGradient && recording, new Variable.Gradient());
  }

  /**
   * As {@link #variable}, with memory for the gradient at once, in float32: for what lives longer
   * than the block in which its gradient begins.
   */
  public Variable lasting(Tensor value, boolean needsGradient) {
    Variable.Gradient gradient = new Variable.Gradient();
    if (recording) {
      gradient.tensor = workspace.tensor(DType.FLOAT32, value.rows(), value.columns());
    }
    return new Variable(value, needsGradient && recording, gradient);
  }

  /** The next value of a residual stream: its gradient is collected where the stream's is. */
  public Variable next(Variable stream, Tensor value, boolean needsGradient) {
    return new Variable(
        value, (stream.needsGradient() || needsGradient) && recording, stream.gradient);
  }

  /** Adds a backward step. */
  public void record(Runnable backward) {
    if (recording) {
      steps.add(backward);
    }
  }

  /**
   * Where a backward step puts the gradient of what it read.
   *
   * @return the tensor to write, or to add to when {@link #collected} says that something is there
   */
  public Tensor gradientFor(Variable variable, DType dtype) {
    Variable.Gradient gradient = variable.gradient;
    if (gradient.tensor == null) {
      gradient.tensor =
          workspace.tensor(dtype, variable.value().rows(), variable.value().columns());
    }
    return gradient.tensor;
  }

  /** Whether a gradient already has a share, to which the next is added; marks it as having one. */
  public boolean collected(Variable variable) {
    boolean before = variable.gradient.written;
    variable.gradient.written = true;
    return before;
  }

  /** Plays the recorded steps from the last to the first. */
  public void backward() {
    for (int i = steps.size() - 1; i >= 0; i--) {
      steps.get(i).run();
    }
    steps.clear();
  }

  /**
   * A part of the model between two values of a residual stream.
   *
   * @param body what it computes, from the stream's value before it to that after it; nothing else
   *     that it makes may be used outside
   */
  public Variable block(Variable stream, UnaryOperator<Variable> body) {
    if (!recording) {
      Tensor out = like(stream.value());
      Workspace.Mark mark = workspace.mark();
      ops.convert(body.apply(stream).value(), out);
      workspace.release(mark);
      return next(stream, out, false);
    }
    return recompute ? recomputed(stream, body) : recorded(stream, body);
  }

  private Variable recorded(Variable stream, UnaryOperator<Variable> body) {
    Tensor copy = stream.needsGradient() ? null : like(stream.value());
    Workspace.Mark forward = workspace.mark();
    Workspace.Mark[] mark = new Workspace.Mark[1];
    int before = steps.size();
    steps.add(() -> workspace.release(mark[0]));
    Variable out = body.apply(stream);
    if (steps.size() > before + 1) {
      steps.add(() -> mark[0] = workspace.mark());
      return out;
    }
    // Nothing in it is trained: nothing in it need be kept.
    steps.removeLast();
    if (copy == null) {
      return out;
    }
    ops.convert(out.value(), copy);
    workspace.release(forward);
    return next(stream, copy, false);
  }

  private Variable recomputed(Variable stream, UnaryOperator<Variable> body) {
    long firstDropout = dropoutOffset;
    List<Runnable> outer = steps;
    Tensor out = like(stream.value());
    Workspace.Mark forward = workspace.mark();
    steps = new ArrayList<>();
    Variable inside = body.apply(stream);
    boolean records = !steps.isEmpty();
    steps = outer;
    ops.convert(inside.value(), out);
    workspace.release(forward);
    if (records) {
      steps.add(
          () -> {
            Workspace.Mark mark = workspace.mark();
            List<Runnable> rest = steps;
            long lastDropout = dropoutOffset;
            steps = new ArrayList<>();
            dropoutOffset = firstDropout;
            body.apply(stream);
            backward();
            steps = rest;
            dropoutOffset = lastDropout;
            workspace.release(mark);
          });
    }
    return next(stream, out, inside.needsGradient());
  }

  private Tensor like(Tensor tensor) {
    return workspace.tensor(tensor.dtype(), tensor.rows(), tensor.columns());
  }

  /**
   * Rows of a table as the beginning of a residual stream.
   *
   * @param dtable the table's gradient, or null where it is not trained
   * @param dropout probability with which an element is dropped
   */
  public Variable embedding(Tensor table, Tensor dtable, Tensor ids, float dropout) {
    Tensor x = workspace.tensor(DType.FLOAT32, ids.dim(0), table.columns());
    ops.embedding(table, ids, x);
    long offset = drop(x, dropout);
    Variable out = lasting(x, dtable != null);
    if (out.needsGradient()) {
      record(
          () -> {
            Tensor dx = out.gradient();
            dropAgain(dx, dropout, offset);
            ops.embeddingBackward(ids, dx, dtable);
          });
    }
    return out;
  }

  /** Dropout in place; returns what {@link #dropAgain} needs. */
  private long drop(Tensor x, float probability) {
    if (probability == 0 || !recording) {
      return -1;
    }
    long offset = nextDropout();
    ops.dropout(x, x, new DropoutMask(probability, seed, offset), false);
    return offset;
  }

  private void dropAgain(Tensor x, float probability, long offset) {
    if (offset >= 0) {
      ops.dropout(x, x, new DropoutMask(probability, seed, offset), false);
    }
  }

  /**
   * {@link Ops#rmsNorm}.
   *
   * @param dweight the weight's gradient, or null where it is not trained
   * @param y where the result goes
   */
  public Variable rmsNorm(Variable x, Tensor weight, Tensor dweight, float epsilon, Tensor y) {
    ops.rmsNorm(x.value(), weight, epsilon, y);
    Variable out = variable(y, x.needsGradient() || dweight != null);
    if (out.needsGradient()) {
      record(() -> rmsNormBackward(x, weight, dweight, epsilon, out.gradient()));
    }
    return out;
  }

  /** The norm at the end of a stack, with dropout; its gradient may come from many places. */
  public Variable finalNorm(
      Variable x, Tensor weight, Tensor dweight, float epsilon, float dropout, Tensor y) {
    ops.rmsNorm(x.value(), weight, epsilon, y);
    long offset = drop(y, dropout);
    Variable out = lasting(y, x.needsGradient() || dweight != null);
    if (out.needsGradient()) {
      record(
          () -> {
            Tensor dy = out.gradient();
            dropAgain(dy, dropout, offset);
            rmsNormBackward(x, weight, dweight, epsilon, dy);
          });
    }
    return out;
  }

  private void rmsNormBackward(
      Variable x, Tensor weight, Tensor dweight, float epsilon, Tensor dy) {
    if (x.needsGradient()) {
      Tensor dx = gradientFor(x, DType.FLOAT32);
      ops.rmsNormBackward(x.value(), weight, epsilon, dy, dx, collected(x), dweight);
      return;
    }
    Workspace.Mark mark = workspace.mark();
    ops.rmsNormBackward(x.value(), weight, epsilon, dy, like(x.value()), false, dweight);
    workspace.release(mark);
  }

  /** {@link Ops#activation}; y is where the result goes. */
  public Variable activation(Variable x, Activation kind, boolean gated, Tensor y) {
    ops.activation(x.value(), kind, gated, y);
    Variable out = variable(y, x.needsGradient());
    if (out.needsGradient()) {
      record(
          () -> {
            Tensor dx = gradientFor(x, x.value().dtype());
            ops.activationBackward(x.value(), kind, gated, out.gradient(), dx);
            collected(x);
          });
    }
    return out;
  }

  /** Dropout in place: x is not to be used any more. */
  public Variable dropout(Variable x, float probability) {
    if (probability == 0 || !recording) {
      return x;
    }
    long offset = nextDropout();
    DropoutMask mask = new DropoutMask(probability, seed, offset);
    ops.dropout(x.value(), x.value(), mask, false);
    Variable out = variable(x.value(), x.needsGradient());
    if (out.needsGradient()) {
      record(
          () -> {
            Tensor dy = out.gradient();
            if (x.gradient.tensor == null) {
              // The gradient becomes that of x in place, as the value did.
              x.gradient.tensor = dy;
            }
            ops.dropout(dy, x.gradient.tensor, mask, collected(x));
          });
    }
    return out;
  }

  /**
   * The self-attention of queries, keys and values that lie side by side.
   *
   * @param qkv (tokens, 3 inner)
   * @param dbias the bias' gradient, or null where it is not trained
   */
  public Variable selfAttention(Variable qkv, Attention.Shape shape, Tensor dbias) {
    long inner = qkv.value().columns() / 3;
    Tensor out = workspace.tensor(qkv.value().dtype(), qkv.value().rows(), inner);
    boolean needs = qkv.needsGradient() || (dbias != null && recording);
    Tensor logSumExp =
        needs ? workspace.tensor(DType.FLOAT32, out.rows(), shape.kind().heads()) : null;
    Tensor q = qkv.value().columns(0, inner);
    Tensor k = qkv.value().columns(inner, inner);
    Tensor v = qkv.value().columns(2 * inner, inner);
    Attention.Operands operands = new Attention.Operands(q, k, v, out, logSumExp);
    ops.attention(operands, shape);
    Variable result = variable(out, needs);
    if (needs) {
      record(
          () -> {
            Tensor d = gradientFor(qkv, qkv.value().dtype());
            ops.attentionBackward(
                operands,
                shape,
                result.gradient(),
                new Attention.Gradients(
                    d.columns(0, inner),
                    d.columns(inner, inner),
                    d.columns(2 * inner, inner),
                    dbias));
            collected(qkv);
          });
    }
    return result;
  }

  /**
   * The attention of queries over keys and values from elsewhere.
   *
   * @param query (queries, inner)
   * @param keyValue (keys, 2 inner)
   */
  public Variable crossAttention(Variable query, Variable keyValue, Attention.Shape shape) {
    long inner = query.value().columns();
    Tensor out = workspace.tensor(query.value().dtype(), query.value().rows(), inner);
    boolean needs = query.needsGradient() || keyValue.needsGradient();
    Tensor logSumExp =
        needs ? workspace.tensor(DType.FLOAT32, out.rows(), shape.kind().heads()) : null;
    Tensor k = keyValue.value().columns(0, inner);
    Tensor v = keyValue.value().columns(inner, inner);
    Attention.Operands operands = new Attention.Operands(query.value(), k, v, out, logSumExp);
    ops.attention(operands, shape);
    Variable result = variable(out, needs);
    if (needs) {
      record(
          () -> {
            Tensor dq = gradientFor(query, query.value().dtype());
            Tensor d = gradientFor(keyValue, keyValue.value().dtype());
            ops.attentionBackward(
                operands,
                shape,
                result.gradient(),
                new Attention.Gradients(dq, d.columns(0, inner), d.columns(inner, inner), null));
            collected(query);
            collected(keyValue);
          });
    }
    return result;
  }

  /**
   * {@code x += table[ids]}, in place, at the beginning of a residual stream.
   *
   * @param dtable the table's gradient, or null where it is not trained
   */
  public Variable addEmbedding(Variable x, Tensor table, Tensor dtable, Tensor ids) {
    Workspace.Mark mark = workspace.mark();
    Tensor rows = like(x.value());
    ops.embedding(table, ids, rows);
    ops.add(rows, 1, x.value());
    workspace.release(mark);
    Variable out = next(x, x.value(), dtable != null);
    if (recording && dtable != null) {
      record(() -> ops.embeddingBackward(ids, out.gradient(), dtable));
    }
    return out;
  }

  /**
   * {@code x += bias} for every row, in place, of a residual stream.
   *
   * @param dbias the bias' gradient, or null where it is not trained
   */
  public Variable addBias(Variable x, Tensor bias, Tensor dbias) {
    ops.addBias(x.value(), bias);
    Variable out = next(x, x.value(), dbias != null);
    if (recording && dbias != null) {
      record(() -> ops.biasGradient(out.gradient(), dbias));
    }
    return out;
  }

  /**
   * {@link Ops#layerNorm} on a residual stream, as of a transformer that norms after each part: the
   * stream goes on from its result, and the gradient of what came before takes the place of that of
   * the result.
   *
   * @param dweight the weight's gradient, or null where it is not trained; likewise dbias
   * @param dropout probability with which an element of the result is dropped
   */
  public Variable layerNorm(
      Variable x,
      Tensor weight,
      Tensor dweight,
      Tensor bias,
      Tensor dbias,
      float epsilon,
      float dropout) {
    Tensor y = workspace.tensor(DType.FLOAT32, x.value().rows(), x.value().columns());
    ops.layerNorm(x.value(), weight, bias, epsilon, y);
    long offset = drop(y, dropout);
    Variable out = next(x, y, dweight != null || dbias != null);
    if (out.needsGradient()) {
      record(
          () -> {
            Tensor gradient = out.gradient();
            dropAgain(gradient, dropout, offset);
            Workspace.Mark mark = workspace.mark();
            Tensor dy = like(gradient);
            ops.convert(gradient, dy);
            ops.layerNormBackward(
                x.value(),
                weight,
                epsilon,
                dy,
                new LayerNormGradients(gradient, false, dweight, dbias));
            workspace.release(mark);
          });
    }
    return out;
  }

  /**
   * Some rows of a residual stream, each at most once, whose other rows nothing else reads.
   *
   * @param rows (N) int32
   * @return (N, columns) float32
   */
  public Variable rows(Variable x, Tensor rows) {
    Tensor y = workspace.tensor(DType.FLOAT32, rows.dim(0), x.value().columns());
    ops.embedding(x.value(), rows, y);
    Variable out = variable(y, x.needsGradient());
    if (out.needsGradient()) {
      record(
          () -> {
            Tensor dx = gradientFor(x, DType.FLOAT32);
            if (!collected(x)) {
              ops.context().zero(dx.address().asSlice(0, dx.rows() * dx.columns() * 4));
            }
            ops.embeddingBackward(rows, out.gradient(), dx);
          });
    }
    return out;
  }
}
