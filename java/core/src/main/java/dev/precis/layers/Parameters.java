package dev.precis.layers;

import dev.precis.checkpoint.SafeTensors;
import dev.precis.ops.Ops;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Trainable parameters: float32 tensors, contiguous in one piece of memory, and their gradients
 * likewise, so that an optimizer's step is one call. Gaps between them, up to 15 elements, are zero
 * in both and stay zero.
 */
public final class Parameters {
  private static final long ALIGNMENT = 16;

  /**
   * A trainable tensor.
   *
   * @param name as in a checkpoint
   * @param value a view of {@link #values}
   * @param gradient a view of {@link #gradients}
   */
  public record Parameter(String name, Tensor value, Tensor gradient) {
    /** Returns how many numbers it has. */
    public long elements() {
      return value.rows() * value.columns();
    }

    /** Returns its present value under its name, to be written to a file. */
    public SafeTensors.Source source() {
      long[] shape = new long[value.rank()];
      for (int i = 0; i < shape.length; i++) {
        shape[i] = value.dim(i);
      }
      return new SafeTensors.Source(name, value.dtype(), shape, value::toHost);
    }
  }

  private final Map<String, Parameter> byName = new LinkedHashMap<>();
  private final Tensor values;
  private final Tensor gradients;
  private final long count;
  private final Ops ops;

  /**
   * Allocates zero-filled memory for parameters of these shapes, in this order.
   *
   * @param owner frees it
   */
  public Parameters(Map<String, long[]> shapes, Ops ops, Arena owner) {
    this.ops = ops;
    long total = 0;
    long trained = 0;
    for (long[] shape : shapes.values()) {
      trained += elements(shape);
      total += rounded(elements(shape));
    }
    count = trained;
    values = ops.zeros(owner, DType.FLOAT32, total);
    gradients = ops.zeros(owner, DType.FLOAT32, total);
    long at = 0;
    for (Map.Entry<String, long[]> each : shapes.entrySet()) {
      long[] shape = each.getValue();
      byName.put(
          each.getKey(),
          new Parameter(each.getKey(), values.slice(at, shape), gradients.slice(at, shape)));
      at += rounded(elements(shape));
    }
  }

  private static long elements(long[] shape) {
    long n = 1;
    for (long dim : shape) {
      n = Math.multiplyExact(n, dim);
    }
    return n;
  }

  private static long rounded(long elements) {
    return (elements + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  }

  /** Returns all parameters, in order. */
  public List<Parameter> all() {
    return Collections.unmodifiableList(new ArrayList<>(byName.values()));
  }

  /** Returns the parameter of that name, or null. */
  public Parameter find(String name) {
    return byName.get(name);
  }

  /** Returns how many numbers are trained. */
  public long count() {
    return count;
  }

  /** Returns all values, rank 1, gaps included. */
  public Tensor values() {
    return values;
  }

  /** Returns all gradients, rank 1, gaps included. */
  public Tensor gradients() {
    return gradients;
  }

  /** Sets all gradients to zero. */
  public void clearGradients() {
    ops.zero(gradients);
  }
}
