package dev.precis.layers;

import dev.precis.checkpoint.PeftAdapter;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.ops.DropoutMask;
import dev.precis.ops.LoraRows;
import dev.precis.ops.LoraWeights;
import dev.precis.ops.Ops;
import dev.precis.ops.PackedMatrix;
import dev.precis.ops.Tape;
import dev.precis.ops.Variable;
import dev.precis.ops.Weight;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.lang.foreign.Arena;
import java.lang.foreign.SegmentAllocator;
import java.util.List;
import java.util.Map;

/**
 * A weight W (N, K), perhaps with a bias, and the adapters that sit on it (Hu et al. 2021). Several
 * layers that read the same input are one product: their outputs are stacked.
 *
 * <p>W is frozen, or trained ({@link #train(List)}), or frozen under adapters that are trained
 * ({@link #train(LoraTraining)}), or between vectors that are ({@link #train(Ia3Training)}).
 */
public final class Linear {
  private final PackedMatrix w;
  private final TransposedWeights transposed;
  private final List<Part> parts;
  private List<Weight> biases = List.of();
  private LoraWeights lora;
  private final LoraRows rowLora = new LoraRows(); // in use where rows have adapters of their own
  private boolean byRows;
  private List<Parameter> weights;
  private LoraTraining adapters;
  private Ia3Training scales;

  /**
   * Makes a frozen layer without bias or adapters.
   *
   * @param transposed where W is packed transposed when a gradient flows to the input; null where
   *     none does
   * @param parts the layers inside, in the order of their outputs
   */
  public Linear(PackedMatrix w, TransposedWeights transposed, List<Part> parts) {
    this.w = w;
    this.transposed = transposed;
    this.parts = List.copyOf(parts);
  }

  /** Returns W, packed. */
  public PackedMatrix packed() {
    return w;
  }

  /**
   * Packs W transposed.
   *
   * @return valid until another weight of the model is packed so; null where no gradient flows to
   *     the input
   */
  public PackedMatrix packTransposed() {
    return transposed == null ? null : transposed.of(w, weights == null);
  }

  /** Returns the bytes of a model's products, and of what their backward steps need. */
  public static long bytes(List<Linear> linears) {
    long bytes = 0;
    TransposedWeights transposed = null;
    for (Linear linear : linears) {
      bytes += linear.w.memory().byteSize();
      transposed = linear.transposed == null ? transposed : linear.transposed;
    }
    return transposed == null ? bytes : bytes + transposed.bytes();
  }

  /** Gives every layer a bias (outputs) float32: one for each part. */
  public void addBiases(List<Weight> biases) {
    this.biases = List.copyOf(biases);
  }

  /** Has W trained: one parameter for each part. */
  public void train(List<Parameter> weights) {
    this.weights = List.copyOf(weights);
  }

  /** Has adapters on W trained; they are used from now on. */
  public void train(LoraTraining adapters) {
    this.adapters = adapters;
    this.lora = adapters.weights();
  }

  /** Has vectors trained that scale the product's inputs or outputs; they are used from now on. */
  public void train(Ia3Training scales) {
    this.scales = scales;
  }

  /** Returns whether the outputs are scaled, which takes as much memory again. */
  public boolean scalesOutputs() {
    return scales != null && scales.scalesOutputs();
  }

  /** Returns the parameters of W, one for each part; null where W is frozen. */
  public List<Parameter> weights() {
    return weights;
  }

  /** Returns the adapters that are trained, or null. */
  public LoraTraining adapters() {
    return adapters;
  }

  /**
   * Brings what is packed of some products up to date with the parameters, after they changed. All
   * copies come first, then all packing: a GPU computes neighbors of one kind together.
   */
  public static void update(List<Linear> linears, Ops ops) {
    for (Linear linear : linears) {
      if (linear.adapters != null) {
        linear.adapters.gatherUp(ops);
      }
    }
    linears.forEach(linear -> linear.update(ops));
  }

  private void update(Ops ops) {
    if (weights != null) {
      ops.repack(w, weights.stream().map(Parameter::value).toList());
    }
    if (adapters != null) {
      adapters.pack(ops);
    }
    if (scales != null) {
      scales.update(ops);
    }
  }

  /** Returns whether the backward step needs the input's values. */
  public boolean needsInput() {
    return weights != null || adapters != null || scales != null && scales.scalesInput();
  }

  private boolean isTrained() {
    if (weights != null || adapters != null) {
      return true;
    }
    for (int i = 0; i < biases.size(); i++) {
      if (biases.get(i).trained()) {
        return true;
      }
    }
    return false;
  }

  /**
   * Computes {@code y = x W' + adapters + bias}.
   *
   * @param x (M, K)
   * @param dtype of y
   * @return y (M, N), in new memory of the workspace
   */
  public Variable apply(Tape tape, Variable x, DType dtype) {
    return apply(tape, x, tape.workspace().tensor(dtype, x.value().rows(), outputs()));
  }

  /** Computes {@code y = x W' + adapters + bias} into given memory; x (M, K), y (M, N). */
  public Variable apply(Tape tape, Variable x, Tensor y) {
    if (scales == null) {
      return unscaled(tape, x, y);
    }
    Workspace.Mark mark = tape.workspace().mark();
    Variable in = scales.input(tape, x);
    Variable out;
    if (scales.scalesOutputs()) {
      Tensor raw = tape.workspace().tensor(DType.FLOAT32, y.rows(), y.columns());
      out = scales.output(tape, unscaled(tape, in, raw), y);
    } else {
      out = unscaled(tape, in, y);
    }
    if (!tape.recording()) {
      tape.workspace().release(mark);
    }
    return out;
  }

  private Variable unscaled(Tape tape, Variable x, Tensor y) {
    LoraTraining.Kept kept = keep(tape, x);
    product(tape.ops(), x.value(), kept, y, false);
    if (!tape.recording()) {
      return tape.constant(y);
    }
    Variable out = tape.variable(y, x.needsGradient() || isTrained());
    if (out.needsGradient()) {
      tape.record(() -> backward(tape, x, out.gradient(), kept));
    }
    return out;
  }

  /**
   * Computes the next value of a residual stream: {@code stream + dropout(x W' + adapters + bias)};
   * in the stream's memory where the tape does not record.
   *
   * @param x (M, K)
   * @param stream (M, N) float32
   * @param dropout probability with which an element of the product is dropped
   */
  public Variable addTo(Tape tape, Variable x, Variable stream, float dropout) {
    if (scales == null) {
      return addUnscaledTo(tape, x, stream, dropout);
    }
    Workspace.Mark mark = tape.workspace().mark();
    Variable out = addUnscaledTo(tape, scales.input(tape, x), stream, dropout);
    if (!tape.recording()) {
      tape.workspace().release(mark);
    }
    return out;
  }

  private Variable addUnscaledTo(Tape tape, Variable x, Variable stream, float dropout) {
    Ops ops = tape.ops();
    if (!tape.recording()) {
      product(ops, x.value(), null, stream.value(), true);
      return stream;
    }
    Workspace workspace = tape.workspace();
    Tensor value = workspace.tensor(DType.FLOAT32, stream.value().rows(), stream.value().columns());
    // Memory that the backward step reads is allocated before memory that is released at once.
    LoraTraining.Kept kept = keep(tape, x);
    DropoutMask mask = dropout == 0 ? null : tape.nextMask(dropout);
    if (mask == null) {
      ops.convert(stream.value(), value);
      product(ops, x.value(), kept, value, true);
    } else {
      Workspace.Mark mark = workspace.mark();
      Tensor product = workspace.tensor(x.value().dtype(), value.rows(), value.columns());
      product(ops, x.value(), kept, product, false);
      ops.convert(stream.value(), value);
      ops.dropout(product, value, mask, true);
      workspace.release(mark);
    }
    boolean needs = x.needsGradient() || isTrained();
    Variable out = tape.next(stream, value, needs);
    if (needs) {
      tape.record(
          () -> {
            Tensor dy = out.gradient();
            if (mask != null && dy != null) {
              Tensor dropped = workspace.tensor(x.value().dtype(), dy.rows(), dy.columns());
              ops.dropout(dy, dropped, mask, false);
              dy = dropped;
            }
            backward(tape, x, dy, kept);
          });
    }
    return out;
  }

  /** Computes {@code y = alpha (x W' + adapters)}, which is not recorded; x (M, K), y (M, N). */
  public void scaled(Ops ops, Tensor x, Tensor y, float alpha) {
    multiply(ops, x, y, alpha, false);
  }

  /** Computes {@code y (+)= alpha (x W' + adapters)} for inference. */
  private void multiply(Ops ops, Tensor x, Tensor y, float alpha, boolean accumulate) {
    if (byRows && !rowLora.isEmpty()) {
      ops.loraMatmul(x, w, rowLora, y, alpha, accumulate);
    } else if (byRows || lora == null) {
      ops.matmul(x, w, y, alpha, accumulate);
    } else {
      ops.loraMatmul(x, w, lora, y, alpha, accumulate);
    }
  }

  private LoraTraining.Kept keep(Tape tape, Variable x) {
    return adapters == null || !tape.recording() ? null : adapters.keep(tape, x);
  }

  /** Computes {@code y (+)= x W' + adapters + bias}; kept is null where nothing is recorded. */
  private void product(Ops ops, Tensor x, LoraTraining.Kept kept, Tensor y, boolean accumulate) {
    if (kept != null) {
      adapters.forward(ops, x, w, kept, y, accumulate);
    } else {
      multiply(ops, x, y, 1, accumulate);
    }
    for (int i = 0; i < biases.size(); i++) {
      ops.addBias(outputs(y, i), biases.get(i).value());
    }
  }

  private void backward(Tape tape, Variable x, Tensor dy, LoraTraining.Kept kept) {
    if (dy == null) {
      return;
    }
    Ops ops = tape.ops();
    for (int i = 0; i < biases.size(); i++) {
      if (biases.get(i).trained()) {
        ops.biasGradient(outputs(dy, i), biases.get(i).gradient());
      }
    }
    if (weights != null) {
      DType dtype = w.dtype().activations();
      for (int i = 0; i < parts.size(); i++) {
        ops.weightGradient(outputs(dy, i), x.value(), weights.get(i).gradient(), 1, dtype, true);
      }
    }
    if (adapters != null) {
      adapters.backward(tape, x, dy, x.needsGradient() ? packTransposed() : null, kept);
    } else if (x.needsGradient()) {
      Tensor dx = tape.gradientFor(x, x.value().dtype());
      ops.matmul(dy, packTransposed(), dx, 1, tape.collected(x));
    }
  }

  /** Returns the columns of a part. */
  private Tensor outputs(Tensor y, int i) {
    Part part = parts.get(i);
    return y.columns(part.outputBegin(), part.outputs());
  }

  /** Returns the layers inside, in the order of their outputs. */
  public List<Part> parts() {
    return parts;
  }

  /** Returns N. */
  public long outputs() {
    return w.outputs();
  }

  /** Returns K. */
  public long inputs() {
    return w.inputs();
  }

  /** Returns the adapters in use, or null. */
  public LoraWeights used() {
    return lora;
  }

  /** Puts adapters on the weight, or takes them off with null. */
  public void use(LoraWeights adapters) {
    lora = adapters;
    byRows = false;
  }

  /**
   * Takes the adapters off the weight, for {@link #addRows} to put adapters of single rows on it,
   * for inference: products then have as many rows.
   */
  public void useRows() {
    rowLora.clear();
    byRows = true;
  }

  /**
   * Puts adapters on rows [begin, end), which lie behind those that have some already.
   *
   * @param adapters null: none
   */
  public void addRows(int begin, int end, LoraWeights adapters) {
    rowLora.add(begin, end, adapters);
  }

  /**
   * Packs the adapters that belong to this weight.
   *
   * @param owner frees the packed matrices
   * @param adapters each by module name; several on one module add up
   * @return null when none of them belongs here
   */
  public LoraWeights pack(List<Map<String, PeftAdapter.Module>> adapters, Ops ops, Arena owner) {
    long bytes = packedBytes(adapters, ops);
    return bytes == 0
        ? null
        : packInto(SegmentAllocator.slicingAllocator(ops.allocate(owner, bytes)), adapters, ops);
  }

  /** Returns the bytes that {@link #packInto} takes; 0 when none of the adapters belongs here. */
  public long packedBytes(List<Map<String, PeftAdapter.Module>> adapters, Ops ops) {
    return AdapterPacking.bytes(w, parts, adapters, ops);
  }

  /**
   * Packs the adapters that belong to this weight into memory that they share with other weights'.
   *
   * @param memory slices memory of {@link Ops#allocate}
   * @param adapters each by module name; several on one module add up
   * @return null when none of them belongs here
   */
  public LoraWeights packInto(
      SegmentAllocator memory, List<Map<String, PeftAdapter.Module>> adapters, Ops ops) {
    return AdapterPacking.pack(w, parts, adapters, ops, memory);
  }
}
