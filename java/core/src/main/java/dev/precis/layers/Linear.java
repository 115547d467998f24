package dev.precis.layers;

import dev.precis.checkpoint.PeftAdapter;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.ops.DropoutMask;
import dev.precis.ops.LoraWeights;
import dev.precis.ops.Ops;
import dev.precis.ops.PackedMatrix;
import dev.precis.ops.Tape;
import dev.precis.ops.Variable;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * A weight W (N, K), perhaps with a bias, and the adapters that sit on it (Hu et al. 2021). Several
 * layers that read the same input are one product: their outputs lie side by side.
 *
 * <p>W is frozen, or trained whole ({@link #train(List)}), or frozen under adapters that are
 * trained ({@link #train(LoraTraining)}).
 */
public final class Linear {
  /**
   * One of the layers inside.
   *
   * @param name its module name, such as {@code encoder.block.0.layer.0.SelfAttention.q}
   */
  public record Part(String name, long outputBegin, long outputEnd) {}

  /**
   * A layer's bias.
   *
   * @param value (outputs) float32
   * @param gradient its gradient, or null where it is not trained
   */
  public record Bias(Tensor value, Tensor gradient) {}

  private final PackedMatrix w;
  private final TransposedWeights transposed;
  private final List<Part> parts;
  private List<Bias> biases = List.of();
  private LoraWeights lora;
  private List<Parameter> weights;
  private LoraTraining adapters;

  public Linear(PackedMatrix w, List<Part> parts) {
    this(w, null, parts);
  }

  /**
   * A weight that gradients can flow through.
   *
   * @param transposed where W is packed transposed when that is needed; or null
   */
  public Linear(PackedMatrix w, TransposedWeights transposed, List<Part> parts) {
    this.w = w;
    this.transposed = transposed;
    this.parts = List.copyOf(parts);
  }

  /** W, packed. */
  public PackedMatrix packed() {
    return w;
  }

  /**
   * W packed transposed, until another weight of the model is; null where no gradient flows to the
   * input.
   */
  public PackedMatrix packTransposed() {
    return transposed == null ? null : transposed.of(w);
  }

  /** Bytes that a model's products take, and what their backward steps need. */
  public static long bytes(List<Linear> linears) {
    long bytes = 0;
    TransposedWeights transposed = null;
    for (Linear linear : linears) {
      bytes += linear.w.memory().byteSize();
      transposed = linear.transposed == null ? transposed : linear.transposed;
    }
    return transposed == null ? bytes : bytes + transposed.bytes();
  }

  /** Every layer gets a bias: one for each part. */
  void add(List<Bias> biases) {
    this.biases = List.copyOf(biases);
  }

  /** W is trained: one parameter for each part. */
  public void train(List<Parameter> weights) {
    this.weights = List.copyOf(weights);
  }

  /** Adapters on W are trained; they are used from now on. */
  public void train(LoraTraining adapters) {
    this.adapters = adapters;
    this.lora = adapters.weights();
  }

  /** The parameters of W, one for each part; null where W is frozen. */
  public List<Parameter> weights() {
    return weights;
  }

  /** The adapters that are trained, or null. */
  public LoraTraining adapters() {
    return adapters;
  }

  /** Brings what is packed up to date with the parameters, after they changed. */
  public void update(Ops ops) {
    if (weights != null) {
      List<Tensor> values = weights.stream().map(Parameter::value).toList();
      ops.repack(w, values);
    }
    if (adapters != null) {
      adapters.update(ops);
    }
  }

  /** Whether the backward step needs the input's values. */
  public boolean needsInput() {
    return weights != null || adapters != null;
  }

  private boolean isTrained() {
    return needsInput() || biases.stream().anyMatch(bias -> bias.gradient != null);
  }

  /**
   * {@code y = x W' + adapters + bias}, on a tape.
   *
   * @param y where the result goes
   */
  public Variable apply(Tape tape, Variable x, Tensor y) {
    Forward forward = forward(tape, x, y, false, keptDown(tape, x));
    Variable out = tape.variable(y, x.needsGradient() || isTrained());
    if (out.needsGradient()) {
      tape.record(() -> backward(tape, x, out.gradient(), forward));
    }
    return out;
  }

  /**
   * The next value of a residual stream: {@code stream + dropout(x W' + adapters + bias)}.
   *
   * @param dropout probability with which an element of the product is dropped
   */
  public Variable addTo(Tape tape, Variable x, Variable stream, float dropout) {
    Workspace workspace = tape.workspace();
    Tensor value = workspace.tensor(DType.FLOAT32, stream.value().rows(), stream.value().columns());
    tape.ops().convert(stream.value(), value);
    // What the backward reads is placed before what is given back at once.
    Tensor down = keptDown(tape, x);
    Forward forward;
    long mask = -1;
    if (dropout == 0 || !tape.recording()) {
      forward = forward(tape, x, value, true, down);
    } else {
      Workspace.Mark mark = workspace.mark();
      Tensor product = workspace.tensor(x.value().dtype(), value.rows(), value.columns());
      forward = forward(tape, x, product, false, down);
      mask = tape.nextDropout();
      tape.ops().dropout(product, value, new DropoutMask(dropout, tape.seed(), mask), true);
      workspace.release(mark);
    }
    boolean needs = x.needsGradient() || isTrained();
    Variable out = tape.next(stream, value, needs);
    if (needs && tape.recording()) {
      long offset = mask;
      tape.record(
          () -> {
            Tensor dy = out.gradient();
            if (offset >= 0 && dy != null) {
              Tensor dropped = workspace.tensor(x.value().dtype(), dy.rows(), dy.columns());
              tape.ops().dropout(dy, dropped, new DropoutMask(dropout, tape.seed(), offset), false);
              dy = dropped;
            }
            backward(tape, x, dy, forward);
          });
    }
    return out;
  }

  /**
   * What a product leaves for its backward step.
   *
   * @param down (M, R): {@code x A' . s}, or null
   * @param dropout the number of the dropout of what A read, or -1
   */
  record Forward(Tensor down, long dropout) {}

  private Tensor keptDown(Tape tape, Variable x) {
    return adapters == null || !tape.recording()
        ? null
        : tape.workspace().tensor(DType.FLOAT32, x.value().rows(), adapters.ranks());
  }

  private Forward forward(Tape tape, Variable x, Tensor y, boolean accumulate, Tensor down) {
    if (down == null) {
      apply(tape.ops(), x.value(), y, 1, accumulate);
      return new Forward(null, -1);
    }
    long offset = adapters.dropout() > 0 ? tape.nextDropout() : -1;
    LoraWeights.Dropout dropout =
        offset < 0
            ? null
            : new LoraWeights.Dropout(
                true, new DropoutMask(adapters.dropout(), tape.seed(), offset));
    tape.ops().loraMatmul(x.value(), w, lora, dropout, down, y, accumulate);
    addBiases(tape.ops(), y);
    return new Forward(down, offset);
  }

  private void backward(Tape tape, Variable x, Tensor dy, Forward forward) {
    if (dy == null) {
      return;
    }
    Ops ops = tape.ops();
    DType dtype = w.dtype() == DType.FLOAT32 ? DType.FLOAT32 : DType.BFLOAT16;
    for (int i = 0; i < biases.size(); i++) {
      if (biases.get(i).gradient != null) {
        ops.biasGradient(outputs(dy, i), biases.get(i).gradient);
      }
    }
    if (weights != null) {
      for (int i = 0; i < parts.size(); i++) {
        ops.weightGradient(outputs(dy, i), x.value(), weights.get(i).gradient(), 1, dtype, true);
      }
    }
    if (adapters != null) {
      adapters.backward(tape, this, x, dy, forward, dtype);
    } else if (x.needsGradient()) {
      DType to = x.value().dtype();
      Tensor dx = tape.gradientFor(x, to);
      ops.matmul(dy, packTransposed(), dx, 1, tape.collected(x));
    }
  }

  /** The columns of a part. */
  private Tensor outputs(Tensor y, int i) {
    Part part = parts.get(i);
    return y.columns(part.outputBegin, part.outputEnd - part.outputBegin);
  }

  /** The layers inside, in the order of their outputs. */
  public List<Part> parts() {
    return parts;
  }

  /** N. */
  public long outputs() {
    return w.outputs();
  }

  /** K. */
  public long inputs() {
    return w.inputs();
  }

  /** The adapters in use, or null. */
  public LoraWeights used() {
    return lora;
  }

  /** Puts adapters on the weight, or takes them off with null. */
  public void use(LoraWeights adapters) {
    lora = adapters;
  }

  /** {@code y = alpha (x W' + adapters) + bias}, or {@code y +=} that; x (M, K), y (M, N). */
  public void apply(Ops ops, Tensor x, Tensor y, float alpha, boolean accumulate) {
    if (lora == null) {
      ops.matmul(x, w, y, alpha, accumulate);
    } else {
      ops.loraMatmul(x, w, lora, y, alpha, accumulate);
    }
    addBiases(ops, y);
  }

  private void addBiases(Ops ops, Tensor y) {
    for (int i = 0; i < biases.size(); i++) {
      ops.addBias(outputs(y, i), biases.get(i).value);
    }
  }

  /** {@code y = x W' + adapters}. */
  public void apply(Ops ops, Tensor x, Tensor y) {
    apply(ops, x, y, 1, false);
  }

  /** {@code y += x W' + adapters}. */
  public void addTo(Ops ops, Tensor x, Tensor y) {
    apply(ops, x, y, 1, true);
  }

  /**
   * Packs the modules of adapters that belong to this weight.
   *
   * @param owner frees the packed matrices
   * @param adapters each by module name; several on one module add up
   * @return null when none of them belongs here
   */
  public LoraWeights pack(Ops ops, Arena owner, List<Map<String, PeftAdapter.Module>> adapters) {
    record Placed(Part part, PeftAdapter.Module module) {}
    List<Placed> placed = new ArrayList<>();
    int ranks = 0;
    for (Part part : parts) {
      for (Map<String, PeftAdapter.Module> adapter : adapters) {
        PeftAdapter.Module module = adapter.get(part.name);
        if (module != null) {
          placed.add(new Placed(part, module));
          ranks += module.rank();
        }
      }
    }
    if (placed.isEmpty()) {
      return null;
    }
    if (placed.size() > 4) {
      throw new IllegalArgumentException(
          "At most 4 adapted modules fit one product, not "
              + placed.size()
              + " on "
              + parts.getFirst().name
              + ": merge some of the adapters into the model first.");
    }
    try (Arena call = Arena.ofConfined()) {
      long k = inputs();
      MemorySegment a = call.allocate(ranks * k * 4, 64);
      MemorySegment b = call.allocate(outputs() * ranks * 4, 64);
      List<LoraWeights.Segment> segments = new ArrayList<>();
      int rank = 0;
      for (Placed p : placed) {
        int r = p.module.rank();
        p.module.a().toFloat32(a.asSlice(rank * k * 4, r * k * 4));
        MemorySegment up = call.allocate(p.module.out() * r * 4, 64);
        p.module.b().toFloat32(up);
        for (long n = 0; n < p.module.out(); n++) {
          MemorySegment.copy(
              up, n * r * 4, b, ((p.part.outputBegin + n) * ranks + rank) * 4, r * 4L);
        }
        segments.add(
            new LoraWeights.Segment(
                p.part.outputBegin, p.part.outputEnd, rank, rank + r, (float) p.module.scaling()));
        rank += r;
      }
      // int8 is for frozen weights; what is added to them keeps the working precision.
      DType dtype = w.dtype() == DType.FLOAT32 ? DType.FLOAT32 : DType.BFLOAT16;
      return new LoraWeights(
          ops.pack(owner, dtype, List.of(Tensor.of(a, DType.FLOAT32, ranks, k))),
          ops.pack(owner, dtype, List.of(Tensor.of(b, DType.FLOAT32, outputs(), ranks))),
          List.copyOf(segments));
    }
  }
}
