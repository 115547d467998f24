package dev.precis.training;

import dev.precis.checkpoint.Checkpoint;
import dev.precis.checkpoint.PackedWeights;
import dev.precis.checkpoint.PeftAdapter;
import dev.precis.checkpoint.TensorView;
import dev.precis.checkpoint.WeightsCache;
import dev.precis.device.DeviceOptions;
import dev.precis.io.InvalidInputException;
import dev.precis.layers.Linear;
import dev.precis.layers.Parameters;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.layers.WeightLoader;
import dev.precis.lora.Ia3Adapter;
import dev.precis.lora.Ia3Config;
import dev.precis.lora.LoraAdapter;
import dev.precis.lora.LoraConfig;
import dev.precis.lora.PromptAdapter;
import dev.precis.lora.PromptConfig;
import dev.precis.lora.TrainedAdapter;
import dev.precis.random.SplitMix64;
import dev.precis.t5.T5Config;
import dev.precis.t5.T5Model;
import dev.precis.t5.T5Training;
import dev.precis.t5.T5Weights;
import dev.precis.tensor.DType;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;

/**
 * A T5 under full fine-tuning, or with adapters on frozen weights. {@link #model} generates with
 * the present weights.
 *
 * <p>Not thread-safe.
 */
public final class TrainableT5 extends Trainable {
  /**
   * The frozen model under adapters.
   *
   * @param folder of the model
   * @param dtype of the frozen weights and of the operands of matrix products: float32, bfloat16
   *     or, on the CPU, int8 or int4. Then products of frozen weights round to integers on the way
   *     forward; the output layer and everything on the way back is bfloat16.
   * @param cache keeps the packed weights between runs, on the CPU; null: none. The first run
   *     writes them when the model is closed.
   * @param device runs it
   */
  public record Base(Path folder, DType dtype, WeightsCache cache, DeviceOptions device) {}

  private final T5Config config;
  private final DType weightType;
  private final WeightsCache cache;
  private PackedWeights packed; // whole, or null
  private T5Weights weights;
  private Parameters parameters;
  private TrainedAdapter adapter;
  private T5Training training;
  private T5Model model;
  private boolean dropsOut;

  /**
   * Creates new adapters on a frozen model, which do not change its outputs yet.
   *
   * @param folder of the model
   * @param dtype as {@link Base} has it
   * @param dropout dropout rate of the model itself; NaN: the configuration's
   * @param seed of the adapters' initial values
   * @throws InvalidInputException where the folder cannot be used or no layer is chosen
   */
  public static TrainableT5 lora(
      Path folder, LoraConfig lora, DType dtype, float dropout, long seed, DeviceOptions device) {
    return lora(new Base(folder, dtype, null, device), lora, dropout, seed);
  }

  /**
   * Creates adapters as {@link #lora(Path, LoraConfig, DType, float, long, DeviceOptions)} does.
   */
  public static TrainableT5 lora(Base base, LoraConfig lora, float dropout, long seed) {
    return built(
        new TrainableT5(base),
        t5 -> {
          Parameters saved =
              LoraAdapter.savedModules(lora, t5.config.tensorShapes(), t5.ops(), t5.arena());
          t5.loadFrozen(lora::targets, saved, Map.of());
          t5.use(
              LoraAdapter.create(lora, t5.weights.linears(), saved, t5.ops(), t5.arena(), seed),
              dropout);
        });
  }

  /**
   * Loads adapters to train them further.
   *
   * @param start a PEFT folder
   * @param loraDropout dropout rate of the input of the adapters' A matrices
   */
  public static TrainableT5 loraFrom(
      Path folder,
      Path start,
      float loraDropout,
      DType dtype,
      float dropout,
      DeviceOptions device) {
    return loraFrom(new Base(folder, dtype, null, device), start, loraDropout, dropout);
  }

  /** Loads adapters as {@link #loraFrom(Path, Path, float, DType, float, DeviceOptions)} does. */
  public static TrainableT5 loraFrom(Base base, Path start, float loraDropout, float dropout) {
    return built(
        new TrainableT5(base),
        t5 -> {
          try (PeftAdapter from = PeftAdapter.open(start)) {
            Parameters saved =
                LoraAdapter.savedModules(
                    LoraAdapter.config(from, loraDropout),
                    t5.config.tensorShapes(),
                    t5.ops(),
                    t5.arena());
            t5.loadFrozen(from.modules()::containsKey, saved, from.savedTensors());
            t5.use(
                LoraAdapter.from(
                    from, loraDropout, t5.weights.linears(), saved, t5.ops(), t5.arena()),
                dropout);
          }
        });
  }

  /**
   * Creates new IA3 vectors on a frozen model, which do not change its outputs yet.
   *
   * @param folder of the model
   * @param dtype as {@link Base} has it
   * @param dropout dropout rate of the model itself; NaN: the configuration's
   * @throws InvalidInputException where the folder cannot be used or no layer is chosen
   */
  public static TrainableT5 ia3(
      Path folder, Ia3Config ia3, DType dtype, float dropout, DeviceOptions device) {
    return ia3(new Base(folder, dtype, null, device), ia3, dropout);
  }

  /** Creates vectors as {@link #ia3(Path, Ia3Config, DType, float, DeviceOptions)} does. */
  public static TrainableT5 ia3(Base base, Ia3Config ia3, float dropout) {
    return built(
        new TrainableT5(base),
        t5 -> {
          t5.loadForScales(ia3::targets, ia3::scalesInput);
          t5.use(Ia3Adapter.create(ia3, t5.weights.linears(), t5.ops(), t5.arena()), dropout);
        });
  }

  /**
   * Loads IA3 vectors to train them further.
   *
   * @param start a PEFT folder
   */
  public static TrainableT5 ia3From(
      Path folder, Path start, DType dtype, float dropout, DeviceOptions device) {
    return ia3From(new Base(folder, dtype, null, device), start, dropout);
  }

  /** Loads vectors as {@link #ia3From(Path, Path, DType, float, DeviceOptions)} does. */
  public static TrainableT5 ia3From(Base base, Path start, float dropout) {
    return built(
        new TrainableT5(base),
        t5 -> {
          try (PeftAdapter from = PeftAdapter.open(start)) {
            Ia3Adapter.require(from);
            t5.loadForScales(
                from.scales()::containsKey, module -> Ia3Adapter.scalesInput(from, module));
            t5.use(Ia3Adapter.from(from, t5.weights.linears(), t5.ops(), t5.arena()), dropout);
          }
        });
  }

  /**
   * Creates a new soft prompt before a frozen model's sources.
   *
   * @param folder of the model
   * @param dtype as {@link Base} has it
   * @param dropout dropout rate of the model itself; NaN: the configuration's
   * @param seed of the tokens whose embeddings it begins with, where none are named
   * @throws InvalidInputException where the folder cannot be used
   */
  public static TrainableT5 promptTuning(
      Path folder,
      PromptConfig prompt,
      DType dtype,
      float dropout,
      long seed,
      DeviceOptions device) {
    return built(
        new TrainableT5(folder, dtype, device),
        t5 -> {
          try (Checkpoint checkpoint = Checkpoint.open(folder)) {
            t5.loadBehind(
                checkpoint,
                PromptAdapter.create(prompt, checkpoint, t5.ops(), t5.arena(), seed),
                dropout);
          }
        });
  }

  /**
   * Loads a soft prompt to train it further.
   *
   * @param start a PEFT folder
   */
  public static TrainableT5 promptTuningFrom(
      Path folder, Path start, DType dtype, float dropout, DeviceOptions device) {
    return built(
        new TrainableT5(folder, dtype, device),
        t5 -> {
          try (PeftAdapter from = PeftAdapter.open(start);
              Checkpoint checkpoint = Checkpoint.open(folder)) {
            t5.loadBehind(
                checkpoint,
                PromptAdapter.from(from, t5.config.dModel(), t5.ops(), t5.arena()),
                dropout);
          }
        });
  }

  private void loadForScales(Predicate<String> adapted, Predicate<String> scaledInputs) {
    try (Checkpoint checkpoint = Checkpoint.open(folder())) {
      PackedWeights memory = memory(checkpoint, cache);
      weights =
          T5Weights.loadForScales(
              checkpoint, config, ops(), arena(), weightType, memory, adapted, scaledInputs);
      packed = memory;
    }
  }

  /** Loads the model behind a soft prompt. */
  private void loadBehind(Checkpoint checkpoint, PromptAdapter prompt, float dropout) {
    weights =
        T5Weights.loadForPrompt(
            checkpoint, config, ops(), arena(), weightType, prompt.embeddings());
    use(prompt, dropout);
  }

  /**
   * Loads a model for full fine-tuning. Its weights are float32; dtype is that of the operands of
   * matrix products.
   */
  public static TrainableT5 full(Path folder, DType dtype, float dropout, DeviceOptions device) {
    return built(
        unfrozen(folder, dtype, device),
        t5 -> {
          try (Checkpoint checkpoint = Checkpoint.open(folder)) {
            t5.readParameters(checkpoint);
          }
          t5.trainAll(dropout);
        });
  }

  /**
   * Creates a model with transformers' initial values (Raffel et al. 2020).
   *
   * @param folder with config.json and the tokenizer's files
   */
  public static TrainableT5 fromScratch(
      Path folder, DType dtype, float dropout, long seed, DeviceOptions device) {
    return built(
        unfrozen(folder, dtype, device),
        t5 -> {
          t5.parameters = new Parameters(t5.config.tensorShapes(), t5.ops(), t5.arena());
          t5.initialize(seed);
          t5.trainAll(dropout);
        });
  }

  /**
   * Returns the type of the frozen weights, or of the packed copies of weights that are trained.
   */
  public DType weightType() {
    return weightType;
  }

  private TrainableT5(Path folder, DType dtype, DeviceOptions device) {
    this(new Base(folder, dtype, null, device));
  }

  private TrainableT5(Base base) {
    DType dtype = base.dtype();
    if (!dtype.quantized()) {
      requireTrainingType(dtype);
    }
    T5Config read = T5Config.read(base.folder());
    super(
        base.folder(),
        dtype.activations(),
        dtype.quantized()
            ? base.device().onCpu("Gradients through int8 and int4 weights")
            : base.device());
    config = read;
    weightType = dtype;
    cache = base.cache();
  }

  /** Opens a model whose own weights are trained. */
  private static TrainableT5 unfrozen(Path folder, DType dtype, DeviceOptions device) {
    requireTrainingType(dtype);
    return new TrainableT5(folder, dtype, device);
  }

  /**
   * Loads the model.
   *
   * @param saved parameters of modules that are trained whole; null: none is
   * @param from their values where they are not the model's
   */
  private void loadFrozen(
      Predicate<String> adapted, Parameters saved, Map<String, TensorView> from) {
    try (Checkpoint checkpoint = Checkpoint.open(folder())) {
      if (saved != null) {
        readSaved(checkpoint, saved, from);
      }
      // A file of some of the weights would take the place of that of all.
      PackedWeights memory = memory(checkpoint, saved == null ? cache : null);
      weights =
          T5Weights.loadForAdapters(
              checkpoint, config, ops(), arena(), weightType, memory, adapted, saved);
      packed = memory;
    }
  }

  /** Gives memory for frozen weights, or the weights that an earlier run has left. */
  private PackedWeights memory(Checkpoint checkpoint, WeightsCache cache) {
    String variant = weightType.quantized() ? "under adapters" : "";
    return T5Weights.packed(checkpoint, cache, weightType, variant, ops(), arena());
  }

  @Override
  public void close() {
    // The weights are written while they are still there.
    if (packed != null && packed.toBeKept()) {
      ops().release(); // checksums are computed on every core
      packed.keep();
    }
    packed = null;
    super.close();
  }

  private void readSaved(Checkpoint checkpoint, Parameters saved, Map<String, TensorView> from) {
    Map<String, long[]> shapes = config.tensorShapes();
    for (Parameter parameter : saved.all()) {
      String name = parameter.name();
      if (!shapes.containsKey(name)) {
        continue; // an adapter's
      }
      TensorView view = WeightLoader.view(checkpoint, name, shapes.get(name));
      TensorView given = from.getOrDefault(name, view);
      if (!Arrays.equals(given.shape(), view.shape())) {
        throw new InvalidInputException(
            given + " does not fit this model's: the adapter was trained on another model");
      }
      parameter.value().write(given::toFloat32);
    }
  }

  private void use(TrainedAdapter adapter, float dropout) {
    this.adapter = adapter;
    parameters = adapter.parameters();
    finish(dropout);
  }

  private void readParameters(Checkpoint checkpoint) {
    T5Weights.noteUnused(checkpoint, config);
    Map<String, long[]> shapes = new LinkedHashMap<>(config.tensorShapes());
    if (config.tieWordEmbeddings()
        && checkpoint.contains("lm_head.weight")
        && checkpoint.get("lm_head.weight").data().mismatch(checkpoint.get("shared.weight").data())
            != -1) {
      shapes.put("lm_head.weight", shapes.get("shared.weight"));
    }
    parameters = new Parameters(shapes, ops(), arena());
    for (Parameter parameter : parameters.all()) {
      String name = parameter.name();
      TensorView view = WeightLoader.view(checkpoint, name, shapes.get(parameter.name()));
      parameter.value().write(view::toFloat32);
      checkpoint.release(name);
    }
    checkpoint.requireUnchanged();
  }

  /**
   * Initializes all parameters with the standard deviations of transformers' T5, whose initializer
   * factor is 1.
   */
  private void initialize(long seed) {
    double d = Math.pow(config.dModel(), -0.5);
    int index = 0;
    for (Parameter parameter : parameters.all()) {
      String name = parameter.name();
      double deviation;
      if (name.endsWith("layer_norm.weight")) {
        deviation = 0;
      } else if (name.equals("shared.weight") || name.equals("lm_head.weight")) {
        deviation = 1;
      } else if (name.endsWith(".q.weight")) {
        deviation = Math.pow((double) config.dModel() * config.dKv(), -0.5);
      } else if (name.endsWith(".o.weight")) {
        deviation = Math.pow(config.inner(), -0.5);
      } else if (name.endsWith(".wo.weight")) {
        deviation = Math.pow(config.dFf(), -0.5);
      } else {
        deviation = d;
      }
      SplitMix64 random = new SplitMix64(SplitMix64.mix(seed, index++));
      double scale = deviation;
      parameter
          .value()
          .write(
              to -> {
                for (long i = 0; i < parameter.elements(); i++) {
                  double value = scale == 0 ? 1 : random.normal() * scale;
                  to.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) value);
                }
              });
    }
  }

  private void trainAll(float dropout) {
    weights = T5Weights.train(parameters, config, ops(), arena(), dtype());
    finish(dropout);
  }

  private void finish(float dropout) {
    float rate = Float.isNaN(dropout) ? config.dropoutRate() : dropout;
    dropsOut = rate > 0 || adapter != null && adapter.dropout() > 0;
    training = new T5Training(weights, ops(), dtype(), rate);
    model = new T5Model(weights, ops(), dtype());
  }

  public T5Config config() {
    return config;
  }

  /** Returns the trained parameters. */
  @Override
  public Parameters parameters() {
    return parameters;
  }

  /** Returns the LoRA adapters; null where another method trains. */
  public LoraAdapter adapter() {
    return adapter instanceof LoraAdapter lora ? lora : null;
  }

  /**
   * Makes sure that sources begin with no soft prompt, which alignment does not put before them.
   *
   * @throws InvalidInputException where they do
   */
  public void requireNoPrompt() {
    if (weights.promptTokens() > 0) {
      throw new InvalidInputException(
          "A soft prompt is not aligned: give alignment a policy of LoRA adapters or of all"
              + " weights");
    }
  }

  /** Returns the forward pass that can be recorded on a tape. */
  public T5Training training() {
    return training;
  }

  /** Returns the model for generation, with its present weights. */
  public T5Model model() {
    return model;
  }

  /** Returns the number of all parameters, adapters included, as PEFT counts them. */
  public long parameterCount() {
    long count = adapter == null ? 0 : parameters.count();
    for (long[] shape : config.tensorShapes().values()) {
      long elements = 1;
      for (long dim : shape) {
        elements *= dim;
      }
      count += elements;
    }
    return count;
  }

  /** Returns the bytes of the packed weights, the embedding included. */
  @Override
  public long weightBytes() {
    long bytes = Linear.bytes(weights.linears());
    boolean own = !weights.embedding().trained();
    return own ? bytes + weights.embedding().value().address().byteSize() : bytes;
  }

  /** Packs the weights again after the parameters changed. */
  @Override
  public void update() {
    weights.update(ops());
  }

  /** Returns true if training changes the encoder's outputs. */
  public boolean trainsEncoder() {
    return parameters.all().stream()
        .anyMatch(
            p ->
                p.name().startsWith("encoder.")
                    || p.name().startsWith("shared.")
                    || adapter instanceof PromptAdapter);
  }

  /**
   * Returns true if recorded steps have dropout, so that their values differ from unrecorded ones.
   */
  public boolean dropsOut() {
    return dropsOut;
  }

  /**
   * {@inheritDoc}
   *
   * <p>Adapters become a PEFT folder, full weights a Hugging Face folder with the tokenizer.
   */
  @Override
  public void write(Path to, List<Parameter> extra) {
    if (adapter == null) {
      super.write(to, extra);
    } else {
      adapter.write(to, folder().toString(), extra);
    }
  }

  @Override
  public String resultName() {
    return adapter != null ? "adapter" : super.resultName();
  }

  @Override
  public String weightsFile() {
    return adapter != null ? "adapter_model.safetensors" : super.weightsFile();
  }

  @Override
  public String tensorName(String parameter) {
    return adapter != null ? adapter.tensorName(parameter) : parameter;
  }
}
