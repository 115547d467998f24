package dev.precis.alignment.policy.replay;

import dev.precis.alignment.policy.replay.DoubleTape.Node;
import dev.precis.checkpoint.Checkpoint;
import dev.precis.checkpoint.TensorView;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * T5 (Raffel et al. 2020) of one sequence at a time in double precision, with LoRA adapters and a
 * value head: nothing is padded, so that nothing has to be masked but the decoder's future.
 */
public final class DoubleT5 {
  private static final double EPSILON = 1e-6;
  private static final int BUCKETS = 32;
  private static final int MAX_DISTANCE = 128;

  private final Map<String, double[][]> weights = new LinkedHashMap<>();
  private final Map<String, Node> transposed = new LinkedHashMap<>();
  private final Map<String, Node> adapters = new LinkedHashMap<>();
  private final int heads;
  private final int encoderLayers;
  private final int decoderLayers;
  private final boolean gated;
  private final boolean tied;
  private double scaling;
  private Node headWeight;
  private Node headBias;

  public DoubleT5(Path folder) {
    JsonNode config = JsonMapper.shared().readTree(folder.resolve("config.json").toFile());
    heads = config.get("num_heads").intValue();
    encoderLayers = config.get("num_layers").intValue();
    decoderLayers = config.get("num_decoder_layers").intValue();
    gated = config.get("feed_forward_proj").stringValue().equals("gated-gelu");
    tied = config.get("tie_word_embeddings").booleanValue();
    try (Checkpoint file = Checkpoint.openFile(folder.resolve("model.safetensors"))) {
      for (String name : file.names()) {
        weights.put(name, matrix(file.get(name)));
      }
    }
    weights.forEach(
        (name, w) -> transposed.put(name, DoubleTape.constant(DoubleTape.transposed(w))));
  }

  /** Rows of a tensor of one or two dimensions. */
  static double[][] matrix(TensorView view) {
    long[] shape = view.shape();
    int columns = (int) shape[shape.length - 1];
    float[] values = view.toFloat32();
    double[][] matrix = new double[values.length / columns][columns];
    for (int i = 0; i < values.length; i++) {
      matrix[i / columns][i % columns] = values[i];
    }
    return matrix;
  }

  /** Adds the adapters of a PEFT folder: y = x W' + alpha / r (x A') B'. */
  public void adapt(Path folder) {
    JsonNode config = JsonMapper.shared().readTree(folder.resolve("adapter_config.json").toFile());
    scaling = config.get("lora_alpha").doubleValue() / config.get("r").doubleValue();
    try (Checkpoint file = Checkpoint.openFile(folder.resolve("adapter_model.safetensors"))) {
      for (String name : file.names()) {
        double[][] w = DoubleTape.transposed(matrix(file.get(name)));
        adapters.put(name.replace("base_model.model.", ""), DoubleTape.parameter(w));
      }
    }
  }

  /** Adds a value head: v = h w + b of the decoder's last hidden state. */
  public void valueHead(double[] weight, double bias) {
    headWeight = DoubleTape.parameter(DoubleTape.transposed(new double[][] {weight}));
    headBias = DoubleTape.parameter(new double[][] {{bias}});
  }

  /** Trained matrices by PEFT's name, each as (in, out): the transpose of the file's. */
  Map<String, Node> parameters() {
    Map<String, Node> all = new LinkedHashMap<>(adapters);
    if (headWeight != null) {
      all.put("v_head.summary.weight", headWeight);
      all.put("v_head.summary.bias", headBias);
    }
    return all;
  }

  /** The encoder's last states (length, width); without the adapters where it is the reference. */
  Node encode(DoubleTape tape, int[] ids, boolean adapted) {
    Node x = embed(ids);
    double[][][] bias = relativeBias("encoder", ids.length, true);
    for (int l = 0; l < encoderLayers; l++) {
      String block = "encoder.block." + l + ".layer.";
      Node normed = norm(tape, block + "0.layer_norm", x);
      String attention = block + "0.SelfAttention.";
      x = tape.add(x, attend(tape, attention, normed, normed, bias, adapted));
      x = tape.add(x, feedForward(tape, block + "1.", x));
    }
    return norm(tape, "encoder.final_layer_norm", x);
  }

  /** The decoder's last states (length, width) for inputs that begin with the start token. */
  Node decode(DoubleTape tape, Node encoded, int[] inputs, boolean adapted) {
    Node x = embed(inputs);
    double[][][] bias = relativeBias("decoder", inputs.length, false);
    double[][][] none = new double[heads][inputs.length][encoded.rows()];
    for (int l = 0; l < decoderLayers; l++) {
      String block = "decoder.block." + l + ".layer.";
      Node normed = norm(tape, block + "0.layer_norm", x);
      String self = block + "0.SelfAttention.";
      x = tape.add(x, attend(tape, self, normed, normed, bias, adapted));
      normed = norm(tape, block + "1.layer_norm", x);
      String cross = block + "1.EncDecAttention.";
      x = tape.add(x, attend(tape, cross, normed, encoded, none, adapted));
      x = tape.add(x, feedForward(tape, block + "2.", x));
    }
    return norm(tape, "decoder.final_layer_norm", x);
  }

  /** Logits (length, vocabulary); a tied head reads states times width^-0.5. */
  Node logits(DoubleTape tape, Node hidden) {
    return tied
        ? tape.matmul(
            tape.scale(hidden, 1 / Math.sqrt(hidden.columns())), transposed.get("shared.weight"))
        : tape.matmul(hidden, transposed.get("lm_head.weight"));
  }

  /** The value head's estimates (length, 1). */
  Node values(DoubleTape tape, Node hidden) {
    if (headWeight == null) {
      return null;
    }
    return tape.add(tape.matmul(hidden, headWeight), headBias);
  }

  private Node embed(int[] ids) {
    double[][] table = weights.get("shared.weight");
    double[][] rows = new double[ids.length][];
    for (int i = 0; i < ids.length; i++) {
      rows[i] = table[ids[i]];
    }
    return DoubleTape.constant(rows);
  }

  private Node norm(DoubleTape tape, String name, Node x) {
    return tape.rmsNorm(x, weights.get(name + ".weight")[0], EPSILON);
  }

  private Node linear(DoubleTape tape, String name, Node x, boolean adapted) {
    Node y = tape.matmul(x, transposed.get(name + ".weight"));
    Node a = adapters.get(name + ".lora_A.weight");
    if (a == null || !adapted) {
      return y;
    }
    Node b = adapters.get(name + ".lora_B.weight");
    return tape.add(y, scaling, tape.matmul(tape.matmul(x, a), b));
  }

  private Node attend(
      DoubleTape tape, String name, Node x, Node memory, double[][][] bias, boolean adapted) {
    Node q = linear(tape, name + "q", x, adapted);
    Node k = linear(tape, name + "k", memory, adapted);
    Node v = linear(tape, name + "v", memory, adapted);
    return linear(tape, name + "o", tape.attention(q, k, v, bias), adapted);
  }

  private Node feedForward(DoubleTape tape, String layer, Node x) {
    Node normed = norm(tape, layer + "layer_norm", x);
    String dense = layer + "DenseReluDense.";
    Node inner =
        gated
            ? tape.multiply(
                tape.geluTanh(linear(tape, dense + "wi_0", normed, false)),
                linear(tape, dense + "wi_1", normed, false))
            : tape.relu(linear(tape, dense + "wi", normed, false));
    return linear(tape, dense + "wo", inner, false);
  }

  /** The first layer's bias by bucket of distance, which all layers share: (heads, n, n). */
  private double[][][] relativeBias(String stack, int n, boolean bothWays) {
    double[][] table =
        weights.get(stack + ".block.0.layer.0.SelfAttention.relative_attention_bias.weight");
    double[][][] bias = new double[heads][n][n];
    for (int h = 0; h < heads; h++) {
      for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
          bias[h][i][j] =
              bothWays || j <= i ? table[bucket(j - i, bothWays)][h] : Double.NEGATIVE_INFINITY;
        }
      }
    }
    return bias;
  }

  /** Near distances have a bucket each, far ones share logarithmic buckets. */
  private static int bucket(int memoryMinusQuery, boolean bothWays) {
    int buckets = bothWays ? BUCKETS / 2 : BUCKETS;
    int first = bothWays && memoryMinusQuery > 0 ? buckets : 0;
    int distance = Math.abs(memoryMinusQuery);
    int exact = buckets / 2;
    if (distance < exact) {
      return first + distance;
    }
    double far =
        Math.log((double) distance / exact)
            / Math.log((double) MAX_DISTANCE / exact)
            * (buckets - exact);
    // Powers of two are exactly on an edge, where the quotient of logarithms may fall short.
    return first + Math.min(buckets - 1, exact + (int) (far + 1e-9));
  }
}
