package dev.precis.benchmarks;

import dev.precis.checkpoint.Checkpoint;
import dev.precis.ops.Activation;
import dev.precis.t5.T5Config;
import java.util.Arrays;

/** FLAN-T5 in double precision for a few tokens, written as the paper reads, without a cache. */
final class ReferenceT5 {
  private final Checkpoint checkpoint;
  private final T5Config config;

  ReferenceT5(Checkpoint checkpoint, T5Config config) {
    this.checkpoint = checkpoint;
    this.config = config;
  }

  /** Returns the next token's logits for each decoder input, of which the start token is first. */
  double[][] logits(int[] source, int[] decoderInput) {
    double[][] encoded = stack("encoder", source, null);
    return linear("lm_head", stack("decoder", decoderInput, encoded));
  }

  private double[][] stack(String name, int[] ids, double[][] encoded) {
    boolean decoder = encoded != null;
    int d = config.dModel();
    float[] table = weights("shared");
    double[][] x = new double[ids.length][d];
    for (int t = 0; t < ids.length; t++) {
      for (int i = 0; i < d; i++) {
        x[t][i] = table[ids[t] * d + i];
      }
    }
    float[] bias = weights(name + ".block.0.layer.0.SelfAttention.relative_attention_bias");
    int layers = decoder ? config.numDecoderLayers() : config.numLayers();
    for (int l = 0; l < layers; l++) {
      String layer = name + ".block." + l + ".layer.";
      double[][] normed = norm(layer + "0.layer_norm", x);
      add(x, attention(layer + "0.SelfAttention.", normed, normed, bias, decoder));
      if (decoder) {
        normed = norm(layer + "1.layer_norm", x);
        add(x, attention(layer + "1.EncDecAttention.", normed, encoded, null, false));
      }
      String last = layer + (decoder ? 2 : 1);
      add(x, feedForward(last + ".DenseReluDense.", norm(last + ".layer_norm", x)));
    }
    return norm(name + ".final_layer_norm", x);
  }

  private double[][] attention(
      String prefix, double[][] x, double[][] memory, float[] bias, boolean causal) {
    double[][] q = linear(prefix + "q", x);
    double[][] k = linear(prefix + "k", memory);
    double[][] v = linear(prefix + "v", memory);
    double[][] mixed = new double[x.length][config.inner()];
    for (int i = 0; i < x.length; i++) {
      int keys = causal ? i + 1 : memory.length;
      for (int head = 0; head < config.numHeads(); head++) {
        int from = head * config.dKv();
        int to = from + config.dKv();
        double[] scores = new double[keys];
        for (int j = 0; j < keys; j++) {
          for (int c = from; c < to; c++) {
            scores[j] += q[i][c] * k[j][c];
          }
          if (bias != null) {
            int bucket =
                RelativePosition.bucket(
                    j - i,
                    config.relativeAttentionNumBuckets(),
                    config.relativeAttentionMaxDistance(),
                    !causal);
            scores[j] += bias[bucket * config.numHeads() + head];
          }
        }
        double[] probabilities = Reference.softmax(scores);
        for (int j = 0; j < keys; j++) {
          for (int c = from; c < to; c++) {
            mixed[i][c] += probabilities[j] * v[j][c];
          }
        }
      }
    }
    return linear(prefix + "o", mixed);
  }

  private double[][] feedForward(String prefix, double[][] x) {
    double[][] gate = linear(prefix + "wi_0", x);
    double[][] value = linear(prefix + "wi_1", x);
    for (int t = 0; t < x.length; t++) {
      double[] g = gate[t];
      double[] v = value[t];
      Arrays.setAll(g, i -> ElementwiseReference.activate(Activation.GELU_TANH, g[i]) * v[i]);
    }
    return linear(prefix + "wo", gate);
  }

  private double[][] norm(String name, double[][] x) {
    float[] weight = weights(name);
    double[][] y = new double[x.length][];
    for (int t = 0; t < x.length; t++) {
      double[] row = x[t].clone();
      double scale =
          1
              / Math.sqrt(
                  Arrays.stream(row).map(v -> v * v).average().orElseThrow()
                      + config.layerNormEpsilon());
      Arrays.setAll(row, i -> row[i] * scale * weight[i]);
      y[t] = row;
    }
    return y;
  }

  private double[][] linear(String name, double[][] x) {
    float[] w = weights(name);
    int inputs = x[0].length;
    double[][] y = new double[x.length][w.length / inputs];
    for (int t = 0; t < x.length; t++) {
      for (int n = 0; n < y[t].length; n++) {
        double sum = 0;
        for (int k = 0; k < inputs; k++) {
          sum += x[t][k] * w[n * inputs + k];
        }
        y[t][n] = sum;
      }
    }
    return y;
  }

  private static void add(double[][] x, double[][] y) {
    for (int t = 0; t < x.length; t++) {
      for (int i = 0; i < x[t].length; i++) {
        x[t][i] += y[t][i];
      }
    }
  }

  private float[] weights(String name) {
    return checkpoint.get(name + ".weight").toFloat32();
  }
}
