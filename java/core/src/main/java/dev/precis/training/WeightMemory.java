package dev.precis.training;

import dev.precis.encoder.EncoderConfig;
import dev.precis.lora.Ia3Config;
import dev.precis.lora.LoraConfig;
import dev.precis.t5.T5Config;
import dev.precis.tensor.DType;
import dev.precis.tensor.MemoryPlan;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Computes the memory that a model's weights take in training from its configuration alone, before
 * any weight is read: their packed copies, the parameters with their gradients, and the optimizer's
 * state. It is the least that a run needs; {@link TrainingLoop#plan} adds the activations, which
 * are measured, and what packing rounds up.
 */
public final class WeightMemory {
  private static final String HEAD = "lm_head.weight";

  private WeightMemory() {}

  /**
   * Returns the bytes of a frozen T5, such as a reference.
   *
   * @param dtype of the packed weights
   */
  public static long frozen(T5Config config, DType dtype) {
    long table = (long) config.vocabSize() * config.dModel();
    long packed = table; // the output layer, which is packed also where it is the embedding
    for (Map.Entry<String, long[]> each : config.tensorShapes().entrySet()) {
      if (isProduct(each.getKey(), each.getValue()) && !each.getKey().equals(HEAD)) {
        packed += elements(each.getValue());
      }
    }
    return (long) dtype.packedBytes(packed) + table * dtype.activations().bytes();
  }

  /**
   * Returns the bytes of a frozen T5 whose output layer is not rounded to integers: under adapters
   * that are trained, or such a policy's reference.
   *
   * @param dtype of the packed weights
   */
  public static long underAdapters(T5Config config, DType dtype) {
    double head = (double) config.vocabSize() * config.dModel();
    double more = dtype.activations().packedBytes(head) - dtype.packedBytes(head);
    return frozen(config, dtype) + (long) more;
  }

  /** Returns the bytes of a frozen classifier, whose weights all have one type. */
  public static long frozen(EncoderConfig config, DType dtype) {
    long elements = config.tensorShapes().values().stream().mapToLong(WeightMemory::elements).sum();
    return (elements + config.positionTableElements()) * dtype.bytes();
  }

  /**
   * Returns the memory of adapters on a frozen T5.
   *
   * @param dtype of the frozen weights: float32, bfloat16, int8 or int4
   * @param lora rank, and the modules that are adapted or trained whole
   */
  public static MemoryPlan lora(
      T5Config config, DType dtype, LoraConfig lora, Optimizer.Settings optimizer) {
    Map<String, long[]> trained = new LinkedHashMap<>();
    config
        .tensorShapes()
        .forEach(
            (name, shape) -> {
              String module = name.replaceFirst("\\.weight$", "");
              if (lora.saves(module)) {
                trained.put(name, shape);
              }
              if (isProduct(name, shape) && !name.equals(HEAD) && lora.targets(module)) {
                trained.put(module + ".A", new long[] {lora.rank(), shape[1]});
                trained.put(module + ".B", new long[] {shape[0], lora.rank()});
              }
            });
    return besideFrozen(config, dtype, trained, optimizer);
  }

  /**
   * Returns the memory of IA3 on a frozen T5.
   *
   * @param dtype of the frozen weights: float32, bfloat16, int8 or int4
   */
  public static MemoryPlan ia3(
      T5Config config, DType dtype, Ia3Config ia3, Optimizer.Settings optimizer) {
    Map<String, long[]> trained = new LinkedHashMap<>();
    config
        .tensorShapes()
        .forEach(
            (name, shape) -> {
              String module = name.replaceFirst("\\.weight$", "");
              if (isProduct(name, shape) && ia3.targets(module)) {
                trained.put(module, new long[] {ia3.scalesInput(module) ? shape[1] : shape[0]});
              }
            });
    return besideFrozen(config, dtype, trained, optimizer);
  }

  /**
   * Returns the memory of a soft prompt before a frozen T5.
   *
   * @param dtype of the frozen weights: float32, bfloat16, int8 or int4
   * @param tokens virtual tokens
   */
  public static MemoryPlan prompt(
      T5Config config, DType dtype, long tokens, Optimizer.Settings optimizer) {
    Map<String, long[]> trained = Map.of("prompt", new long[] {tokens, config.dModel()});
    return besideFrozen(config, dtype, trained, optimizer);
  }

  private static MemoryPlan besideFrozen(
      T5Config config, DType dtype, Map<String, long[]> trained, Optimizer.Settings optimizer) {
    return plan(underAdapters(config, dtype) + transposedHead(config, dtype), trained, optimizer);
  }

  /** Returns the memory of full fine-tuning of a T5; dtype is that of the packed copies. */
  public static MemoryPlan full(T5Config config, DType dtype, Optimizer.Settings optimizer) {
    Map<String, long[]> shapes = config.tensorShapes();
    long packed = products(shapes);
    if (!shapes.containsKey(HEAD)) {
      packed += elements(shapes.get("shared.weight"));
    }
    return plan(packed * dtype.bytes() + transposedHead(config, dtype), shapes, optimizer);
  }

  /** Returns the memory of full fine-tuning of a classifier. */
  public static MemoryPlan full(EncoderConfig config, DType dtype, Optimizer.Settings optimizer) {
    Map<String, long[]> shapes = config.tensorShapes();
    return plan(products(shapes) * dtype.bytes(), shapes, optimizer);
  }

  private static long products(Map<String, long[]> shapes) {
    long packed = 0;
    for (Map.Entry<String, long[]> each : shapes.entrySet()) {
      packed += isProduct(each.getKey(), each.getValue()) ? elements(each.getValue()) : 0;
    }
    return packed;
  }

  private static MemoryPlan plan(
      long weights, Map<String, long[]> trained, Optimizer.Settings optimizer) {
    long parameters = 0;
    long state = 0;
    for (long[] shape : trained.values()) {
      parameters += elements(shape);
      state +=
          switch (optimizer.kind()) {
            case ADAM, ADAMW -> 2 * elements(shape);
            case SGD -> optimizer.momentum() == 0 ? 0 : elements(shape);
            case ADAFACTOR -> shape[0] + (shape.length == 2 ? shape[1] : 0);
          };
    }
    Map<String, Long> parts = new LinkedHashMap<>();
    parts.put("weights", weights);
    parts.put("trained weights and gradients", 2 * 4 * parameters);
    parts.put("optimizer", 4 * state);
    return new MemoryPlan(parts);
  }

  /** Returns the bytes of the transposed output layer, which every gradient passes first. */
  private static long transposedHead(T5Config config, DType dtype) {
    return (long) config.vocabSize() * config.dModel() * dtype.activations().bytes();
  }

  /** Returns whether a weight is a matrix that is multiplied with, rather than looked up. */
  private static boolean isProduct(String name, long[] shape) {
    return shape.length == 2
        && !name.equals("shared.weight")
        && !name.endsWith("relative_attention_bias.weight")
        && !name.contains("_embeddings.");
  }

  private static long elements(long[] shape) {
    long n = 1;
    for (long dim : shape) {
      n = Math.multiplyExact(n, dim);
    }
    return n;
  }
}
