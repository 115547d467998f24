package dev.precis.t5;

import dev.precis.ops.OpTimer;
import dev.precis.ops.OpTimer.Section;
import java.util.EnumMap;
import java.util.Map;
import java.util.Set;

/**
 * Computes the least work of a T5 from its configuration: the multiply-adds of its products and
 * attention, and the bytes that its weights, caches and optimizer states have. The time in which a
 * machine can do that at most is the floor of what is measured.
 *
 * <p>With d = dModel, i = heads x dKv, f = dFf, g = 3 for a gated feed-forward layer and 2 for
 * another, L and L' the layers of encoder and decoder, and V = vocabSize, the weights that a token
 * is multiplied with are
 *
 * <pre>
 *   E = L (4 d i + g d f)         of the encoder, for a source token
 *   C = L' 2 d i                  of cross-attention's keys and values, for a source token
 *   D = L' (6 d i + g d f)        of the decoder, for a target token
 *   H = V d                       of the output layer, for a target token
 * </pre>
 *
 * <p>For B sequences of S source and T target tokens, one multiply-add being two operations:
 *
 * <pre>
 *   forward      (E + C) B S   +   D B T   +   H B T   +   A
 *   A            = 2 i B (L S^2  +  L' (T (T + 1) / 2  +  S T))
 *   generation   (E + C) B S   +   2 i L S^2 B   and T steps, step t of which takes
 *                (D + H) B   +   2 i L' B (S + t)   multiply-adds
 *                w (D + H)   +   2 i L' a B (S + t)   bytes
 *   backward     forward, for the gradients of all inputs, but for those of the first layers' q, k
 *                and v: 3 d i (B S + B T) less;   5/2 A in place of A
 *   LoRA         r (in + out) for each adapted weight and token forward, 2 r (in + out) backward,
 *                r in less for those of the first layers
 *   update       28 bytes a trained parameter: AdamW reads parameter, gradient and two moments and
 *                writes three of them
 * </pre>
 *
 * <p>w is the bytes of a packed weight and a those of a key or value. The 5/2 are five products in
 * place of two: the probabilities are computed again instead of kept. Attention counts the keys
 * that a query sees. Norms, activation functions, sums and the choice of tokens count as nothing,
 * and so do the logits that a fused loss computes a second time.
 */
public final class T5Work {
  /** The parts that a floor is given for. */
  public enum Part {
    /** Products with the encoder's weights, and cross-attention's keys and values. */
    ENCODER_PRODUCTS,
    /** Attention over whole sequences. */
    ATTENTION,
    /** Products with the decoder's weights, of whole sequences. */
    DECODER_PRODUCTS,
    /** Products with the decoder's weights, in decoding steps. */
    DECODE_PRODUCTS,
    /** Attention over the KV cache, in decoding steps. */
    KV_READS,
    /** Products with the output layer. */
    LOGITS,
    /** The optimizer's step: the gradient's norm, AdamW, and the packing of what has changed. */
    UPDATE,
    /** A reward model, of which no floor is known here. */
    REWARD,
    /** Norms, activation functions, embeddings, sums and the choice of tokens: without a floor. */
    OTHER
  }

  /**
   * An amount of work.
   *
   * @param multiplications multiply-adds
   * @param bytes that are read or written from memory at least: the weights once for each use
   */
  public record Amount(double multiplications, double bytes) {
    private Amount plus(Amount other) {
      return new Amount(multiplications + other.multiplications, bytes + other.bytes);
    }

    private Amount times(double factor) {
      return new Amount(factor * multiplications, factor * bytes);
    }
  }

  private static final Set<String> PRODUCTS =
      Set.of("matmul", "lora_matmul", "weight_gradient", "transpose_packed");
  private static final Set<String> LOSSES =
      Set.of("linear_cross_entropy", "log_probability", "ppo_loss", "distillation_loss");
  private static final Set<String> UPDATES =
      Set.of("adam", "sgd", "adafactor", "sum_of_squares", "matmul_pack");

  /** Bytes that AdamW reads and writes for each parameter, all in float32. */
  private static final int ADAM_BYTES = 28;

  private final T5Config config;
  private final double weightBytes;
  private final double valueBytes;

  /**
   * Makes the formulas of a model.
   *
   * @param weightBytes bytes of a packed weight, see {@link dev.precis.tensor.DType#packedBytes}
   * @param valueBytes bytes of a key or a value: 4 or 2
   */
  public T5Work(T5Config config, double weightBytes, int valueBytes) {
    this.config = config;
    this.weightBytes = weightBytes;
    this.valueBytes = valueBytes;
  }

  /** Returns the part that an operation belongs to, by its name in {@link OpTimer#totals}. */
  static Part part(Section section, String op) {
    if (section == Section.REWARD) {
      return Part.REWARD;
    }
    if (LOSSES.contains(op)) {
      return Part.LOGITS;
    }
    if (UPDATES.contains(op)) {
      return Part.UPDATE;
    }
    if (op.startsWith("attention")) {
      return op.equals("attention_decode") ? Part.KV_READS : Part.ATTENTION;
    }
    if (!PRODUCTS.contains(op)) {
      return Part.OTHER;
    }
    return switch (section) {
      case ENCODER -> Part.ENCODER_PRODUCTS;
      case DECODER -> Part.DECODER_PRODUCTS;
      case STEP -> Part.DECODE_PRODUCTS;
      case HEAD -> Part.LOGITS;
      case REWARD, OTHER -> Part.OTHER;
    };
  }

  /** Returns what a timer has seen, by part. */
  public static Map<Part, OpTimer.Total> parts(OpTimer timer) {
    Map<Part, OpTimer.Total> parts = new EnumMap<>(Part.class);
    timer
        .totals()
        .forEach(
            (section, ops) ->
                ops.forEach(
                    (op, total) -> parts.merge(part(section, op), total, OpTimer.Total::plus)));
    return parts;
  }

  /** Returns the encoder's weights that a source token is multiplied with, E. */
  public double encoderWeights() {
    return config.numLayers() * (4 * square() + feedForward());
  }

  /** Returns the weights of cross-attention's keys and values, C. */
  public double crossWeights() {
    return config.numDecoderLayers() * 2 * square();
  }

  /** Returns the decoder's weights that a target token is multiplied with, D. */
  public double decoderWeights() {
    return config.numDecoderLayers() * (6 * square() + feedForward());
  }

  /** Returns the weights of the output layer, H. */
  public double headWeights() {
    return (double) config.vocabSize() * config.dModel();
  }

  private double square() {
    return (double) config.dModel() * config.inner();
  }

  private double feedForward() {
    return (config.gated() ? 3.0 : 2.0) * config.dModel() * config.dFf();
  }

  /**
   * Returns the work of generation without finished rows.
   *
   * @param batch B sequences
   * @param source S tokens of each
   * @param target T tokens that are generated for each
   */
  public Map<Part, Amount> generation(int batch, int source, int target) {
    Map<Part, Amount> work = encode(batch, source);
    add(work, Part.ENCODER_PRODUCTS, product(crossWeights(), (double) batch * source));
    return plus(work, steps(batch, source, target));
  }

  /** Returns the work of the decoding steps alone, after {@link #generation}'s encoder. */
  private Map<Part, Amount> steps(int batch, int source, int target) {
    Map<Part, Amount> work = new EnumMap<>(Part.class);
    add(work, Part.DECODE_PRODUCTS, product(decoderWeights(), batch).times(target));
    add(work, Part.LOGITS, product(headWeights(), batch).times(target));
    double keys = batch * ((double) target * source + target * (target + 1.0) / 2);
    double read = 2.0 * config.inner() * config.numDecoderLayers() * keys;
    add(work, Part.KV_READS, new Amount(read, valueBytes * read));
    return work;
  }

  /** Returns the bytes that a decoding step reads in the middle of {@link #generation}. */
  public double stepBytes(int batch, int source, int target) {
    double read = 2.0 * config.inner() * config.numDecoderLayers() * batch;
    return weightBytes * (decoderWeights() + headWeights())
        + valueBytes * read * (source + (target + 1) / 2.0);
  }

  /**
   * Returns the work of a step of LoRA on q and v of every attention: forward, backward, AdamW.
   *
   * @param batch B examples
   * @param source S tokens of each
   * @param target T tokens of each
   * @param rank r
   */
  public Map<Part, Amount> loraStep(int batch, int source, int target, int rank) {
    Map<Part, Amount> work = forward(batch, source, target, rank);
    plus(work, backward(batch, source, target, rank));
    add(work, Part.UPDATE, new Amount(0, ADAM_BYTES * loraParameters(rank)));
    return work;
  }

  /**
   * Returns the work of a step of PPO of one epoch, with LoRA on q and v of every attention, AdamW
   * for each mini-batch, and the base model as reference: the rollout, the policy's and the
   * reference's log-probabilities, and the update, whose first mini-batch reuses the policy's pass.
   * The reward model's and the critic's work is not counted.
   *
   * @param batch B prompts, each of which gets one response
   * @param source S tokens of each
   * @param target T tokens that are sampled for each
   * @param rank r
   * @param miniBatch responses of an optimizer step
   */
  public Map<Part, Amount> ppoStep(int batch, int source, int target, int rank, int miniBatch) {
    double sourceTokens = (double) batch * source;
    // The policy's forward is that of training, on which sampling's keys and values and steps come.
    Map<Part, Amount> work = forward(batch, source, target, rank);
    add(work, Part.ENCODER_PRODUCTS, product(crossWeights(), sourceTokens));
    add(work, Part.ENCODER_PRODUCTS, lora(config.numDecoderLayers(), sourceTokens, rank));
    plus(work, steps(batch, source, target));
    double decoderLora = 3.0 * config.numDecoderLayers();
    add(work, Part.DECODE_PRODUCTS, lora(decoderLora, (double) batch * target, rank));
    plus(work, forward(batch, source, target, 0));
    for (int at = 0; at < batch; at += miniBatch) {
      int size = Math.min(miniBatch, batch - at);
      if (at > 0) {
        plus(work, forward(size, source, target, rank));
      } else {
        add(work, Part.LOGITS, product(headWeights(), (double) size * target));
      }
      plus(work, backward(size, source, target, rank));
      add(work, Part.UPDATE, new Amount(0, ADAM_BYTES * loraParameters(rank)));
    }
    return work;
  }

  /** Returns the parameters of LoRA on q and v of every attention. */
  public double loraParameters(int rank) {
    double modules = 2.0 * (config.numLayers() + 2.0 * config.numDecoderLayers());
    return modules * rank * (config.dModel() + config.inner());
  }

  private Map<Part, Amount> encode(int batch, int source) {
    Map<Part, Amount> work = new EnumMap<>(Part.class);
    add(work, Part.ENCODER_PRODUCTS, product(encoderWeights(), (double) batch * source));
    double pairs = (double) batch * source * source;
    add(work, Part.ATTENTION, new Amount(attention(config.numLayers(), pairs), 0));
    return work;
  }

  private double attention(int layers, double pairs) {
    return 2.0 * config.inner() * layers * pairs;
  }

  /** Returns the work of encoder and decoder over whole sequences; rank 0: without adapters. */
  private Map<Part, Amount> forward(int batch, int source, int target, int rank) {
    double sourceTokens = (double) batch * source;
    double targetTokens = (double) batch * target;
    Map<Part, Amount> work = encode(batch, source);
    add(work, Part.ENCODER_PRODUCTS, product(crossWeights(), sourceTokens));
    add(work, Part.DECODER_PRODUCTS, product(decoderWeights(), targetTokens));
    add(work, Part.LOGITS, product(headWeights(), targetTokens));
    double pairs = batch * (target * (target + 1.0) / 2 + (double) source * target);
    add(work, Part.ATTENTION, new Amount(attention(config.numDecoderLayers(), pairs), 0));
    // q and v of the encoder, v of cross-attention; q and v of the decoder, q of cross-attention.
    int layers = config.numDecoderLayers();
    add(work, Part.ENCODER_PRODUCTS, lora(2.0 * config.numLayers() + layers, sourceTokens, rank));
    add(work, Part.DECODER_PRODUCTS, lora(3.0 * layers, targetTokens, rank));
    return work;
  }

  private Map<Part, Amount> backward(int batch, int source, int target, int rank) {
    Map<Part, Amount> work = new EnumMap<>(Part.class);
    forward(batch, source, target, 0)
        .forEach(
            (part, amount) -> work.put(part, part == Part.ATTENTION ? amount.times(2.5) : amount));
    double sourceTokens = (double) batch * source;
    double targetTokens = (double) batch * target;
    int layers = config.numDecoderLayers();
    add(work, Part.ENCODER_PRODUCTS, product(-3 * square(), sourceTokens));
    add(work, Part.DECODER_PRODUCTS, product(-3 * square(), targetTokens));
    double first = 2.0 * rank * config.dModel();
    add(
        work,
        Part.ENCODER_PRODUCTS,
        lora(2 * (2.0 * config.numLayers() + layers), sourceTokens, rank)
            .plus(new Amount(-first * sourceTokens, 0)));
    add(
        work,
        Part.DECODER_PRODUCTS,
        lora(2 * 3.0 * layers, targetTokens, rank).plus(new Amount(-first * targetTokens, 0)));
    return work;
  }

  private Amount lora(double modules, double tokens, int rank) {
    return new Amount(modules * rank * (config.dModel() + config.inner()) * tokens, 0);
  }

  /** Returns the work of a product of rows with weights, which are read once. */
  private Amount product(double weights, double rows) {
    return new Amount(weights * rows, weights * weightBytes);
  }

  private static void add(Map<Part, Amount> work, Part part, Amount amount) {
    work.merge(part, amount, Amount::plus);
  }

  private static Map<Part, Amount> plus(Map<Part, Amount> work, Map<Part, Amount> other) {
    other.forEach((part, amount) -> add(work, part, amount));
    return work;
  }
}
