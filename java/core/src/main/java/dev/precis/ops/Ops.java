package dev.precis.ops;

import dev.precis.device.Device;
import dev.precis.device.DeviceOptions;
import dev.precis.ffi.Context;
import dev.precis.ffi.Native;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.nio.file.Path;
import java.util.List;

/**
 * The kernels of precis.h, which holds their formulas: one method for each. The library checks
 * shapes and types; it refuses bad ones with a {@link dev.precis.device.NativeException}.
 *
 * <p>Not thread-safe: the argument blocks are reused, so that a call allocates nothing.
 */
public final class Ops implements AutoCloseable {
  private final Context context;
  private final Arena arena = Arena.ofShared();
  private final OpTimer timer = new OpTimer();
  private final ProductKernels products;
  private final RowKernels rows;
  private final AttentionKernels attention;
  private final LossKernels losses;
  private final SamplingKernels sampling;
  private final OptimizerKernels optimizers;

  private Ops(Context context) {
    this.context = context;
    products = new ProductKernels(context, timer, arena);
    rows = new RowKernels(context, timer, arena);
    attention = new AttentionKernels(context, timer, arena);
    losses = new LossKernels(context, timer, arena);
    sampling = new SamplingKernels(context, timer, arena);
    optimizers = new OptimizerKernels(context, timer, arena);
  }

  /**
   * Opens a device and links its operations; {@link #close} closes both.
   *
   * @throws dev.precis.device.NativeException if the processor or the build lacks what was asked
   *     for
   * @throws dev.precis.io.InvalidInputException if there is no such GPU, with the reason
   */
  public static Ops open(DeviceOptions options) {
    Context context = new Context(options);
    try {
      return new Ops(context);
    } catch (RuntimeException | Error e) {
      context.close();
      throw e;
    }
  }

  /**
   * Loads the native library unless it is loaded already, and returns the file that it came from.
   *
   * @throws UnsatisfiedLinkError if there is none that can be loaded
   */
  public static Path library() {
    return Native.library();
  }

  /** Returns the native context, for recordings. */
  Context context() {
    return context;
  }

  /** Returns the device that the operations run on. */
  public Device device() {
    return context;
  }

  /** Returns whether the operations run on a GPU, which reaches no memory but its own. */
  public boolean onGpu() {
    return context.onGpu();
  }

  /** Returns the timer of these operations, which is off. */
  public OpTimer timer() {
    return timer;
  }

  /** Returns the instruction set of the kernels, such as {@code avx512}. */
  public String isa() {
    return context.info().isa();
  }

  /** Returns the bytes of scratch memory that the kernels hold now. */
  public long scratchBytes() {
    return context.describe().scratchBytes();
  }

  /**
   * Allocates zero-filled memory that the operations reach, aligned to 4096 bytes.
   *
   * @param owner frees it
   */
  public MemorySegment allocate(Arena owner, long bytes) {
    return context.allocate(owner, bytes);
  }

  /**
   * Allocates a tensor of zeros.
   *
   * @param owner frees it
   */
  public Tensor zeros(Arena owner, DType dtype, long... dims) {
    long bytes = dtype.bytes();
    for (long dim : dims) {
      bytes = Math.multiplyExact(bytes, dim);
    }
    return Tensor.of(allocate(owner, Math.max(1, bytes)), dtype, dims).on(context);
  }

  /** Sets a contiguous tensor to zero. */
  public void zero(Tensor x) {
    context.zero(x.address().asSlice(0, x.rows() * x.columns() * x.dtype().bytes()));
  }

  /** Returns an empty workspace on the device of these operations. The caller must close it. */
  public Workspace newWorkspace() {
    return new Workspace(context);
  }

  /**
   * Waits for all operations that were launched; on the CPU they are always complete.
   *
   * @throws dev.precis.device.NativeException if one of them failed
   */
  public void synchronize() {
    context.synchronize();
  }

  /** Ends a step, see {@link Device#release}: a guest leaves its host's thread as it found it. */
  public void release() {
    context.release();
  }

  /**
   * Cancels operations, or allows them again; any thread may call this at any time. While
   * cancelled, every operation ends with a {@link dev.precis.device.NativeException} whose status
   * is {@code CANCELLED}; a running attention of a CPU ends early.
   */
  public void cancel(boolean cancelled) {
    context.cancel(cancelled);
  }

  // Products.

  /**
   * Packs weights (n_i, K), float32 or bfloat16, stacked along their outputs, into one matrix.
   *
   * @param owner frees the packed memory
   * @param dtype float32, bfloat16, int8 (symmetric per output) or, on the CPU, int4 (a scale for
   *     each 32 inputs of an output)
   * @param weights at most {@link PackedMatrix#MAX_WEIGHTS}
   */
  public PackedMatrix pack(Arena owner, DType dtype, List<Tensor> weights) {
    return products.pack(bytes -> allocate(owner, bytes), dtype, weights, false);
  }

  /**
   * Packs weights like {@link #pack}, into memory that several matrices share.
   *
   * @param memory slices memory of {@link #allocate}; it gives {@link #packedBytes} bytes, aligned
   *     to 64
   */
  public PackedMatrix packInto(SegmentAllocator memory, DType dtype, List<Tensor> weights) {
    return products.pack(bytes -> memory.allocate(bytes, 64), dtype, weights, false);
  }

  /** Packs the transposed of weights (k_i, N), stacked along the inputs, into one matrix. */
  public PackedMatrix packTransposed(Arena owner, DType dtype, List<Tensor> weights) {
    return products.pack(bytes -> allocate(owner, bytes), dtype, weights, true);
  }

  /** Packs weights into the memory of an earlier {@link #pack} of the same shapes, or new one. */
  public void repack(PackedMatrix target, List<Tensor> weights) {
    products.repack(target, weights, false);
  }

  /** Packs weights into the memory of an earlier {@link #packTransposed} of the same shapes. */
  public void repackTransposed(PackedMatrix target, List<Tensor> weights) {
    products.repack(target, weights, true);
  }

  /** Returns the bytes of a packed matrix (N, K). */
  public long packedBytes(DType dtype, long outputs, long inputs) {
    return products.packedBytes(dtype, outputs, inputs);
  }

  /**
   * Packs W' (K, N) from W (N, K) packed, of the same type: bitwise identical to {@link
   * #packTransposed}.
   *
   * @param out float32 or bfloat16, written
   */
  public void transpose(PackedMatrix w, PackedMatrix out) {
    products.transpose(w, out);
  }

  /**
   * Says that the rows of the products to come are those of a decoding step, or no longer. A GPU
   * adds the parts of their sums in another order than for whole sequences, the same for any number
   * of rows; on the CPU nothing changes.
   */
  public void step(boolean on) {
    products.step(on);
  }

  /** Computes {@code y (+)= alpha x W'}; x (M, K), W (N, K), y (M, N). */
  public void matmul(Tensor x, PackedMatrix w, Tensor y, float alpha, boolean accumulate) {
    products.matmul(x, w, y, alpha, accumulate);
  }

  /** Computes {@code y (+)= alpha (x W' + (x A' . s) B')}; x (M, K), W (N, K), y (M, N). */
  public void loraMatmul(
      Tensor x, PackedMatrix w, LoraWeights lora, Tensor y, float alpha, boolean accumulate) {
    products.loraMatmul(x, w, lora, y, alpha, accumulate);
  }

  /**
   * Computes {@code y (+)= alpha (x W' + low-rank terms)}, where rows have adapters of their own:
   * each row gets what it gets with its adapter alone.
   *
   * @param rows not empty
   */
  public void loraMatmul(
      Tensor x, PackedMatrix w, LoraRows rows, Tensor y, float alpha, boolean accumulate) {
    products.loraMatmul(x, w, rows, y, alpha, accumulate);
  }

  /**
   * Computes {@code y (+)= x W' + (x A' . s) B'} for training.
   *
   * @param dropout of the input of A or of the low-rank term; or null
   * @param down (M, R) float32, written: {@code x A' . s}; or null
   */
  public void loraMatmul(
      Tensor x,
      PackedMatrix w,
      LoraWeights lora,
      LoraWeights.Dropout dropout,
      Tensor down,
      Tensor y,
      boolean accumulate) {
    products.loraMatmul(x, w, lora, dropout, down, y, accumulate);
  }

  /**
   * Computes {@code dw (+)= alpha dy' x}: the gradient of a product's weight.
   *
   * @param dy (M, N)
   * @param x (M, K)
   * @param dw (N, K) float32
   * @param dtype that the operands are rounded to: float32 or bfloat16
   */
  public void weightGradient(
      Tensor dy, Tensor x, Tensor dw, float alpha, DType dtype, boolean accumulate) {
    products.weightGradient(dy, x, dw, alpha, dtype, accumulate);
  }

  // Row by row.

  /** Converts between float32 and bfloat16: {@code y = x}. */
  public void convert(Tensor x, Tensor y) {
    rows.convert(x, y);
  }

  /** Adds {@code y += alpha x}; x, y (M, N). */
  public void add(Tensor x, float alpha, Tensor y) {
    rows.add(x, alpha, y);
  }

  /** Adds a bias to each row: {@code y[m] += bias}; y (M, N), bias (N) float32. */
  public void addBias(Tensor y, Tensor bias) {
    rows.addBias(y, bias);
  }

  /** Computes {@code dbias += sum over rows of dy}; dy (M, N), dbias (N) float32. */
  public void biasGradient(Tensor dy, Tensor dbias) {
    rows.biasGradient(dy, dbias);
  }

  /**
   * Computes {@code y (+)= x . mask / (1 - probability)}, which with the same mask is its own
   * backward.
   */
  public void dropout(Tensor x, Tensor y, DropoutMask mask, boolean accumulate) {
    rows.dropout(x, y, mask, accumulate);
  }

  /** Looks up {@code y[t] = table[ids[t]]}; table (V, D), ids (T) int32, y (T, D) float32. */
  public void embedding(Tensor table, Tensor ids, Tensor y) {
    rows.embedding(table, ids, y, null);
  }

  /**
   * Copies rows: row {@code yRows[i]} of y becomes row {@code xRows[i]} of x, for all i.
   *
   * @param x (M, N)
   * @param xRows (n) int32
   * @param y (R, N); rows that are not named keep their contents
   * @param yRows (n) int32, none twice
   */
  public void copyRows(Tensor x, Tensor xRows, Tensor y, Tensor yRows) {
    rows.embedding(x, xRows, y, yRows);
  }

  /** Adds {@code dtable[ids[t]] += dy[t]}; ids (T) int32, dy (T, D), dtable (V, D) float32. */
  public void embeddingBackward(Tensor ids, Tensor dy, Tensor dtable) {
    rows.embeddingBackward(ids, dy, dtable);
  }

  /** Computes {@code y = x / sqrt(mean(x^2) + epsilon) * weight}; x, y (M, D), weight (D). */
  public void rmsNorm(Tensor x, Tensor weight, float epsilon, Tensor y) {
    rows.rmsNorm(x, weight, epsilon, y);
  }

  /**
   * Computes the gradients of {@link #rmsNorm}.
   *
   * @param dx (M, D) float32, written or added to
   * @param dweight (D) float32, added to; or null
   */
  public void rmsNormBackward(
      Tensor x,
      Tensor weight,
      float epsilon,
      Tensor dy,
      Tensor dx,
      boolean accumulate,
      Tensor dweight) {
    rows.rmsNormBackward(x, weight, epsilon, dy, dx, accumulate, dweight);
  }

  /** Computes {@code y = (x - mean) / sqrt(var + epsilon) * weight + bias}; x, y (M, D). */
  public void layerNorm(Tensor x, Tensor weight, Tensor bias, float epsilon, Tensor y) {
    rows.layerNorm(x, weight, bias, epsilon, y);
  }

  /** Computes the gradients of {@link #layerNorm} from dy (M, D). */
  public void layerNormBackward(
      Tensor x, Tensor weight, float epsilon, Tensor dy, LayerNormGradients gradients) {
    rows.layerNormBackward(x, weight, epsilon, dy, gradients);
  }

  /** Computes {@code y = act(x)} or, gated, {@code y = act(x[:, :F]) * x[:, F:]}; y (M, F). */
  public void activation(Tensor x, Activation kind, boolean gated, Tensor y) {
    rows.activation(x, kind, gated, y);
  }

  /** Computes the gradient of {@link #activation} by x; dx has x's shape, dy that of y. */
  public void activationBackward(Tensor x, Activation kind, boolean gated, Tensor dy, Tensor dx) {
    rows.activationBackward(x, kind, gated, dy, dx);
  }

  // Attention.

  /** Computes attention over sequences that lie one behind the other. */
  public void attention(Attention.Operands operands, Attention.Shape shape) {
    attention.attention(operands, shape);
  }

  /**
   * Computes the gradients of {@link #attention} from what it read and wrote.
   *
   * @param dout the gradient of its output, of the output's shape
   */
  public void attentionBackward(
      Attention.Operands operands,
      Attention.Shape shape,
      Tensor dout,
      Attention.Gradients gradients) {
    attention.backward(operands, shape, dout, gradients);
  }

  /**
   * Computes attention within sequences that lie one behind the other, with relative positions as
   * vectors; there is no gradient of it.
   *
   * @param operands q, k, v and out, each (tokens, heads x head_dim); logSumExp is null
   * @param offsets (sequences + 1) int32: where each sequence begins
   */
  public void disentangledAttention(
      Attention.Operands operands, Attention.Disentangled kind, Tensor offsets) {
    attention.disentangled(operands, kind, offsets);
  }

  /**
   * Computes attention of one query a row over a KV cache.
   *
   * @param q (M, heads x head_dim)
   * @param added (M, heads x head_dim), stored at position length - 1 first; null: nothing is
   *     stored
   * @param cache (rows, heads x head_dim)
   * @param out (M, heads x head_dim), written
   * @param bias (buckets, heads) float32, or null
   */
  public void attentionDecode(
      Tensor q,
      Attention.KeyValue added,
      Attention.KeyValue cache,
      Tensor out,
      Tensor bias,
      Attention.CacheRows rows,
      Attention.Kind kind) {
    attention.decode(q, added, cache, out, bias, rows, kind);
  }

  // Losses that are fused with the output layer.

  /**
   * Computes the cross-entropy of each label and its gradients, which are those of gradScale times
   * the sum of the losses.
   *
   * @param x (M, D)
   * @param labels (M) int32; -100 leaves a row out
   * @param losses (M) float32, written
   */
  public void linearCrossEntropy(
      Tensor x,
      LogitHead head,
      Tensor labels,
      float labelSmoothing,
      float gradScale,
      Tensor losses,
      LogitHead.Gradients gradients) {
    this.losses.linearCrossEntropy(x, head, labels, labelSmoothing, gradScale, losses, gradients);
  }

  /**
   * Computes the log-probability of each label and, where asked for, the entropy of the
   * distribution, its divergence from a reference's, and the gradients of the log-probabilities.
   *
   * @param x (M, D)
   * @param labels (M) int32; -100 leaves a row out: zeros, no gradient
   * @param divergence null: none
   */
  public void logProbability(
      Tensor x,
      LogitHead head,
      Tensor labels,
      LogProbabilities outputs,
      LogitHead.Divergence divergence,
      LogitHead.Gradients gradients) {
    losses.logProbability(x, head, labels, outputs, divergence, gradients);
  }

  /**
   * Computes the loss of a policy's update by proximal policy optimization (Schulman et al. 2017)
   * and its gradients. The total is the caller's sum of {@code weights[m] (policyLosses[m] +
   * valueCoefficient valueLosses[m] - entropyCoefficient entropies[m] + klCoefficient
   * penalties[m])}.
   *
   * @param x (M, D)
   * @param critic null: none
   */
  public void ppoLoss(
      Tensor x,
      LogitHead head,
      PpoLoss.Inputs inputs,
      PpoLoss.Critic critic,
      PpoLoss.Coefficients coefficients,
      PpoLoss.Outputs outputs,
      LogitHead.Gradients gradients) {
    losses.ppoLoss(x, head, inputs, critic, coefficients, outputs, gradients);
  }

  /**
   * Computes the loss of knowledge distillation by the generalized Jensen-Shannon divergence
   * (Agarwal et al. 2023) and its gradients. The total is the caller's sum of {@code
   * divergenceWeight divergences[m] + labelWeight crossEntropies[m]}.
   *
   * @param x (M, D)
   * @param labels (M) int32; -100 leaves a row out: zeros, no gradient
   */
  public void distillationLoss(
      Tensor x,
      LogitHead head,
      Tensor labels,
      DistillationLoss.Teacher teacher,
      DistillationLoss.Coefficients coefficients,
      DistillationLoss.Outputs outputs,
      LogitHead.Gradients gradients) {
    losses.distillationLoss(x, head, labels, teacher, coefficients, outputs, gradients);
  }

  // From logits to tokens.

  /** Computes softmax or log-softmax along the rows of x (M, N) float32; y may be x. */
  public void softmax(Tensor x, Tensor y, boolean logarithm) {
    sampling.softmax(x, y, logarithm);
  }

  /** Finds the k largest of each row, largest first; values (M, k) float32, indices int32. */
  public void topK(Tensor x, Tensor values, Tensor indices) {
    sampling.topK(x, values, indices);
  }

  /** Applies rules to scores (M, V) float32, in place. */
  public void processLogits(Tensor scores, LogitRules rules) {
    sampling.processLogits(scores, rules);
  }

  /**
   * Finds the largest logit of each row after the rules, the lowest index among equals.
   *
   * @param tokens (M) int32, written
   * @param logProbabilities (M) float32 of the logits as they came in, or null
   */
  public void greedy(Tensor logits, LogitRules rules, Tensor tokens, Tensor logProbabilities) {
    greedy(logits, rules, tokens, logProbabilities, null);
  }

  /**
   * Finds the largest logit of each row as {@link #greedy(Tensor, LogitRules, Tensor, Tensor)}, and
   * appends the token.
   *
   * @param next where it is appended, or null
   */
  public void greedy(
      Tensor logits, LogitRules rules, Tensor tokens, Tensor logProbabilities, NextRows next) {
    sampling.greedy(logits, rules, tokens, logProbabilities, next);
  }

  /**
   * Samples a token for each row of logits (M, V).
   *
   * @param streams (M) int64: the sequence that a row belongs to
   * @param offsets (M) int64: the step that it is at
   */
  public void sample(
      Tensor logits,
      LogitRules rules,
      SamplingParameters sampling,
      Tensor streams,
      Tensor offsets,
      SamplingParameters.Outputs outputs) {
    this.sampling.sample(logits, rules, sampling, streams, offsets, outputs);
  }

  /**
   * Chooses a token for each row of logits (M, V), with parameters of its own: the same token as a
   * call of {@link #greedy} or {@link #sample} for the row alone.
   *
   * @param streams (M) int64: the sequence that a row belongs to
   * @param offsets (M) int64: the step that it is at
   */
  public void sample(
      Tensor logits,
      LogitRules rules,
      RowSampling sampling,
      Tensor streams,
      Tensor offsets,
      SamplingParameters.Outputs outputs) {
    this.sampling.sample(logits, rules, sampling, streams, offsets, outputs);
  }

  // Optimizers.

  /** Returns the sum of x's squares, for which the host waits; x float32, rank 1. */
  public double sumOfSquares(Tensor x) {
    return optimizers.sumOfSquares(x);
  }

  /** Takes a step of Adam or AdamW; m and v are the moments, of the parameter's shape. */
  public void adam(
      Tensor parameter, Tensor gradient, Tensor m, Tensor v, Update.Adam settings, Update update) {
    optimizers.adam(parameter, gradient, m, v, settings, update);
  }

  /**
   * Takes a step of stochastic gradient descent.
   *
   * @param buffer of the parameter's shape: its momentum; null without momentum
   */
  public void sgd(
      Tensor parameter, Tensor gradient, Tensor buffer, Update.Sgd settings, Update update) {
    optimizers.sgd(parameter, gradient, buffer, settings, update);
  }

  /**
   * Takes a step of Adafactor on a matrix (N, K) or a vector.
   *
   * @param row (N) float32: a matrix's moments of rows, or a vector's moments
   * @param column (K) float32: a matrix's moments of columns; null for a vector
   */
  public void adafactor(
      Tensor parameter,
      Tensor gradient,
      Tensor row,
      Tensor column,
      Update.Adafactor settings,
      Update update) {
    optimizers.adafactor(parameter, gradient, row, column, settings, update);
  }

  @Override
  public void close() {
    arena.close();
    context.close();
  }
}
