package dev.precis.benchmarks;

import dev.precis.ops.Ops.Activation;
import dev.precis.ops.Ops.PpoCoefficients;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Comparator;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.SplittableRandom;

/**
 * Plain loops over float arrays on one thread, as one would write them in Java: what the compiler
 * makes of them is the baseline. Inner loops run along contiguous memory, so that it may vectorise.
 */
final class JavaProvider implements Provider {
  /** Of tensors that several problems share. */
  private final Map<Tensor, float[]> arrays = new IdentityHashMap<>();

  @Override
  public String name() {
    return "java";
  }

  @Override
  public void open(int threads) {}

  /** Java has neither bfloat16 nor a product of bytes that adds into ints. */
  @Override
  public Set<DType> dtypes() {
    return Set.of(DType.FLOAT32);
  }

  @Override
  public void close() {}

  @Override
  public Call prepare(Problem problem) {
    return switch (problem) {
      case Problem.Matmul p -> matmul(p);
      case Problem.LoraMatmul p -> loraMatmul(p);
      case Problem.LoraBackward p -> loraBackward(p);
      case Problem.PpoLoss p -> ppoLoss(p);
      case Problem.Gae p -> gae(p);
      case Problem.RmsNorm p -> rmsNorm(p);
      case Problem.ActivationFunction p -> activation(p);
      case Problem.Attention p -> attention(p);
      case Problem.AttentionDecode p -> attentionDecode(p);
      case Problem.Embedding p -> embedding(p);
      case Problem.Softmax p -> softmax(p);
      case Problem.Sample p -> sample(p);
      case Problem.TopK p -> topK(p);
      case Problem.Convert p -> convert(p);
    };
  }

  /** A call whose result is an array that publish copies to a tensor. */
  private static Call call(Runnable run, float[] result, Tensor to) {
    return new Call() {
      @Override
      public void run() {
        run.run();
      }

      @Override
      public void publish() {
        MemorySegment.copy(result, 0, to.memory(), ValueLayout.JAVA_FLOAT, 0, result.length);
      }
    };
  }

  private float[] array(Tensor tensor) {
    return arrays.computeIfAbsent(tensor, JavaProvider::floats);
  }

  private static float[] floats(Tensor tensor) {
    float[] values = new float[Math.toIntExact(tensor.rows() * tensor.columns())];
    MemorySegment.copy(tensor.memory(), ValueLayout.JAVA_FLOAT, 0, values, 0, values.length);
    return values;
  }

  private static int[] ints(Tensor tensor) {
    int[] values = new int[Math.toIntExact(tensor.rows() * tensor.columns())];
    MemorySegment.copy(tensor.memory(), ValueLayout.JAVA_INT, 0, values, 0, values.length);
    return values;
  }

  /** Weights (N, K) as (K, N): along N no sum has to be reordered to vectorise. */
  private static float[] transposed(Tensor weights) {
    int n = Math.toIntExact(weights.rows());
    int k = Math.toIntExact(weights.columns());
    float[] from = floats(weights);
    float[] to = new float[from.length];
    for (int i = 0; i < n; i++) {
      for (int j = 0; j < k; j++) {
        to[j * n + i] = from[i * k + j];
      }
    }
    return to;
  }

  /** {@code y += scale x W}; x (m, k), W (k, n), y (m, n). */
  private static void addProduct(
      float[] x, float[] w, float[] y, int m, int k, int n, float scale) {
    for (int row = 0; row < m; row++) {
      int to = row * n;
      for (int i = 0; i < k; i++) {
        float factor = scale * x[row * k + i];
        int from = i * n;
        for (int j = 0; j < n; j++) {
          y[to + j] += factor * w[from + j];
        }
      }
    }
  }

  private Call matmul(Problem.Matmul p) {
    int m = Math.toIntExact(p.x().rows());
    int k = Math.toIntExact(p.x().columns());
    int n = Math.toIntExact(p.w().rows());
    float[] x = array(p.x());
    float[] w = transposed(p.w());
    float[] y = array(p.y());
    return call(
        () -> {
          Arrays.fill(y, 0);
          addProduct(x, w, y, m, k, n, 1);
        },
        y,
        p.y());
  }

  private Call loraMatmul(Problem.LoraMatmul p) {
    int m = Math.toIntExact(p.x().rows());
    int k = Math.toIntExact(p.x().columns());
    int n = Math.toIntExact(p.w().rows());
    int rank = Math.toIntExact(p.a().rows());
    float[] x = array(p.x());
    float[] w = transposed(p.w());
    float[] a = transposed(p.a());
    float[] b = transposed(p.b());
    float[] low = new float[m * rank];
    float[] y = array(p.y());
    return call(
        () -> {
          Arrays.fill(low, 0);
          Arrays.fill(y, 0);
          addProduct(x, a, low, m, k, rank, p.scaling());
          addProduct(x, w, y, m, k, n, 1);
          addProduct(low, b, y, m, rank, n, 1);
        },
        y,
        p.y());
  }

  private Call loraBackward(Problem.LoraBackward p) {
    int m = Math.toIntExact(p.x().rows());
    int k = Math.toIntExact(p.x().columns());
    int n = Math.toIntExact(p.w().rows());
    int rank = Math.toIntExact(p.a().rows());
    float[] x = array(p.x());
    float[] dy = array(p.dy());
    float[] w = array(p.w());
    float[] a = array(p.a());
    float[] b = array(p.b());
    float[] t = array(p.t());
    float[] dt = new float[m * rank];
    float[] dx = array(p.dx());
    float[] da = array(p.da());
    float[] db = array(p.db());
    return new Call() {
      @Override
      public void run() {
        Arrays.fill(dt, 0);
        Arrays.fill(dx, 0);
        Arrays.fill(da, 0);
        Arrays.fill(db, 0);
        addProduct(dy, b, dt, m, n, rank, p.scaling());
        addProduct(dy, w, dx, m, n, k, 1);
        addProduct(dt, a, dx, m, rank, k, 1);
        addOuter(dt, x, da, m, rank, k);
        addOuter(dy, t, db, m, n, rank);
      }

      @Override
      public void publish() {
        MemorySegment.copy(dx, 0, p.dx().memory(), ValueLayout.JAVA_FLOAT, 0, dx.length);
        MemorySegment.copy(da, 0, p.da().memory(), ValueLayout.JAVA_FLOAT, 0, da.length);
        MemorySegment.copy(db, 0, p.db().memory(), ValueLayout.JAVA_FLOAT, 0, db.length);
      }
    };
  }

  /** {@code w += u' v}; u (m, n), v (m, k), w (n, k). */
  private static void addOuter(float[] u, float[] v, float[] w, int m, int n, int k) {
    for (int row = 0; row < m; row++) {
      for (int i = 0; i < n; i++) {
        float factor = u[row * n + i];
        for (int j = 0; j < k; j++) {
          w[i * k + j] += factor * v[row * k + j];
        }
      }
    }
  }

  private Call ppoLoss(Problem.PpoLoss p) {
    int m = Math.toIntExact(p.x().rows());
    int d = Math.toIntExact(p.x().columns());
    int v = Math.toIntExact(p.w().rows());
    PpoCoefficients c = p.coefficients();
    float[] x = array(p.x());
    float[] w = array(p.w());
    float[] transposed = transposed(p.w());
    int[] actions = ints(p.actions());
    float[] weights = array(p.weights());
    float[] old = array(p.oldLogProbabilities());
    float[] advantages = array(p.advantages());
    float[] values = array(p.values());
    float[] oldValues = array(p.oldValues());
    float[] returns = array(p.returns());
    float[] logProbabilities = array(p.logProbabilities());
    float[] entropies = array(p.entropies());
    float[] policyLosses = array(p.policyLosses());
    float[] valueLosses = array(p.valueLosses());
    float[] dvalues = array(p.dvalues());
    float[] dx = array(p.dx());
    float[] logits = new float[m * v];
    return new Call() {
      @Override
      public void run() {
        Arrays.fill(logits, 0);
        Arrays.fill(dx, 0);
        addProduct(x, transposed, logits, m, d, v, 1);
        for (int row = 0; row < m; row++) {
          int at = row * v;
          double logOfSum = logOfSum(logits, at, v);
          double entropy = 0;
          for (int i = 0; i < v; i++) {
            double logP = logits[at + i] - logOfSum;
            entropy -= Math.exp(logP) * logP;
          }
          double logP = logits[at + actions[row]] - logOfSum;
          logProbabilities[row] = (float) logP;
          entropies[row] = (float) entropy;

          double ratio = Math.exp(logP - old[row]);
          double plain = -advantages[row] * ratio;
          double near = Math.clamp(ratio, 1 - c.clipRangeLow(), 1 + c.clipRangeHigh());
          policyLosses[row] = (float) Math.max(plain, -advantages[row] * near);
          boolean counts = near == ratio || plain > -advantages[row] * near;
          double slope = counts ? weights[row] * plain : 0;

          double error = values[row] - returns[row];
          double clipped =
              Math.clamp(
                  values[row],
                  oldValues[row] - c.clipRangeValue(),
                  oldValues[row] + c.clipRangeValue());
          double other = clipped - returns[row];
          valueLosses[row] = (float) (Math.max(error * error, other * other) / 2);
          boolean moves = clipped == values[row] || error * error > other * other;
          dvalues[row] = moves ? (float) (weights[row] * c.valueCoefficient() * error) : 0;

          double bonus = weights[row] * c.entropyCoefficient();
          for (int i = 0; i < v; i++) {
            double l = logits[at + i] - logOfSum;
            logits[at + i] = (float) (Math.exp(l) * (bonus * (l + entropy) - slope));
          }
          logits[at + actions[row]] += (float) slope;
        }
        addProduct(logits, w, dx, m, v, d, 1);
      }

      @Override
      public void publish() {
        copy(logProbabilities, p.logProbabilities());
        copy(entropies, p.entropies());
        copy(policyLosses, p.policyLosses());
        copy(valueLosses, p.valueLosses());
        copy(dvalues, p.dvalues());
        copy(dx, p.dx());
      }
    };
  }

  private static void copy(float[] from, Tensor to) {
    MemorySegment.copy(from, 0, to.memory(), ValueLayout.JAVA_FLOAT, 0, from.length);
  }

  private static double logOfSum(float[] values, int at, int n) {
    float largest = Float.NEGATIVE_INFINITY;
    for (int i = 0; i < n; i++) {
      largest = Math.max(largest, values[at + i]);
    }
    double sum = 0;
    for (int i = 0; i < n; i++) {
      sum += Math.exp(values[at + i] - largest);
    }
    return largest + Math.log(sum);
  }

  /** Over padded rows, as batches come. */
  private Call gae(Problem.Gae p) {
    int sequences = Math.toIntExact(p.rewards().rows());
    int length = Math.toIntExact(p.rewards().columns());
    int[] lengths = ints(p.lengths());
    float[] rewards = array(p.rewards());
    float[] values = array(p.values());
    float[] advantages = array(p.advantages());
    float gamma = (float) p.gamma();
    float decay = (float) (p.gamma() * p.lambda());
    return call(
        () -> {
          for (int s = 0; s < sequences; s++) {
            float next = 0;
            float last = 0;
            for (int t = length - 1; t >= 0; t--) {
              int at = s * length + t;
              float value = t < lengths[s] ? values[at] : 0;
              float reward = t < lengths[s] ? rewards[at] : 0;
              last = reward + gamma * next - value + decay * last;
              advantages[at] = last;
              next = value;
            }
          }
        },
        advantages,
        p.advantages());
  }

  private Call rmsNorm(Problem.RmsNorm p) {
    int rows = Math.toIntExact(p.x().rows());
    int width = Math.toIntExact(p.x().columns());
    float[] x = array(p.x());
    float[] weight = array(p.weight());
    float[] y = array(p.y());
    return call(
        () -> {
          for (int row = 0; row < rows; row++) {
            int at = row * width;
            float sum = 0;
            for (int i = 0; i < width; i++) {
              sum += x[at + i] * x[at + i];
            }
            float scale = (float) (1 / Math.sqrt(sum / width + p.epsilon()));
            for (int i = 0; i < width; i++) {
              y[at + i] = x[at + i] * scale * weight[i];
            }
          }
        },
        y,
        p.y());
  }

  private Call activation(Problem.ActivationFunction p) {
    int rows = Math.toIntExact(p.y().rows());
    int width = Math.toIntExact(p.y().columns());
    int stride = Math.toIntExact(p.x().columns());
    float[] x = array(p.x());
    float[] y = array(p.y());
    boolean relu = p.kind() == Activation.RELU;
    if (!relu && p.kind() != Activation.GELU_TANH) {
      throw new UnsupportedOperationException(p.kind() + " in plain Java");
    }
    return call(
        () -> {
          for (int row = 0; row < rows; row++) {
            for (int i = 0; i < width; i++) {
              float v = x[row * stride + i];
              float activated = relu ? Math.max(v, 0) : geluTanh(v);
              y[row * width + i] = p.gated() ? activated * x[row * stride + width + i] : activated;
            }
          }
        },
        y,
        p.y());
  }

  private static float geluTanh(float x) {
    double inner = Math.sqrt(2 / Math.PI) * (x + 0.044715f * x * x * x);
    return (float) (0.5 * x * (1 + Math.tanh(inner)));
  }

  private Call attention(Problem.Attention p) {
    int width = Math.toIntExact(p.q().columns());
    int headDim = width / p.heads();
    int length = p.length();
    float[] q = array(p.q());
    float[] k = array(p.k());
    float[] v = array(p.v());
    float[] bias = biasByDistance(p.bias(), length, p.maxDistance(), !p.causal());
    float[] out = array(p.out());
    float[] scores = new float[length];
    return call(
        () -> {
          Arrays.fill(out, 0);
          for (int sequence = 0; sequence < p.sequences(); sequence++) {
            int base = sequence * length;
            for (int head = 0; head < p.heads(); head++) {
              int column = head * headDim;
              for (int i = 0; i < length; i++) {
                int keys = p.causal() ? i + 1 : length;
                int biasAt = head * (2 * length - 1) + length - 1 - i;
                int query = (base + i) * width + column;
                for (int j = 0; j < keys; j++) {
                  scores[j] =
                      dot(q, query, k, (base + j) * width + column, headDim) + bias[biasAt + j];
                }
                softmax(scores, keys);
                for (int j = 0; j < keys; j++) {
                  addScaled(out, query, scores[j], v, (base + j) * width + column, headDim);
                }
              }
            }
          }
        },
        out,
        p.out());
  }

  private Call attentionDecode(Problem.AttentionDecode p) {
    int rows = Math.toIntExact(p.q().rows());
    int width = Math.toIntExact(p.q().columns());
    int headDim = width / p.heads();
    int length = p.length();
    float[] q = array(p.q());
    float[] kNew = p.kNew() == null ? null : array(p.kNew());
    float[] vNew = p.vNew() == null ? null : array(p.vNew());
    float[] k = array(p.kCache());
    float[] v = array(p.vCache());
    float[] bias =
        p.bias() == null
            ? new float[p.heads() * (2 * length - 1)]
            : biasByDistance(p.bias(), length, p.maxDistance(), false);
    float[] out = array(p.out());
    float[] scores = new float[length];
    return call(
        () -> {
          Arrays.fill(out, 0);
          for (int row = 0; row < rows; row++) {
            int first = row * length;
            if (kNew != null) {
              System.arraycopy(kNew, row * width, k, (first + length - 1) * width, width);
              System.arraycopy(vNew, row * width, v, (first + length - 1) * width, width);
            }
            for (int head = 0; head < p.heads(); head++) {
              int column = head * headDim;
              int biasAt = head * (2 * length - 1);
              int query = row * width + column;
              for (int j = 0; j < length; j++) {
                scores[j] =
                    dot(q, query, k, (first + j) * width + column, headDim) + bias[biasAt + j];
              }
              softmax(scores, length);
              for (int j = 0; j < length; j++) {
                addScaled(out, query, scores[j], v, (first + j) * width + column, headDim);
              }
            }
          }
        },
        out,
        p.out());
  }

  /**
   * (heads, 2 length - 1): the bias of each distance, from the farthest key back to the farthest
   * on.
   */
  private static float[] biasByDistance(
      Tensor table, int length, int maxDistance, boolean bidirectional) {
    int heads = Math.toIntExact(table.columns());
    int buckets = Math.toIntExact(table.rows());
    float[] bias = new float[heads * (2 * length - 1)];
    for (int distance = 1 - length; distance < length; distance++) {
      int bucket = RelativePosition.bucket(distance, buckets, maxDistance, bidirectional);
      for (int head = 0; head < heads; head++) {
        bias[head * (2 * length - 1) + distance + length - 1] = table.get(bucket, head);
      }
    }
    return bias;
  }

  private static float dot(float[] a, int aAt, float[] b, int bAt, int n) {
    float sum = 0;
    for (int i = 0; i < n; i++) {
      sum += a[aAt + i] * b[bAt + i];
    }
    return sum;
  }

  private static void addScaled(float[] y, int yAt, float scale, float[] x, int xAt, int n) {
    for (int i = 0; i < n; i++) {
      y[yAt + i] += scale * x[xAt + i];
    }
  }

  private static void softmax(float[] values, int n) {
    float largest = Float.NEGATIVE_INFINITY;
    for (int i = 0; i < n; i++) {
      largest = Math.max(largest, values[i]);
    }
    float sum = 0;
    for (int i = 0; i < n; i++) {
      values[i] = (float) Math.exp(values[i] - largest);
      sum += values[i];
    }
    for (int i = 0; i < n; i++) {
      values[i] /= sum;
    }
  }

  private Call embedding(Problem.Embedding p) {
    int width = Math.toIntExact(p.table().columns());
    float[] table = array(p.table());
    int[] ids = ints(p.ids());
    float[] y = array(p.y());
    return call(
        () -> {
          for (int t = 0; t < ids.length; t++) {
            System.arraycopy(table, ids[t] * width, y, t * width, width);
          }
        },
        y,
        p.y());
  }

  private Call softmax(Problem.Softmax p) {
    int rows = Math.toIntExact(p.x().rows());
    int width = Math.toIntExact(p.x().columns());
    float[] x = array(p.x());
    float[] y = array(p.y());
    return call(
        () -> {
          for (int row = 0; row < rows; row++) {
            int at = row * width;
            float largest = Float.NEGATIVE_INFINITY;
            for (int i = 0; i < width; i++) {
              largest = Math.max(largest, x[at + i]);
            }
            double sum = 0;
            for (int i = 0; i < width; i++) {
              y[at + i] = (float) Math.exp(x[at + i] - largest);
              sum += y[at + i];
            }
            float logOfSum = (float) Math.log(sum);
            float scale = (float) (1 / sum);
            for (int i = 0; i < width; i++) {
              y[at + i] = p.logarithm() ? x[at + i] - largest - logOfSum : y[at + i] * scale;
            }
          }
        },
        y,
        p.y());
  }

  private Call sample(Problem.Sample p) {
    int rows = Math.toIntExact(p.logits().rows());
    int width = Math.toIntExact(p.logits().columns());
    float[] logits = array(p.logits());
    int[] tokens = new int[rows];
    SplittableRandom random = new SplittableRandom(p.seed());
    return new Call() {
      @Override
      public void run() {
        for (int row = 0; row < rows; row++) {
          int at = row * width;
          if (p.greedy()) {
            tokens[row] = largest(logits, at, width);
          } else {
            int[] kept = p.topK() > 0 ? largest(logits, at, width, p.topK()) : all(width);
            tokens[row] = draw(p, logits, at, kept, random.nextDouble());
          }
        }
      }

      @Override
      public void publish() {
        MemorySegment.copy(tokens, 0, p.tokens().memory(), ValueLayout.JAVA_INT, 0, rows);
      }
    };
  }

  private static int[] all(int n) {
    int[] indices = new int[n];
    Arrays.setAll(indices, i -> i);
    return indices;
  }

  private static int largest(float[] values, int at, int n) {
    int best = 0;
    for (int i = 1; i < n; i++) {
      if (values[at + i] > values[at + best]) {
        best = i;
      }
    }
    return best;
  }

  /** The indices of the k largest, the largest first, the lower index first among equals. */
  private static int[] largest(float[] values, int at, int n, int k) {
    Comparator<Integer> smallestFirst =
        Comparator.<Integer>comparingDouble(i -> values[at + i])
            .thenComparing(Comparator.reverseOrder());
    PriorityQueue<Integer> heap = new PriorityQueue<>(k, smallestFirst);
    for (int i = 0; i < n; i++) {
      if (heap.size() < k) {
        heap.add(i);
      } else if (values[at + i] > values[at + heap.peek()]) {
        heap.poll();
        heap.add(i);
      }
    }
    int[] indices = new int[heap.size()];
    for (int i = indices.length - 1; i >= 0; i--) {
      indices[i] = heap.poll();
    }
    return indices;
  }

  /** Inverts the distribution of the kept tokens, cut at topP, at u in [0, 1). */
  private static int draw(Problem.Sample p, float[] logits, int at, int[] kept, double u) {
    float largest = Float.NEGATIVE_INFINITY;
    for (int i : kept) {
      largest = Math.max(largest, logits[at + i]);
    }
    double[] mass = new double[kept.length];
    double total = 0;
    for (int i = 0; i < kept.length; i++) {
      mass[i] = Math.exp((logits[at + kept[i]] - largest) / p.temperature());
      total += mass[i];
    }
    int count = kept.length;
    if (p.topP() < 1) {
      double limit = p.topP() * total;
      total = 0;
      for (count = 0; count < kept.length && total < limit; count++) {
        total += mass[count];
      }
    }
    double left = u * total;
    int i = 0;
    while (i < count - 1 && left >= mass[i]) {
      left -= mass[i++];
    }
    return kept[i];
  }

  private Call topK(Problem.TopK p) {
    int rows = Math.toIntExact(p.x().rows());
    int width = Math.toIntExact(p.x().columns());
    int k = Math.toIntExact(p.values().columns());
    float[] x = array(p.x());
    int[] indices = new int[rows * k];
    float[] values = new float[rows * k];
    return new Call() {
      @Override
      public void run() {
        for (int row = 0; row < rows; row++) {
          int[] best = largest(x, row * width, width, k);
          for (int i = 0; i < k; i++) {
            indices[row * k + i] = best[i];
            values[row * k + i] = x[row * width + best[i]];
          }
        }
      }

      @Override
      public void publish() {
        MemorySegment.copy(indices, 0, p.indices().memory(), ValueLayout.JAVA_INT, 0, rows * k);
        MemorySegment.copy(values, 0, p.values().memory(), ValueLayout.JAVA_FLOAT, 0, rows * k);
      }
    };
  }

  private Call convert(Problem.Convert p) {
    float[] x = array(p.x());
    short[] y = new short[x.length];
    return new Call() {
      @Override
      public void run() {
        for (int i = 0; i < x.length; i++) {
          y[i] = Bfloat16.of(x[i]);
        }
      }

      @Override
      public void publish() {
        MemorySegment.copy(y, 0, p.y().memory(), ValueLayout.JAVA_SHORT, 0, y.length);
      }
    };
  }
}
