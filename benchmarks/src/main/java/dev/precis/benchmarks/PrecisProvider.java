package dev.precis.benchmarks;

import dev.precis.alignment.policy.Advantages;
import dev.precis.ffi.Context;
import dev.precis.ops.Attention;
import dev.precis.ops.LogitHead;
import dev.precis.ops.LogitRules;
import dev.precis.ops.LoraWeights;
import dev.precis.ops.Ops;
import dev.precis.ops.PackedMatrix;
import dev.precis.ops.PpoLoss;
import dev.precis.ops.SamplingParameters;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Set;

/**
 * This project's kernels, called as its models call them. A call is over when its result is there:
 * on a GPU it is ordered and waited for. {@code cublaslt} is the same with plain products left to
 * cuBLASLt, as training has it; it is refused where there is none.
 */
final class PrecisProvider implements Provider {
  private Context context;
  private Ops ops;
  private final Arena arena = Arena.ofShared();
  private final boolean cublaslt;

  PrecisProvider() {
    this(false);
  }

  PrecisProvider(boolean cublaslt) {
    this.cublaslt = cublaslt;
  }

  @Override
  public String name() {
    return cublaslt ? "cublaslt" : "precis";
  }

  @Override
  public void open(int threads) {
    open(threads, "cpu");
  }

  @Override
  public void open(int threads, String device) {
    context = new Context.Options().device(device).threads(threads).manyRows(cublaslt).create();
    Context.Gpu gpu = context.info().gpu();
    if (cublaslt && (gpu == null || gpu.cublasltVersion().isEmpty())) {
      throw new IllegalArgumentException(
          "There is no cuBLASLt to compare with: "
              + (gpu == null ? "it needs -p device=cuda." : gpu.cublasltError()));
    }
    ops = new Ops(context);
  }

  /** The same call, over when the device is done. */
  Call waited(Call call) {
    if (!context.onGpu()) {
      return call;
    }
    return new Call() {
      @Override
      public void run() {
        call.run();
        context.synchronize();
      }

      @Override
      public void publish() {
        call.publish();
      }
    };
  }

  @Override
  public Set<DType> dtypes() {
    return context != null && context.onGpu()
        ? Set.of(DType.FLOAT32, DType.BFLOAT16)
        : Set.of(DType.FLOAT32, DType.BFLOAT16, DType.INT8);
  }

  @Override
  public MemorySegment allocate(Arena owner, long bytes) {
    return context.allocate(owner, bytes);
  }

  @Override
  public MemorySegment allocateShared(Arena owner, long bytes) {
    return context.allocateShared(owner, bytes);
  }

  Ops ops() {
    return ops;
  }

  PackedMatrix pack(DType dtype, Tensor weights) {
    return ops.pack(arena, dtype, List.of(weights));
  }

  @Override
  public Call prepare(Problem problem) {
    return waited(call(problem));
  }

  private Call call(Problem problem) {
    return switch (problem) {
      case ProductProblem.Matmul p -> {
        PackedMatrix w = pack(p.weightType(), p.w());
        yield () -> ops.matmul(p.x(), w, p.y(), 1, false);
      }
      case ProductProblem.LoraMatmul p -> {
        PackedMatrix w = pack(p.w().dtype(), p.w());
        PackedMatrix a = pack(p.a().dtype(), p.a());
        PackedMatrix b = pack(p.b().dtype(), p.b());
        LoraWeights lora = adapter(a, b, w.outputs(), a.outputs(), p.scaling());
        yield () -> ops.loraMatmul(p.x(), w, lora, p.y(), 1, false);
      }
      case ProductProblem.LoraBackward p -> loraBackward(p);
      case LossProblem.PpoLoss p -> ppoLoss(p);
      case LossProblem.Gae p -> gae(p);
      case NormProblem.RmsNorm p -> () -> ops.rmsNorm(p.x(), p.weight(), p.epsilon(), p.y());
      case ElementwiseProblem.ActivationFunction p ->
          () -> ops.activation(p.x(), p.kind(), p.gated(), p.y());
      case AttentionProblem.Attention p -> attention(p);
      case AttentionProblem.AttentionDecode p -> attentionDecode(p);
      case ElementwiseProblem.Embedding p -> () -> ops.embedding(p.table(), p.ids(), p.y());
      case SamplingProblem.Softmax p -> () -> ops.softmax(p.x(), p.y(), p.logarithm());
      case SamplingProblem.Sample p -> sample(p);
      case SamplingProblem.TopK p -> () -> ops.topK(p.x(), p.values(), p.indices());
      case ElementwiseProblem.Convert p -> () -> ops.convert(p.x(), p.y());
    };
  }

  private static LoraWeights adapter(
      PackedMatrix a, PackedMatrix b, long outputs, long rank, float scaling) {
    return new LoraWeights(a, b, List.of(new LoraWeights.Segment(0, outputs, 0, rank, scaling)));
  }

  private Call attention(AttentionProblem.Attention p) {
    Attention.Operands operands = new Attention.Operands(p.q(), p.k(), p.v(), p.out(), null);
    Attention.Kind kind =
        new Attention.Kind(p.heads(), p.causal(), !p.causal(), p.maxDistance(), 1);
    Attention.Shape shape =
        new Attention.Shape(kind, p.bias(), p.offsets(), p.offsets(), null);
    return () -> ops.attention(operands, shape);
  }

  private Call attentionDecode(AttentionProblem.AttentionDecode p) {
    Attention.KeyValue added = new Attention.KeyValue(p.kNew(), p.vNew());
    Attention.KeyValue cache = new Attention.KeyValue(p.kCache(), p.vCache());
    Attention.CacheRows rows = new Attention.CacheRows(p.keyStarts(), p.lengths(), null, 0);
    Attention.Kind kind = new Attention.Kind(p.heads(), true, false, p.maxDistance(), 1);
    return () -> ops.attentionDecode(p.q(), added, cache, p.out(), p.bias(), rows, kind);
  }

  /** As {@code dev.precis.layers.LoraTraining} does it. */
  private Call loraBackward(ProductProblem.LoraBackward p) {
    DType type = p.w().dtype();
    PackedMatrix w = ops.packTransposed(arena, type, List.of(p.w()));
    PackedMatrix b = ops.packTransposed(arena, type, List.of(p.b()));
    PackedMatrix a = ops.packTransposed(arena, type, List.of(p.a()));
    long rank = p.a().rows();
    LoraWeights lora = adapter(b, a, w.outputs(), rank, p.scaling());
    Tensor dt =
        Tensor.of(
            context.allocate(arena, p.t().memory().byteSize()), DType.FLOAT32, p.t().rows(), rank);
    return () -> {
      ops.loraMatmul(p.dy(), w, lora, null, dt, p.dx(), false);
      ops.weightGradient(dt, p.x(), p.da(), 1, type, false);
      ops.weightGradient(p.dy(), p.t(), p.db(), 1, type, false);
    };
  }

  private Call ppoLoss(LossProblem.PpoLoss p) {
    PackedMatrix w = pack(p.w().dtype(), p.w());
    PackedMatrix transposed = ops.packTransposed(arena, p.w().dtype(), List.of(p.w()));
    LogitHead head = new LogitHead(w, transposed, 1);
    PpoLoss.Inputs inputs =
        new PpoLoss.Inputs(
            p.actions(),
            p.weights(),
            p.oldLogProbabilities(),
            p.advantages(),
            null,
            p.oldValues(),
            p.returns());
    PpoLoss.Critic critic = new PpoLoss.Critic(p.values(), p.dvalues());
    PpoLoss.Outputs outputs =
        new PpoLoss.Outputs(
            p.logProbabilities(), p.entropies(), p.policyLosses(), p.valueLosses());
    LogitHead.Gradients gradients = new LogitHead.Gradients(p.dx(), null);
    return () ->
        ops.ppoLoss(p.x(), head, inputs, critic, p.coefficients(), outputs, gradients);
  }

  /**
   * As {@code dev.precis.alignment.policy.Ppo} has it: Java, over sequences that lie without
   * padding.
   */
  private static Call gae(LossProblem.Gae p) {
    int sequences = Math.toIntExact(p.rewards().rows());
    int[] offsets = new int[sequences + 1];
    for (int s = 0; s < sequences; s++) {
      offsets[s + 1] = offsets[s] + p.lengths().memory().getAtIndex(ValueLayout.JAVA_INT, s);
    }
    int tokens = offsets[sequences];
    double[] rewards = new double[tokens];
    double[] values = new double[tokens];
    double[] advantages = new double[tokens];
    boolean[] mask = new boolean[tokens];
    Arrays.fill(mask, true);
    for (int s = 0; s < sequences; s++) {
      for (int t = offsets[s]; t < offsets[s + 1]; t++) {
        rewards[t] = p.rewards().get(s, t - offsets[s]);
        values[t] = p.values().get(s, t - offsets[s]);
      }
    }
    return new Call() {
      @Override
      public void run() {
        Advantages.gae(rewards, values, mask, offsets, p.gamma(), p.lambda(), advantages);
      }

      @Override
      public void publish() {
        long length = p.advantages().columns();
        p.advantages().memory().fill((byte) 0);
        for (int s = 0; s < sequences; s++) {
          for (int t = offsets[s]; t < offsets[s + 1]; t++) {
            p.advantages()
                .memory()
                .setAtIndex(
                    ValueLayout.JAVA_FLOAT, s * length + t - offsets[s], (float) advantages[t]);
          }
        }
      }
    };
  }

  private Call sample(SamplingProblem.Sample p) {
    int rows = Math.toIntExact(p.logits().rows());
    LogitRules none =
        new LogitRules(
            Tensor.of(context.allocateShared(arena, 4L * rows), DType.INT32, rows, 1),
            Tensor.of(context.allocateShared(arena, 4L * rows), DType.INT32, rows),
            Tensor.of(context.allocateShared(arena, 4), DType.INT32, 1),
            1,
            0,
            0);
    if (p.greedy()) {
      return () -> ops.greedy(p.logits(), none, p.tokens(), null);
    }
    Tensor streams = Tensor.of(context.allocateShared(arena, 8L * rows), DType.INT64, rows);
    Tensor offsets = Tensor.of(context.allocateShared(arena, 8L * rows), DType.INT64, rows);
    for (int r = 0; r < rows; r++) {
      streams.memory().setAtIndex(ValueLayout.JAVA_LONG, r, r);
    }
    SamplingParameters parameters =
        new SamplingParameters(p.seed(), p.temperature(), p.topK(), p.topP());
    SamplingParameters.Outputs outputs =
        new SamplingParameters.Outputs(p.tokens(), null, null, null);
    return () -> {
      for (int r = 0; r < rows; r++) {
        long offset = offsets.memory().getAtIndex(ValueLayout.JAVA_LONG, r);
        offsets.memory().setAtIndex(ValueLayout.JAVA_LONG, r, offset + 1);
      }
      ops.sample(p.logits(), none, parameters, streams, offsets, outputs);
    };
  }

  @Override
  public void close() {
    arena.close();
    if (ops != null) {
      ops.close();
    }
    if (context != null) {
      context.close();
    }
  }
}
