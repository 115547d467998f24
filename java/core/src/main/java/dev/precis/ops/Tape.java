package dev.precis.ops;

import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;

/**
 * Records operations and plays their backward steps in reverse: reverse-mode automatic
 * differentiation. An operation without anything trained upstream records nothing.
 *
 * <p>Values and gradients live in a {@link Workspace}, which its owner resets between steps. The
 * memory that a {@link #block} takes for gradients is released as soon as the block has been
 * played.
 *
 * <p>A tape that does not record is for inference: a residual stream is updated in place, and the
 * memory of each sublayer is released at its end.
 *
 * <p>Not thread-safe.
 */
public final class Tape {
  private final Ops ops;
  private final Workspace workspace;
  private final boolean recompute;
  private List<Runnable> steps = new ArrayList<>();
  private boolean recording;
  private long seed;
  private long dropoutOffset;
  private int[] examples; // null: dropout goes by the rows' place in the batch
  private Tensor dropoutRows; // of what is computed now; null: not named

  /**
   * Makes a tape over a workspace, which does not record before {@link #begin}.
   *
   * @param recompute whether blocks forget their activations and compute them again for the
   *     backward (Chen et al. 2016): less memory, one more forward
   */
  public Tape(Ops ops, Workspace workspace, boolean recompute) {
    this.ops = ops;
    this.workspace = workspace;
    this.recompute = recompute;
  }

  /** Returns a tape that never records. */
  public static Tape inference(Ops ops, Workspace workspace) {
    return new Tape(ops, workspace, false);
  }

  /** Returns the operations that the tape runs. */
  public Ops ops() {
    return ops;
  }

  /** Returns the memory of values and gradients. */
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
    begin(recording, seed, null);
  }

  /**
   * Begins a step on examples of a larger batch: forgets what was recorded. A dropout mask depends
   * on the examples and the positions in them, and not on which of them are in one batch.
   *
   * @param recording false: forward only
   * @param seed of every dropout mask of the step
   * @param examples for each sequence that is encoded, the number of its example in the whole
   *     batch; null: masks depend on the rows' place
   */
  public void begin(boolean recording, long seed, int[] examples) {
    steps.clear();
    this.recording = recording;
    this.seed = seed;
    this.examples = examples;
    dropoutRows = null;
    dropoutOffset = 0;
  }

  /**
   * Names the rows of sequences by example and position, for {@link #withDropoutRows}.
   *
   * @param tokens as many sequences as examples or a multiple: those of an example follow one
   *     another
   * @return (tokens) int64, which lives as long as the step; null where masks do not depend on
   *     examples
   */
  public Tensor dropoutRows(Ragged tokens) {
    return dropoutRows(tokens, tokens.tokens(), 0);
  }

  /** Names the sequences as a whole, by their first positions: (sequences) int64, or null. */
  public Tensor dropoutSequences(Ragged tokens) {
    return dropoutRows(tokens, tokens.sequences(), 1);
  }

  private Tensor dropoutRows(Ragged tokens, int rows, int most) {
    if (!recording || examples == null) {
      return null;
    }
    int sequences = tokens.sequences();
    if (sequences % examples.length != 0) {
      throw new IllegalArgumentException(
          sequences + " sequences are not a multiple of " + examples.length + " examples");
    }
    int each = sequences / examples.length;
    long[] names = new long[rows];
    int at = 0;
    for (int s = 0; s < sequences; s++) {
      long sequence = (long) examples[s / each] * each + s % each;
      int length = most > 0 ? most : tokens.length(s);
      for (int i = 0; i < length; i++) {
        names[at++] = sequence << 32 | i;
      }
    }
    Tensor tensor = workspace.device(DType.INT64, rows);
    tensor.write(to -> MemorySegment.copy(names, 0, to, ValueLayout.JAVA_LONG, 0, rows));
    return tensor;
  }

  /**
   * Computes with rows that {@link #dropoutRows} has named.
   *
   * @param rows null: not named
   */
  public <R> R withDropoutRows(Tensor rows, Supplier<R> work) {
    Tensor before = dropoutRows;
    dropoutRows = rows;
    try {
      return work.get();
    } finally {
      dropoutRows = before;
    }
  }

  /** Returns whether backward steps are recorded. */
  public boolean recording() {
    return recording;
  }

  /** Returns a mask that no other dropout of the step has. */
  public DropoutMask nextMask(float probability) {
    return new DropoutMask(probability, seed, dropoutOffset++, dropoutRows);
  }

  /** Returns a value that nothing is trained upstream of. */
  public Variable constant(Tensor value) {
    return new Variable(value, false, recording ? new Variable.Gradient() : null);
  }

  /** Returns a value whose gradient is collected when something trained is upstream. */
  public Variable variable(Tensor value, boolean needsGradient) {
    return recording
        ? new Variable(value, needsGradient, new Variable.Gradient())
        : constant(value);
  }

  /**
   * Returns a {@link #variable} with memory for its gradient at once, in float32: for values that
   * live longer than the block in which their gradient begins.
   */
  public Variable lasting(Tensor value, boolean needsGradient) {
    if (!recording) {
      return constant(value);
    }
    Variable.Gradient gradient = new Variable.Gradient();
    gradient.tensor = workspace.tensor(DType.FLOAT32, value.rows(), value.columns());
    return new Variable(value, needsGradient, gradient);
  }

  /** Returns the next value of a residual stream, which shares the stream's gradient. */
  public Variable next(Variable stream, Tensor value, boolean needsGradient) {
    return new Variable(
        value, (stream.needsGradient() || needsGradient) && recording, stream.gradient);
  }

  /** Adds a backward step. */
  public void record(Runnable backward) {
    if (!recording) {
      return;
    }
    OpTimer timer = ops.timer();
    if (!timer.isOn()) {
      steps.add(backward);
      return;
    }
    OpTimer.Section section = timer.section();
    steps.add(() -> timer.in(section, backward));
  }

  /**
   * Returns the tensor that a backward step writes the gradient of its input to, or adds it to when
   * {@link #collected} says that something is there.
   */
  public Tensor gradientFor(Variable variable, DType dtype) {
    Variable.Gradient gradient = variable.gradient;
    if (gradient.tensor == null) {
      gradient.tensor =
          workspace.tensor(dtype, variable.value().rows(), variable.value().columns());
    }
    return gradient.tensor;
  }

  /** Returns whether a gradient has a summand already, and notes that it has one from now on. */
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
   * Runs a block of the model: sublayers one after another on a residual stream. With {@code
   * recompute} it is the unit that is computed again.
   *
   * @param sublayers each computes the stream's value after it from that before it; nothing else
   *     that it makes may be used outside of the block
   */
  public Variable block(Variable stream, List<UnaryOperator<Variable>> sublayers) {
    if (!recording) {
      for (int i = 0; i < sublayers.size(); i++) {
        inPlace(stream, sublayers.get(i));
      }
      return stream;
    }
    UnaryOperator<Variable> body =
        x -> {
          for (UnaryOperator<Variable> sublayer : sublayers) {
            x = sublayer.apply(x);
          }
          return x;
        };
    return recompute ? recomputed(stream, body) : recorded(stream, body);
  }

  /**
   * Runs a sublayer whose rows do not depend on each other; a few rows at a time where nothing is
   * recorded, which bounds its memory and does not change its result.
   *
   * @param rows at a time
   */
  public Variable rowwise(Variable stream, long rows, UnaryOperator<Variable> sublayer) {
    long all = stream.value().rows();
    if (recording || all <= rows) {
      return sublayer.apply(stream);
    }
    for (long at = 0; at < all; at += rows) {
      inPlace(constant(stream.value().rows(at, Math.min(rows, all - at))), sublayer);
    }
    return stream;
  }

  /** Leaves a sublayer's result in the stream's memory, and releases what it took. */
  private void inPlace(Variable stream, UnaryOperator<Variable> sublayer) {
    Workspace.Mark mark = workspace.mark();
    Tensor out = sublayer.apply(stream).value();
    if (out != stream.value()) {
      ops.convert(out, stream.value());
    }
    workspace.release(mark);
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
    Tensor rows = dropoutRows;
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
            withDropoutRows(rows, () -> body.apply(stream));
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
   * Looks up rows of a table as the beginning of a residual stream.
   *
   * @param ids (N) int32
   * @param dropout probability with which an element is dropped
   * @return (N, columns) float32
   */
  public Variable embedding(Weight table, Tensor ids, float dropout) {
    return embedding(table, ids, dropout, null);
  }

  /**
   * Rows of a table that are trained, while the table is not.
   *
   * @param places (n) int32: where the ids of a batch name one of them
   * @param rows (n) int32: which of them is named there, from 0
   * @param gradient (trained rows, columns) float32
   */
  public record TrainedRows(Tensor places, Tensor rows, Tensor gradient) {}

  /**
   * Looks up rows of a table, some of which are trained, as the beginning of a residual stream.
   *
   * @param ids (N) int32
   * @param dropout probability with which an element is dropped
   * @param trained null: the table is trained whole, or nothing of it is
   * @return (N, columns) float32
   */
  public Variable embedding(Weight table, Tensor ids, float dropout, TrainedRows trained) {
    Tensor x = workspace.tensor(DType.FLOAT32, ids.dim(0), table.value().columns());
    ops.embedding(table.value(), ids, x);
    DropoutMask mask = drop(x, dropout);
    Variable out = lasting(x, table.trained() || trained != null);
    if (out.needsGradient()) {
      record(
          () -> {
            Tensor dx = out.gradient();
            dropAgain(dx, mask);
            if (trained == null) {
              ops.embeddingBackward(ids, dx, table.gradient());
            } else {
              rowsBackward(trained, dx);
            }
          });
    }
    return out;
  }

  private void rowsBackward(TrainedRows trained, Tensor dx) {
    Workspace.Mark mark = workspace.mark();
    Tensor picked = workspace.tensor(DType.FLOAT32, trained.places.dim(0), dx.columns());
    ops.embedding(dx, trained.places, picked);
    ops.embeddingBackward(trained.rows, picked, trained.gradient);
    workspace.release(mark);
  }

  /** Applies dropout in place and returns its mask; null: nothing is dropped. */
  private DropoutMask drop(Tensor x, float probability) {
    if (probability == 0 || !recording) {
      return null;
    }
    DropoutMask mask = nextMask(probability);
    ops.dropout(x, x, mask, false);
    return mask;
  }

  private void dropAgain(Tensor x, DropoutMask mask) {
    if (mask != null) {
      ops.dropout(x, x, mask, false);
    }
  }

  /**
   * Normalizes by the root mean square, as {@link Ops#rmsNorm}.
   *
   * @param y of x's shape, written: the result
   */
  public Variable rmsNorm(Variable x, Weight weight, float epsilon, Tensor y) {
    ops.rmsNorm(x.value(), weight.value(), epsilon, y);
    Variable out = variable(y, x.needsGradient() || weight.trained());
    if (out.needsGradient()) {
      record(() -> rmsNormBackward(x, weight, epsilon, out.gradient()));
    }
    return out;
  }

  /** Normalizes at the end of a stack, with dropout; the gradient may come from many places. */
  public Variable finalNorm(Variable x, Weight weight, float epsilon, float dropout, Tensor y) {
    ops.rmsNorm(x.value(), weight.value(), epsilon, y);
    DropoutMask mask = drop(y, dropout);
    Variable out = lasting(y, x.needsGradient() || weight.trained());
    if (out.needsGradient()) {
      record(
          () -> {
            Tensor dy = out.gradient();
            dropAgain(dy, mask);
            rmsNormBackward(x, weight, epsilon, dy);
          });
    }
    return out;
  }

  private void rmsNormBackward(Variable x, Weight weight, float epsilon, Tensor dy) {
    Tensor value = weight.value();
    if (x.needsGradient()) {
      Tensor dx = gradientFor(x, DType.FLOAT32);
      ops.rmsNormBackward(x.value(), value, epsilon, dy, dx, collected(x), weight.gradient());
      return;
    }
    Workspace.Mark mark = workspace.mark();
    Tensor dx = like(x.value());
    ops.rmsNormBackward(x.value(), value, epsilon, dy, dx, false, weight.gradient());
    workspace.release(mark);
  }

  /** Applies an activation function, as {@link Ops#activation}, into y. */
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

  /** Applies dropout in place: x must not be used any more. */
  public Variable dropout(Variable x, float probability) {
    DropoutMask mask = drop(x.value(), probability);
    if (mask == null) {
      return x;
    }
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
   * Computes the attention of tokens over themselves.
   *
   * @param qkv (tokens, 3 inner): queries, keys and values
   * @param dbias the bias' gradient, or null where it is not trained
   * @return (tokens, inner), of qkv's type
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
   * Computes {@link Ops#disentangledAttention} within sequences, for inference.
   *
   * @param qkv (tokens, 3 inner): queries, keys and values side by side
   * @param offsets (sequences + 1) int32
   * @return (tokens, inner), of the type of qkv
   * @throws IllegalStateException if a gradient is needed, which there is none of
   */
  public Variable disentangledSelfAttention(
      Variable qkv, Attention.Disentangled kind, Tensor offsets) {
    if (qkv.needsGradient()) {
      throw new IllegalStateException("disentangled attention has no gradient");
    }
    long inner = qkv.value().columns() / 3;
    Tensor out = workspace.tensor(qkv.value().dtype(), qkv.value().rows(), inner);
    Tensor q = qkv.value().columns(0, inner);
    Tensor k = qkv.value().columns(inner, inner);
    Tensor v = qkv.value().columns(2 * inner, inner);
    ops.disentangledAttention(new Attention.Operands(q, k, v, out, null), kind, offsets);
    return variable(out, false);
  }

  /**
   * Computes the attention of queries over keys and values from elsewhere.
   *
   * @param query (queries, inner)
   * @param keyValue (keys, 2 inner)
   * @return (queries, inner), of the query's type
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

  /** Adds {@code x += table[ids]}, in place, at the beginning of a residual stream. */
  public Variable addEmbedding(Variable x, Weight table, Tensor ids) {
    Workspace.Mark mark = workspace.mark();
    Tensor rows = like(x.value());
    ops.embedding(table.value(), ids, rows);
    ops.add(rows, 1, x.value());
    workspace.release(mark);
    Variable out = next(x, x.value(), table.trained());
    if (table.trained()) {
      record(() -> ops.embeddingBackward(ids, out.gradient(), table.gradient()));
    }
    return out;
  }

  /** Adds {@code x += bias} to every row, in place, of a residual stream. */
  public Variable addBias(Variable x, Weight bias) {
    ops.addBias(x.value(), bias.value());
    Variable out = next(x, x.value(), bias.trained());
    if (bias.trained()) {
      record(() -> ops.biasGradient(out.gradient(), bias.gradient()));
    }
    return out;
  }

  /**
   * Normalizes a residual stream, as {@link Ops#layerNorm}, in a transformer that norms after each
   * sublayer: the stream goes on from the result, and the gradient of its value before replaces
   * that of the result.
   *
   * @param dropout probability with which an element of the result is dropped
   */
  public Variable layerNorm(Variable x, Weight weight, Weight bias, float epsilon, float dropout) {
    Tensor y = workspace.tensor(DType.FLOAT32, x.value().rows(), x.value().columns());
    ops.layerNorm(x.value(), weight.value(), bias.value(), epsilon, y);
    DropoutMask dropped = drop(y, dropout);
    Variable out = next(x, y, weight.trained() || bias.trained());
    if (out.needsGradient()) {
      record(
          () -> {
            Tensor gradient = out.gradient();
            dropAgain(gradient, dropped);
            Workspace.Mark mark = workspace.mark();
            Tensor dy = like(gradient);
            ops.convert(gradient, dy);
            ops.layerNormBackward(
                x.value(),
                weight.value(),
                epsilon,
                dy,
                new LayerNormGradients(gradient, false, weight.gradient(), bias.gradient()));
            workspace.release(mark);
          });
    }
    return out;
  }

  /**
   * Selects rows of a residual stream, each at most once, whose other rows nothing else reads.
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
              ops.zero(dx);
            }
            ops.embeddingBackward(rows, out.gradient(), dx);
          });
    }
    return out;
  }
}
