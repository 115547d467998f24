package dev.precis.layers;

import dev.precis.layers.Parameters.Parameter;
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
 * The vectors of IA3 (Liu et al. 2022) on one {@link Linear} while they are trained: some of its
 * parts have their outputs scaled, or all of it its inputs. Elementwise,
 *
 * <pre>
 *   y = l (x W')        dl += sum over rows of dy (x W')       d(x W') = l dy
 *   y = (l x) W'        dl += sum over rows of d(l x) x        dx = l d(l x)
 * </pre>
 */
public final class Ia3Training {
  /**
   * The vector of a part.
   *
   * @param vector one number for each output of the part, or each input of the product
   * @param outputs whether it scales the outputs
   */
  public record Scale(Part part, Parameter vector, boolean outputs) {}

  /**
   * A vector as columns are multiplied by it. The kernel is that of the RMS norm: under an epsilon
   * that no mean of squares changes, it divides by a power of two, by which the vector is
   * multiplied beforehand. Both are exact.
   */
  private static final class Columns {
    private static final float EPSILON = 0x1p80f;
    private static final float ROOT = 0x1p40f;

    private final Part part;
    private final Tensor vector;
    private final Tensor gradient;
    private final Tensor enlarged;
    private final Tensor sums;

    Columns(Scale scale, Ops ops, Arena owner) {
      part = scale.part;
      long n = scale.vector.elements();
      vector = scale.vector.value().as(1, n);
      gradient = scale.vector.gradient().as(1, n);
      enlarged = ops.zeros(owner, DType.FLOAT32, n);
      sums = ops.zeros(owner, DType.FLOAT32, n);
      update(ops);
    }

    void update(Ops ops) {
      ops.zero(enlarged);
      ops.add(vector, ROOT, enlarged.as(1, enlarged.dim(0)));
    }

    /** Computes {@code y = l x}; x (M, n) float32. */
    void multiply(Ops ops, Tensor x, Tensor y) {
      ops.rmsNorm(x, enlarged, EPSILON, y);
    }

    /** Computes {@code dx = l dy} and adds the vector's gradient; x and dx (M, n) float32. */
    void backward(Ops ops, Tensor x, Tensor dy, Tensor dx) {
      ops.zero(sums);
      ops.rmsNormBackward(x, enlarged, EPSILON, dy, dx, false, sums);
      ops.add(sums.as(1, sums.dim(0)), ROOT, gradient);
    }
  }

  private final List<Part> parts;
  private final Columns[] outputs; // one for each part, or null; null where none is scaled
  private final Columns input; // null where it is not scaled

  /**
   * Makes the vectors of a product.
   *
   * @param parts those of the product
   * @param scales at most one for each part; one that scales inputs is alone on the product
   * @param owner frees the memory
   */
  public Ia3Training(List<Part> parts, List<Scale> scales, Ops ops, Arena owner) {
    this.parts = parts;
    Columns scaledInput = null;
    Columns[] scaled = new Columns[parts.size()];
    List<Part> of = new ArrayList<>();
    for (Scale scale : scales) {
      Columns columns = new Columns(scale, ops, owner);
      if (scale.outputs) {
        scaled[parts.indexOf(scale.part)] = columns;
        of.add(scale.part);
      } else {
        scaledInput = columns;
      }
    }
    input = scaledInput;
    outputs = of.isEmpty() ? null : scaled;
  }

  /** Returns whether outputs are scaled. */
  boolean scalesOutputs() {
    return outputs != null;
  }

  /** Returns whether inputs are scaled. */
  boolean scalesInput() {
    return input != null;
  }

  /** Brings what is multiplied with up to date with the parameters. */
  void update(Ops ops) {
    if (input != null) {
      input.update(ops);
    }
    if (outputs != null) {
      for (Columns each : outputs) {
        if (each != null) {
          each.update(ops);
        }
      }
    }
  }

  /** Scales the product's input into new memory; returns it as it is where it is not scaled. */
  Variable input(Tape tape, Variable x) {
    if (input == null) {
      return x;
    }
    Ops ops = tape.ops();
    Workspace workspace = tape.workspace();
    Tensor value = x.value();
    Tensor wide = float32(tape, value);
    Tensor scaled = workspace.tensor(value.dtype(), value.rows(), value.columns());
    input.multiply(ops, wide, scaled);
    if (!tape.recording()) {
      return tape.constant(scaled);
    }
    Variable out = tape.variable(scaled, true);
    tape.record(
        () -> {
          Tensor scaledGradient = out.gradient();
          if (scaledGradient == null) {
            return;
          }
          Tensor dx = x.needsGradient() ? tape.gradientFor(x, value.dtype()) : null;
          if (dx != null && tape.collected(x)) {
            throw new IllegalStateException("The input of a scaled product is read by it alone.");
          }
          if (dx != null && dx.dtype() == DType.FLOAT32) {
            input.backward(ops, wide, scaledGradient, dx);
            return;
          }
          Workspace.Mark mark = workspace.mark();
          Tensor passing = workspace.tensor(DType.FLOAT32, value.rows(), value.columns());
          input.backward(ops, wide, scaledGradient, passing);
          if (dx != null) {
            ops.convert(passing, dx);
          }
          workspace.release(mark);
        });
    return out;
  }

  private static Tensor float32(Tape tape, Tensor x) {
    if (x.dtype() == DType.FLOAT32) {
      return x;
    }
    Tensor wide = tape.workspace().tensor(DType.FLOAT32, x.rows(), x.columns());
    tape.ops().convert(x, wide);
    return wide;
  }

  /**
   * Scales the product's outputs.
   *
   * @param raw (M, N) float32
   * @param y (M, N), written
   */
  Variable output(Tape tape, Variable raw, Tensor y) {
    Ops ops = tape.ops();
    for (int i = 0; i < outputs.length; i++) {
      if (outputs[i] == null) {
        ops.convert(columns(raw.value(), i), columns(y, i));
      } else {
        outputs[i].multiply(ops, columns(raw.value(), i), columns(y, i));
      }
    }
    if (!tape.recording()) {
      return tape.constant(y);
    }
    Variable out = tape.variable(y, true);
    tape.record(
        () -> {
          Tensor dy = out.gradient();
          if (dy == null) {
            return;
          }
          Workspace workspace = tape.workspace();
          Tensor draw = raw.needsGradient() ? tape.gradientFor(raw, DType.FLOAT32) : null;
          Workspace.Mark mark = workspace.mark();
          Tensor into = draw;
          if (into == null) {
            into = workspace.tensor(DType.FLOAT32, dy.rows(), dy.columns());
          }
          for (int i = 0; i < outputs.length; i++) {
            if (outputs[i] != null) {
              outputs[i].backward(ops, columns(raw.value(), i), columns(dy, i), columns(into, i));
            } else if (draw != null) {
              ops.convert(columns(dy, i), columns(into, i));
            }
          }
          workspace.release(mark);
          if (draw != null) {
            tape.collected(raw);
          }
        });
    return out;
  }

  private Tensor columns(Tensor tensor, int part) {
    return tensor.columns(parts.get(part).outputBegin(), parts.get(part).outputs());
  }
}
