package dev.precis.layers;

import dev.precis.io.InvalidInputException;
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
import java.util.ArrayList;
import java.util.List;

/**
 * The adapters of one {@link Linear} while they are trained: float32 parameters, and their packed
 * copies for the fused product, packed anew after each change.
 *
 * <p>With {@code t = x A' s}, the product is {@code y = x W' + t B'}, and backward
 *
 * <pre>
 *   dB += dy' t      dt = (dy B) s      dA += dt' x      dx = dy W + dt A
 * </pre>
 *
 * so that dx is the same fused product, of dy with W, B and A transposed. Dropout is applied to the
 * input of A, as PEFT does; modules that read the same input share a mask.
 */
public final class LoraTraining {
  /**
   * The adapter of one part.
   *
   * @param a (rank, K)
   * @param b (N of the part, rank)
   */
  public record Module(Part part, Parameter a, Parameter b, float scaling) {
    /** Returns the rows of A. */
    public int rank() {
      return Math.toIntExact(a.value().dim(0));
    }
  }

  /**
   * Results of the forward product that the backward step reads.
   *
   * @param down (M, R): {@code x A' . s}
   * @param mask of the input of A; null without dropout
   */
  record Kept(Tensor down, DropoutMask mask) {}

  private final List<Module> modules;
  private final float dropout;
  private final int ranks;
  private final DType dtype;
  private final Tensor up;
  private final LoraWeights weights;
  private final LoraWeights transposed;

  /**
   * Packs adapters.
   *
   * @param w the weight that they sit on
   * @param modules at most one for each part
   * @param dropout of the input of A
   * @param owner frees what is packed
   * @throws InvalidInputException where the scalings differ or a GPU takes fewer ranks
   */
  public LoraTraining(PackedMatrix w, List<Module> modules, float dropout, Ops ops, Arena owner) {
    Module first = modules.getFirst();
    if (modules.stream().anyMatch(m -> m.scaling != first.scaling)) {
      throw new InvalidInputException(
          "The adapters on "
              + first.part.name()
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
      Part part = module.part;
      segments.add(
          new LoraWeights.Segment(
              part.outputBegin(), part.outputEnd(), total, end, module.scaling));
      backward.add(new LoraWeights.Segment(0, w.inputs(), total, end, module.scaling));
      total = end;
    }
    ranks = total;
    up = ops.zeros(owner, DType.FLOAT32, w.outputs(), ranks);
    gatherUp(ops);
    dtype = w.dtype().activations();
    weights =
        new LoraWeights(
            ops.pack(owner, dtype, downs()), ops.pack(owner, dtype, List.of(up)), segments);
    transposed =
        new LoraWeights(
            ops.packTransposed(owner, dtype, List.of(up)),
            ops.packTransposed(owner, dtype, downs()),
            backward);
  }

  /** Returns the adapters, in the order of their parts. */
  public List<Module> modules() {
    return modules;
  }

  LoraWeights weights() {
    return weights;
  }

  private List<Tensor> downs() {
    return modules.stream().map(module -> module.a.value()).toList();
  }

  /** Gathers B of all modules in one matrix, each in its outputs' rows and its ranks' columns. */
  void gatherUp(Ops ops) {
    int rank = 0;
    for (Module module : modules) {
      Part part = module.part;
      ops.convert(
          module.b.value(),
          up.rows(part.outputBegin(), part.outputs()).columns(rank, module.rank()));
      rank += module.rank();
    }
  }

  /** Packs the parameters' present values, after {@link #gatherUp}. */
  void pack(Ops ops) {
    ops.repack(weights.a(), downs());
    ops.repack(weights.b(), List.of(up));
    ops.repackTransposed(transposed.a(), List.of(up));
    ops.repackTransposed(transposed.b(), downs());
  }

  /** Makes room for what the backward step of a product of x reads, and chooses its dropout. */
  Kept keep(Tape tape, Variable x) {
    Tensor down = tape.workspace().tensor(DType.FLOAT32, x.value().rows(), ranks);
    return new Kept(down, dropout > 0 ? tape.nextMask(dropout) : null);
  }

  /** Computes {@code y (+)= x W' + t B'}, and {@code t} into {@code kept}. */
  void forward(Ops ops, Tensor x, PackedMatrix w, Kept kept, Tensor y, boolean accumulate) {
    LoraWeights.Dropout of = kept.mask == null ? null : new LoraWeights.Dropout(true, kept.mask);
    ops.loraMatmul(x, w, weights, of, kept.down, y, accumulate);
  }

  /**
   * Adds the gradients of A and B to theirs, and that of x to its.
   *
   * @param wTransposed W packed transposed; null where x needs no gradient
   */
  void backward(Tape tape, Variable x, Tensor dy, PackedMatrix wTransposed, Kept kept) {
    Ops ops = tape.ops();
    DropoutMask mask = kept.mask;
    // The gradient of x outlives the memory that is needed on the way to it.
    Tensor dx =
        x.needsGradient()
            ? tape.gradientFor(x, mask == null ? x.value().dtype() : DType.FLOAT32)
            : null;
    Workspace.Mark before = tape.workspace().mark();
    Tensor dDown = tape.workspace().tensor(DType.FLOAT32, dy.rows(), ranks);
    if (dx != null) {
      LoraWeights.Dropout of = mask == null ? null : new LoraWeights.Dropout(false, mask);
      ops.loraMatmul(dy, wTransposed, transposed, of, dDown, dx, tape.collected(x));
    } else {
      ops.matmul(dy, transposed.a(), dDown, modules.getFirst().scaling, false);
    }
    Tensor inputOfA = x.value();
    if (mask != null) {
      inputOfA = tape.workspace().tensor(inputOfA.dtype(), inputOfA.rows(), inputOfA.columns());
      ops.dropout(x.value(), inputOfA, mask, false);
    }
    int rank = 0;
    for (Module module : modules) {
      Part part = module.part;
      int r = module.rank();
      ops.weightGradient(
          dy.columns(part.outputBegin(), part.outputs()),
          kept.down.columns(rank, r),
          module.b.gradient(),
          1,
          dtype,
          true);
      ops.weightGradient(dDown.columns(rank, r), inputOfA, module.a.gradient(), 1, dtype, true);
      rank += r;
    }
    tape.workspace().release(before);
  }
}
