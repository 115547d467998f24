package dev.precis.benchmarks;

import dev.precis.ops.Ops.Activation;
import dev.precis.ops.Ops.PpoCoefficients;
import dev.precis.tensor.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.LongStream;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.InferenceMode;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.T_TensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * libtorch, in eager mode and as transformers 5 calls it, over the same memory: what a PyTorch
 * program runs, without Python's share.
 */
public final class TorchProvider implements Provider {
  private PointerScope everything;

  @Override
  public String name() {
    return "torch";
  }

  @Override
  public void open(int threads) {
    if (!"true".equalsIgnoreCase(System.getenv("OMP_PROC_BIND"))
        || System.getenv("OMP_PLACES") == null) {
      System.err.println(
          "libtorch's threads are not pinned and may share a core: use benchmarks/run, or set"
              + " OMP_PROC_BIND=true and OMP_PLACES.");
    }
    everything = new PointerScope();
    torch.set_num_threads(threads);
    // In force until it is closed, with everything else.
    new InferenceMode(true);
  }

  /** Not int8: its quantised products are not in libtorch's C++ interface. */
  @Override
  public Set<DType> dtypes() {
    return Set.of(DType.FLOAT32, DType.BFLOAT16);
  }

  @Override
  public void close() {
    if (everything != null) {
      everything.close();
      everything = null;
    }
  }

  @Override
  public Call prepare(Problem problem) {
    return switch (problem) {
      case Problem.Matmul p -> {
        Tensor x = view(p.x());
        Tensor w = view(p.w());
        yield call(() -> torch.linear(x, w), view(p.y()));
      }
      case Problem.LoraMatmul p -> loraMatmul(p);
      case Problem.LoraBackward p -> loraBackward(p);
      case Problem.PpoLoss p -> ppoLoss(p);
      case Problem.Gae p -> gae(p);
      case Problem.RmsNorm p -> rmsNorm(p);
      case Problem.ActivationFunction p -> activation(p);
      case Problem.Attention p -> attention(p);
      case Problem.AttentionDecode p -> attentionDecode(p);
      case Problem.Embedding p -> {
        Tensor table = view(p.table());
        Tensor ids = view(p.ids());
        yield call(() -> torch.embedding(table, ids), view(p.y()));
      }
      case Problem.Softmax p -> {
        Tensor x = view(p.x());
        yield call(
            p.logarithm() ? () -> torch.log_softmax(x, -1) : () -> torch.softmax(x, -1),
            view(p.y()));
      }
      case Problem.Sample p -> sample(p);
      case Problem.TopK p -> topK(p);
      case Problem.Convert p -> {
        Tensor x = view(p.x());
        Tensor y = view(p.y());
        yield () -> y.copy_(x);
      }
    };
  }

  /** A call whose result is a new tensor; the one before is freed. */
  private static Call call(Supplier<Tensor> compute, Tensor output) {
    return new Call() {
      private Tensor result;

      @Override
      public void run() {
        try (var _ = new PointerScope()) {
          Tensor next = compute.get();
          next.retainReference();
          if (result != null) {
            result.close();
          }
          result = next;
        }
      }

      @Override
      public void publish() {
        output.copy_(result);
      }
    };
  }

  /** The same memory. */
  private static Tensor view(dev.precis.tensor.Tensor tensor) {
    long[] dims = LongStream.range(0, tensor.rank()).map(i -> tensor.dim((int) i)).toArray();
    return view(tensor, dims);
  }

  private static Tensor view(dev.precis.tensor.Tensor tensor, long... dims) {
    ScalarType type =
        switch (tensor.dtype()) {
          case FLOAT32 -> ScalarType.Float;
          case BFLOAT16 -> ScalarType.BFloat16;
          case INT32 -> ScalarType.Int;
          default -> throw new IllegalArgumentException(tensor + " is not passed to libtorch");
        };
    return torch.from_blob(new Address(tensor.memory()), dims, new TensorOptions(type));
  }

  private static final class Address extends Pointer {
    Address(MemorySegment memory) {
      address = memory.address();
    }
  }

  /** As PEFT does it, with the scaling folded into the sum. */
  private Call loraMatmul(Problem.LoraMatmul p) {
    Tensor x = view(p.x());
    Tensor w = view(p.w());
    Tensor a = view(p.a());
    Tensor b = view(p.b());
    Scalar scaling = new Scalar(p.scaling());
    return call(
        () -> torch.add(torch.linear(x, w), torch.linear(torch.linear(x, a), b), scaling),
        view(p.y()));
  }

  /** The products that autograd makes of loraMatmul; dy B once more, 4 % of the whole. */
  private Call loraBackward(Problem.LoraBackward p) {
    Tensor x = view(p.x());
    Tensor dy = view(p.dy());
    Tensor w = view(p.w());
    Tensor a = view(p.a());
    Tensor b = view(p.b());
    Tensor t = view(p.t()).to(x.scalar_type());
    Scalar scaling = new Scalar(p.scaling());
    Call dx =
        call(() -> torch.add(torch.mm(dy, w), torch.mm(torch.mm(dy, b), a), scaling), view(p.dx()));
    Call da = call(() -> torch.mul(torch.mm(torch.mm(dy, b).t(), x), scaling), view(p.da()));
    Call db = call(() -> torch.mm(dy.t(), t), view(p.db()));
    return new Call() {
      @Override
      public void run() {
        dx.run();
        da.run();
        db.run();
      }

      @Override
      public void publish() {
        dx.publish();
        da.publish();
        db.publish();
      }
    };
  }

  /**
   * A chain of operations as TRL has it, on all logits in float32, and the backward that autograd
   * makes of it but for what that would compute twice.
   */
  private Call ppoLoss(Problem.PpoLoss p) {
    PpoCoefficients c = p.coefficients();
    Tensor x = view(p.x());
    Tensor w = view(p.w());
    Tensor actions = view(p.actions()).to(ScalarType.Long).unsqueeze(1);
    Tensor weights = view(p.weights());
    Tensor old = view(p.oldLogProbabilities());
    Tensor advantages = view(p.advantages());
    Tensor values = view(p.values());
    Tensor oldValues = view(p.oldValues());
    Tensor returns = view(p.returns());
    Scalar half = new Scalar(0.5);
    Scalar bonus = new Scalar(c.entropyCoefficient());
    Scalar valueCoefficient = new Scalar(c.valueCoefficient());
    Scalar range = new Scalar(c.clipRangeValue());
    Scalar low = new Scalar(1.0 - c.clipRangeLow());
    Scalar high = new Scalar(1.0 + c.clipRangeHigh());
    ScalarOptional atLeast = new ScalarOptional(low);
    ScalarOptional atMost = new ScalarOptional(high);
    Tensor[] outputs = {
      view(p.logProbabilities()),
      view(p.entropies()),
      view(p.policyLosses()),
      view(p.valueLosses()),
      view(p.dx()),
      view(p.dvalues())
    };
    return new Call() {
      private Tensor[] results = {};

      @Override
      public void run() {
        try (var _ = new PointerScope()) {
          Tensor all = torch.log_softmax(torch.linear(x, w).to(ScalarType.Float), -1);
          Tensor logProbabilities = torch.gather(all, 1, actions).squeeze(1);
          Tensor probabilities = torch.exp(all);
          Tensor entropies = torch.neg(torch.sum(torch.mul(probabilities, all), -1));

          Tensor ratio = torch.exp(logProbabilities.sub(old));
          Tensor plain = torch.neg(torch.mul(advantages, ratio));
          Tensor clipped = torch.neg(torch.mul(advantages, torch.clamp(ratio, atLeast, atMost)));
          Tensor policyLosses = torch.maximum(plain, clipped);
          Tensor near =
              torch.minimum(torch.maximum(values, oldValues.sub(range)), oldValues.add(range));
          Tensor error = values.sub(returns);
          Tensor squared = torch.square(error);
          Tensor nearSquared = torch.square(near.sub(returns));
          Tensor valueLosses = torch.mul(torch.maximum(squared, nearSquared), half);

          // Of two equals, which are so within the clip range, both pass theirs on.
          Tensor slope = torch.mul(torch.mul(weights, plain), plain.ge(clipped)).unsqueeze(1);
          Tensor share = torch.mul(weights, bonus).unsqueeze(1);
          Tensor g =
              torch.mul(
                  probabilities, torch.mul(all.add(entropies.unsqueeze(1)), share).sub(slope));
          Tensor dx = torch.mm(g.scatter_add(1, actions, slope).to(w.scalar_type()), w);
          Tensor dvalues =
              torch.mul(
                  torch.mul(torch.mul(weights, valueCoefficient), error), squared.ge(nearSquared));
          Tensor[] next = {logProbabilities, entropies, policyLosses, valueLosses, dx, dvalues};
          for (Tensor each : next) {
            each.retainReference();
          }
          for (Tensor each : results) {
            each.close();
          }
          results = next;
        }
      }

      @Override
      public void publish() {
        for (int i = 0; i < outputs.length; i++) {
          outputs[i].copy_(results[i]);
        }
      }
    };
  }

  /** TRL's loop over the tokens of a padded batch. */
  private Call gae(Problem.Gae p) {
    int length = Math.toIntExact(p.rewards().columns());
    Tensor rewards = view(p.rewards());
    Tensor values = view(p.values());
    Tensor mask = Tensor.create(mask(p), p.rewards().rows(), length);
    Scalar gamma = new Scalar(p.gamma());
    Scalar decay = new Scalar(p.gamma() * p.lambda());
    return call(
        () -> {
          Tensor reward = torch.mul(rewards, mask);
          Tensor value = torch.mul(values, mask);
          Tensor last = torch.zeros_like(value.select(1, 0));
          Tensor next = last;
          TensorVector advantages = new TensorVector(length);
          for (int t = length - 1; t >= 0; t--) {
            Tensor now = value.select(1, t);
            Tensor delta = torch.add(reward.select(1, t), next, gamma).sub(now);
            last = torch.add(delta, last, decay);
            advantages.put(t, last);
            next = now;
          }
          return torch.stack(advantages, 1);
        },
        view(p.advantages()));
  }

  private static float[] mask(Problem.Gae p) {
    int length = Math.toIntExact(p.rewards().columns());
    float[] mask = new float[Math.toIntExact(p.rewards().rows()) * length];
    for (int i = 0; i < mask.length; i++) {
      int of = p.lengths().memory().getAtIndex(ValueLayout.JAVA_INT, i / length);
      mask[i] = i % length < of ? 1 : 0;
    }
    return mask;
  }

  private Call rmsNorm(Problem.RmsNorm p) {
    Tensor x = view(p.x());
    long[] width = {p.x().columns()};
    TensorOptional weight = new TensorOptional(view(p.weight()));
    DoubleOptional epsilon = new DoubleOptional(p.epsilon());
    boolean converts = p.y().dtype() == DType.BFLOAT16;
    return call(
        () -> {
          Tensor y = torch.rms_norm(x, width, weight, epsilon);
          return converts ? y.to(ScalarType.BFloat16) : y;
        },
        view(p.y()));
  }

  private Call activation(Problem.ActivationFunction p) {
    Tensor x = view(p.x());
    if (p.kind() == Activation.RELU && !p.gated()) {
      return call(() -> torch.relu(x), view(p.y()));
    }
    if (p.kind() != Activation.GELU_TANH || !p.gated()) {
      throw new UnsupportedOperationException(p.kind() + " in libtorch");
    }
    // transformers computes the two halves apart: each is contiguous.
    long width = p.y().columns();
    Tensor gate = x.narrow(1, 0, width).contiguous();
    Tensor value = x.narrow(1, width, width).contiguous();
    return call(() -> torch.mul(torch.gelu(gate, "tanh"), value), view(p.y()));
  }

  private Call attention(Problem.Attention p) {
    long[] dims = {p.sequences(), p.length(), p.heads(), p.q().columns() / p.heads()};
    Tensor q = view(p.q(), dims).transpose(1, 2);
    Tensor k = view(p.k(), dims).transpose(1, 2);
    Tensor v = view(p.v(), dims).transpose(1, 2);
    TensorOptional mask = mask(p.bias(), p.length(), p.length(), p.maxDistance(), p.causal(), q);
    DoubleOptional scale = new DoubleOptional(1);
    long[] flat = {p.out().rows(), p.out().columns()};
    return call(
        () ->
            torch
                .scaled_dot_product_attention(q, k, v, mask, 0, false, scale, false)
                .transpose(1, 2)
                .reshape(flat),
        view(p.out()));
  }

  private Call attentionDecode(Problem.AttentionDecode p) {
    long rows = p.q().rows();
    long headDim = p.q().columns() / p.heads();
    long[] one = {rows, 1, p.heads(), headDim};
    long[] all = {rows, p.length(), p.heads(), headDim};
    Tensor q = view(p.q(), one).transpose(1, 2);
    Tensor kCache = view(p.kCache(), all);
    Tensor vCache = view(p.vCache(), all);
    Tensor kNew = p.kNew() == null ? null : view(p.kNew(), one);
    Tensor vNew = p.vNew() == null ? null : view(p.vNew(), one);
    Tensor kLast = kCache.narrow(1, p.length() - 1, 1);
    Tensor vLast = vCache.narrow(1, p.length() - 1, 1);
    Tensor k = kCache.transpose(1, 2);
    Tensor v = vCache.transpose(1, 2);
    TensorOptional mask =
        p.bias() == null
            ? new TensorOptional()
            : mask(p.bias(), 1, p.length(), p.maxDistance(), true, q);
    DoubleOptional scale = new DoubleOptional(1);
    long[] flat = {rows, p.out().columns()};
    return call(
        () -> {
          if (kNew != null) {
            kLast.copy_(kNew);
            vLast.copy_(vNew);
          }
          return torch
              .scaled_dot_product_attention(q, k, v, mask, 0, false, scale, false)
              .transpose(1, 2)
              .reshape(flat);
        },
        view(p.out()));
  }

  /** The bias of the last queries as (1, heads, queries, keys), of the type of q. */
  private static TensorOptional mask(
      dev.precis.tensor.Tensor table,
      int queries,
      int keys,
      int maxDistance,
      boolean causal,
      Tensor q) {
    int heads = Math.toIntExact(table.columns());
    int buckets = Math.toIntExact(table.rows());
    float[] values = new float[heads * queries * keys];
    for (int i = 0; i < queries; i++) {
      int position = keys - queries + i;
      for (int j = 0; j < keys; j++) {
        int bucket = RelativePosition.bucket(j - position, buckets, maxDistance, !causal);
        for (int head = 0; head < heads; head++) {
          values[(head * queries + i) * keys + j] =
              causal && j > position ? Float.NEGATIVE_INFINITY : table.get(bucket, head);
        }
      }
    }
    Tensor mask = Tensor.create(values, 1, heads, queries, keys);
    return new TensorOptional(mask.to(q.scalar_type()));
  }

  /** The warpers of transformers, in its order. */
  private Call sample(Problem.Sample p) {
    Tensor logits = view(p.logits());
    Tensor tokens = view(p.tokens());
    torch.manual_seed(p.seed());
    if (p.greedy()) {
      LongOptional last = new LongOptional(-1);
      return call(() -> torch.argmax(logits, last, false), tokens);
    }
    Scalar temperature = new Scalar(p.temperature());
    Scalar never = new Scalar(Float.NEGATIVE_INFINITY);
    Scalar dropped = new Scalar(1 - p.topP());
    long vocabulary = p.logits().columns();
    return call(
        () -> {
          Tensor scores = logits.div(temperature);
          if (p.topK() > 0) {
            Tensor smallest = torch.topk(scores, p.topK()).get0().narrow(1, p.topK() - 1, 1);
            scores = scores.masked_fill(scores.lt(smallest), never);
          }
          if (p.topP() < 1) {
            T_TensorTensor_T sorted = torch.sort(scores, -1, false);
            Tensor removed = sorted.get0().softmax(-1).cumsum(-1).le(dropped);
            removed.narrow(1, vocabulary - 1, 1).zero_();
            scores = scores.masked_fill(removed.scatter(1, sorted.get1(), removed), never);
          }
          return torch.multinomial(scores.softmax(-1), 1).squeeze(1);
        },
        tokens);
  }

  private Call topK(Problem.TopK p) {
    Tensor x = view(p.x());
    Tensor values = view(p.values());
    Tensor indices = view(p.indices());
    long k = p.values().columns();
    Tensor bestValues = torch.empty_like(values);
    Tensor bestIndices = indices.to(ScalarType.Long);
    return new Call() {
      @Override
      public void run() {
        torch.topk_out(bestValues, bestIndices, x, k).close();
      }

      @Override
      public void publish() {
        values.copy_(bestValues);
        indices.copy_(bestIndices);
      }
    };
  }
}
