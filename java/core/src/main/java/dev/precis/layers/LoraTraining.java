package dev.precis.layers;

import dev.precis.io.InvalidInputException;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.ops.DropoutMask;
import dev.precis.ops.LoraWeights;
import dev.precis.ops.Ops;
import dev.precis.ops.Tape;
import dev.precis.ops.Variable;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;

/**
 * The adapters of one {@link Linear} while they are trained: float32 parameters, and what the fused
 * product reads, packed anew after each change.
 *
 * <p>With {@code t = x A' s}, the product is {@code y = x W' + t B'}, and backward
 *
 * <pre>
 *   dB += dy' t      dt = (dy B) s      dA += dt' x      dx = dy W + dt A
 * </pre>
 *
 * so that dx is the same fused product, of dy with W, B and A transposed. Dropout is applied to
 * what A reads, as PEFT does; modules that read the same input share a mask.
 */
public final class LoraTraining {
  /**
   * The adapter of one part.
   *
   * @param a (rank, K)
   * @param b (N of the part, rank)
   */
  public record Module(Linear.Part part, Parameter a, Parameter b, float scaling) {
    /** Rows of A. */
    public int rank() {
      return Math.toIntExact(a.value().dim(0));
    }
  }

  private final List<Module> modules;
  private final float dropout;
  private final int ranks;
  private final Tensor up;
  private final LoraWeights weights;
  private final LoraWeights transposed;

  /**
   * Packs adapters.
   *
   * @param linear what they sit on
   * @param modules at most four
   * @param dropout of what A reads
   * @param owner frees what is packed
   */
  public LoraTraining(Linear linear, List<Module> modules, float dropout, Ops ops, Arena owner) {
    if (modules.isEmpty() || modules.size() > 4) {
      throw new IllegalArgumentException("1 to 4 adapters fit one product, not " + modules.size());
    }
    if (modules.stream().anyMatch(m -> m.scaling != modules.getFirst().scaling)) {
      throw new InvalidInputException(
          "The adapters on "
              + modules.getFirst().part.name()
              + " and its neighbours have different scalings, which cannot be trained together:"
              + " use one rank and one alpha.");
    }
    this.modules = List.copyOf(modules);
    this.dropout = dropout;
    int total = 0;
    List<LoraWeights.Segment> segments = new ArrayList<>();
    List<LoraWeights.Segment> backward = new ArrayList<>();
    for (Module module : modules) {
      int end = total + module.rank();
      Linear.Part part = module.part;
      segments.add(
          new LoraWeights.Segment(
              part.outputBegin(), part.outputEnd(), total, end, module.scaling));
      backward.add(new LoraWeights.Segment(0, linear.inputs(), total, end, module.scaling));
      total = end;
    }
    ranks = total;
    up =
        Tensor.of(
                ops.context().allocate(owner, linear.outputs() * ranks * 4),
                DType.FLOAT32,
                linear.outputs(),
                ranks)
            .on(ops.context());
    gatherUp(ops);
    DType dtype = linear.packed().dtype() == DType.FLOAT32 ? DType.FLOAT32 : DType.BFLOAT16;
    weights =
        new LoraWeights(
            ops.pack(owner, dtype, downs()), ops.pack(owner, dtype, List.of(up)), segments);
    transposed =
        new LoraWeights(
            ops.packTransposed(owner, dtype, List.of(up)),
            ops.packTransposed(owner, dtype, downs()),
            backward);
  }

  public List<Module> modules() {
    return modules;
  }

  /** Of what A reads. */
  public float dropout() {
    return dropout;
  }

  int ranks() {
    return ranks;
  }

  LoraWeights weights() {
    return weights;
  }

  private List<Tensor> downs() {
    return modules.stream().map(module -> module.a.value()).toList();
  }

  /** B of all modules in one matrix, each in its outputs' rows and its ranks' columns. */
  private void gatherUp(Ops ops) {
    int rank = 0;
    for (Module module : modules) {
      Linear.Part part = module.part;
      long outputs = part.outputEnd() - part.outputBegin();
      ops.convert(
          module.b.value(), up.rows(part.outputBegin(), outputs).columns(rank, module.rank()));
      rank += module.rank();
    }
  }

  /** Packs the parameters' present values. */
  void update(Ops ops) {
    gatherUp(ops);
    ops.repack(weights.a(), downs());
    ops.repack(weights.b(), List.of(up));
    ops.repackTransposed(transposed.a(), List.of(up));
    ops.repackTransposed(transposed.b(), downs());
  }

  void backward(
      Tape tape, Linear linear, Variable x, Tensor dy, Linear.Forward forward, DType dtype) {
    Ops ops = tape.ops();
    long offset = forward.dropout();
    Tensor down = forward.down();
    // The gradient of x outlives what is needed on the way to it.
    Tensor dx =
        x.needsGradient()
            ? tape.gradientFor(x, offset < 0 ? x.value().dtype() : DType.FLOAT32)
            : null;
    Workspace.Mark before = tape.workspace().mark();
    Tensor dDown = tape.workspace().tensor(DType.FLOAT32, dy.rows(), ranks);
    boolean drops = offset >= 0;
    DropoutMask mask = new DropoutMask(dropout, tape.seed(), offset);
    if (dx != null) {
      ops.loraMatmul(
          dy,
          linear.packTransposed(),
          transposed,
          drops ? new LoraWeights.Dropout(false, mask) : null,
          dDown,
          dx,
          tape.collected(x));
    } else {
      ops.matmul(dy, transposed.a(), dDown, modules.getFirst().scaling, false);
    }
    // What A read.
    Tensor read = x.value();
    if (drops) {
      read = tape.workspace().tensor(read.dtype(), read.rows(), read.columns());
      ops.dropout(x.value(), read, mask, false);
    }
    int rank = 0;
    for (Module module : modules) {
      Linear.Part part = module.part;
      int r = module.rank();
      ops.weightGradient(
          dy.columns(part.outputBegin(), part.outputEnd() - part.outputBegin()),
          down.columns(rank, r),
          module.b.gradient(),
          1,
          dtype,
          true);
      ops.weightGradient(dDown.columns(rank, r), read, module.a.gradient(), 1, dtype, true);
      rank += r;
    }
    tape.workspace().release(before);
  }
}
