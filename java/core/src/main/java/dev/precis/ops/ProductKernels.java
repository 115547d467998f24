package dev.precis.ops;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.precis.ffi.Context;
import dev.precis.ffi.generated.Precis;
import dev.precis.ffi.generated.precis_lora_matmul_args;
import dev.precis.ffi.generated.precis_lora_segment;
import dev.precis.ffi.generated.precis_matmul_args;
import dev.precis.ffi.generated.precis_matmul_pack_args;
import dev.precis.ffi.generated.precis_tensor;
import dev.precis.ffi.generated.precis_transpose_packed_args;
import dev.precis.ffi.generated.precis_weight_gradient_args;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.function.LongFunction;

/** Matrix products, their gradients and the packing of their weights. */
final class ProductKernels extends Kernels {
  private final MemorySegment pack = block(precis_matmul_pack_args.layout());
  private final MemorySegment packedSize = block(JAVA_LONG);
  private final MemorySegment transpose = block(precis_transpose_packed_args.layout());
  private final MemorySegment matmul = block(precis_matmul_args.layout());
  private final MemorySegment loraMatmul = block(precis_lora_matmul_args.layout());
  private final MemorySegment loraSegments = precis_lora_matmul_args.segments(loraMatmul);
  private final MemorySegment weightGradient = block(precis_weight_gradient_args.layout());
  private boolean step;

  ProductKernels(Context context, OpTimer timer, Arena arena) {
    super(context, timer, arena);
  }

  void step(boolean on) {
    step = on;
  }

  PackedMatrix pack(
      LongFunction<MemorySegment> allocate, DType dtype, List<Tensor> weights, boolean transposed) {
    long stacked = putWeights(dtype, weights, transposed);
    MemorySegment memory = allocate.apply(packedBytes());
    packInto(memory);
    long other = weights.getFirst().columns();
    return transposed
        ? new PackedMatrix(memory, other, stacked, dtype)
        : new PackedMatrix(memory, stacked, other, dtype);
  }

  void repack(PackedMatrix target, List<Tensor> weights, boolean transposed) {
    putWeights(target.dtype(), weights, transposed);
    packInto(target.memory());
  }

  /** Asks for the size of a matrix whose weights do not exist: the library looks at shapes only. */
  long packedBytes(DType dtype, long outputs, long inputs) {
    putShape(pack, precis_matmul_pack_args.weights$offset(), outputs, inputs);
    precis_matmul_pack_args.weight_count(pack, 1);
    precis_matmul_pack_args.dtype(pack, dtype.ordinal());
    precis_matmul_pack_args.transposed(pack, 0);
    return packedBytes();
  }

  private long packedBytes() {
    check("matmul_pack_size", Precis.precis_matmul_pack_size(begin(), pack, packedSize));
    return packedSize.get(JAVA_LONG, 0);
  }

  /** Returns how many rows the weights have together. */
  private long putWeights(DType dtype, List<Tensor> weights, boolean transposed) {
    if (weights.isEmpty() || weights.size() > PackedMatrix.MAX_WEIGHTS) {
      throw new IllegalArgumentException(
          "1 to "
              + PackedMatrix.MAX_WEIGHTS
              + " weights are packed into one matrix, not "
              + weights.size()
              + ".");
    }
    long rows = 0;
    for (int i = 0; i < weights.size(); i++) {
      put(
          pack,
          precis_matmul_pack_args.weights$offset() + i * precis_tensor.sizeof(),
          weights.get(i));
      rows += weights.get(i).rows();
    }
    precis_matmul_pack_args.weight_count(pack, weights.size());
    precis_matmul_pack_args.dtype(pack, dtype.ordinal());
    precis_matmul_pack_args.transposed(pack, flag(transposed));
    return rows;
  }

  private void packInto(MemorySegment memory) {
    if (memory.isReadOnly()) {
      throw new IllegalArgumentException("These weights are a file's and cannot be packed anew.");
    }
    precis_matmul_pack_args.packed(pack, memory);
    precis_matmul_pack_args.packed_bytes(pack, memory.byteSize());
    check("matmul_pack", Precis.precis_matmul_pack(begin(), pack));
  }

  void transpose(PackedMatrix w, PackedMatrix out) {
    put(transpose, precis_transpose_packed_args.w$offset(), w);
    put(transpose, precis_transpose_packed_args.out$offset(), out);
    check("transpose_packed", Precis.precis_transpose_packed(begin(), transpose));
  }

  void matmul(Tensor x, PackedMatrix w, Tensor y, float alpha, boolean accumulate) {
    put(matmul, precis_matmul_args.x$offset(), x);
    put(matmul, precis_matmul_args.w$offset(), w);
    put(matmul, precis_matmul_args.y$offset(), y);
    precis_matmul_args.alpha(matmul, alpha);
    precis_matmul_args.accumulate(matmul, flag(accumulate));
    precis_matmul_args.step(matmul, flag(step));
    if (timer.isOn()) {
      timer.count(products(x, w), bytes(w));
    }
    check("matmul", Precis.precis_matmul(begin(), matmul));
  }

  void loraMatmul(
      Tensor x, PackedMatrix w, LoraWeights lora, Tensor y, float alpha, boolean accumulate) {
    putNoDropout();
    put(loraMatmul, precis_lora_matmul_args.down$offset(), (Tensor) null);
    runLora(x, w, lora, y, alpha, accumulate);
  }

  void loraMatmul(Tensor x, PackedMatrix w, LoraRows rows, Tensor y, float alpha, boolean add) {
    putNoDropout();
    put(loraMatmul, precis_lora_matmul_args.down$offset(), (Tensor) null);
    LoraWeights first = rows.first();
    runLora(x, w, first.a(), first.b(), List.of(), rows, y, alpha, add);
  }

  void loraMatmul(
      Tensor x,
      PackedMatrix w,
      LoraWeights lora,
      LoraWeights.Dropout dropout,
      Tensor down,
      Tensor y,
      boolean accumulate) {
    if (dropout == null) {
      putNoDropout();
    } else {
      DropoutMask mask = dropout.mask();
      precis_lora_matmul_args.dropout_of(
          loraMatmul,
          dropout.ofX() ? Precis.PRECIS_LORA_DROPOUT_X() : Precis.PRECIS_LORA_DROPOUT_LOW_RANK());
      precis_lora_matmul_args.dropout(loraMatmul, mask.probability());
      precis_lora_matmul_args.seed(loraMatmul, mask.seed());
      precis_lora_matmul_args.offset(loraMatmul, mask.offset());
      put(loraMatmul, precis_lora_matmul_args.dropout_rows$offset(), mask.rows());
    }
    put(loraMatmul, precis_lora_matmul_args.down$offset(), down);
    runLora(x, w, lora, y, 1, accumulate);
  }

  private void putNoDropout() {
    precis_lora_matmul_args.dropout_of(loraMatmul, Precis.PRECIS_LORA_DROPOUT_NONE());
    precis_lora_matmul_args.dropout(loraMatmul, 0);
    put(loraMatmul, precis_lora_matmul_args.dropout_rows$offset(), (Tensor) null);
  }

  private void runLora(
      Tensor x, PackedMatrix w, LoraWeights lora, Tensor y, float alpha, boolean accumulate) {
    runLora(x, w, lora.a(), lora.b(), lora.segments(), null, y, alpha, accumulate);
  }

  private void runLora(
      Tensor x,
      PackedMatrix w,
      PackedMatrix a,
      PackedMatrix b,
      List<LoraWeights.Segment> segments,
      LoraRows rows,
      Tensor y,
      float alpha,
      boolean accumulate) {
    put(loraMatmul, precis_lora_matmul_args.x$offset(), x);
    put(loraMatmul, precis_lora_matmul_args.w$offset(), w);
    put(loraMatmul, precis_lora_matmul_args.a$offset(), a);
    put(loraMatmul, precis_lora_matmul_args.b$offset(), b);
    put(loraMatmul, precis_lora_matmul_args.y$offset(), y);
    for (int i = 0; i < segments.size(); i++) {
      put(
          loraSegments.asSlice(i * precis_lora_segment.sizeof(), precis_lora_segment.sizeof()),
          segments.get(i));
    }
    precis_lora_matmul_args.segment_count(loraMatmul, segments.size());
    precis_lora_matmul_args.row_adapters(
        loraMatmul, rows == null ? MemorySegment.NULL : rows.address());
    precis_lora_matmul_args.row_adapter_count(loraMatmul, rows == null ? 0 : rows.count());
    precis_lora_matmul_args.alpha(loraMatmul, alpha);
    precis_lora_matmul_args.accumulate(loraMatmul, flag(accumulate));
    precis_lora_matmul_args.step(loraMatmul, flag(step));
    if (timer.isOn()) {
      countLora(x, w, a, segments, rows);
    }
    check("lora_matmul", Precis.precis_lora_matmul(begin(), loraMatmul));
  }

  /** Counts the product and, unless rows have adapters of their own, the low-rank terms. */
  private void countLora(
      Tensor x, PackedMatrix w, PackedMatrix a, List<LoraWeights.Segment> segments, LoraRows rows) {
    timer.count(products(x, w), bytes(w));
    if (rows != null) {
      return;
    }
    timer.count(products(x, a), 0);
    for (LoraWeights.Segment each : segments) {
      double outputs = each.outputEnd() - each.outputBegin();
      timer.count(x.rows() * outputs * (each.rankEnd() - each.rankBegin()), 0);
    }
  }

  void weightGradient(
      Tensor dy, Tensor x, Tensor dw, float alpha, DType dtype, boolean accumulate) {
    put(weightGradient, precis_weight_gradient_args.dy$offset(), dy);
    put(weightGradient, precis_weight_gradient_args.x$offset(), x);
    put(weightGradient, precis_weight_gradient_args.dw$offset(), dw);
    precis_weight_gradient_args.alpha(weightGradient, alpha);
    precis_weight_gradient_args.dtype(weightGradient, dtype.ordinal());
    precis_weight_gradient_args.accumulate(weightGradient, flag(accumulate));
    if (timer.isOn()) {
      timer.count((double) dy.rows() * dy.columns() * x.columns(), 0);
    }
    check("weight_gradient", Precis.precis_weight_gradient(begin(), weightGradient));
  }
}
