package dev.precis.checkpoint;

import dev.precis.io.BoundedRegex;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import tools.jackson.databind.JsonNode;

/**
 * A LoRA adapter in a PEFT folder: {@code adapter_config.json} and {@code
 * adapter_model.safetensors}, or the older {@code adapter_model.bin}.
 *
 * <p>For a linear layer {@code y = x W'} of shape W (out, in), module M of the adapter adds {@code
 * scaling (x A') B'} with A (rank, in) and B (out, rank). A setting that would change the result
 * and is not supported is refused by name, never ignored. The tensors live as long as the adapter
 * is open.
 */
public final class PeftAdapter implements AutoCloseable {
  /** TRL's name of the value head, which is not a part of the model. */
  private static final String VALUE_HEAD = "v_head.summary.";

  private static final String CONFIG = "adapter_config.json";
  private static final String PREFIX = "base_model.model.";
  private static final int MAX_RANK = 1 << 16;
  private static final Pattern KEY =
      Pattern.compile("(?<module>.+)\\.lora_(?<side>[AB])(?:\\.default)?\\.weight");

  /** Configuration keys that change what an adapter computes, and must not be set. */
  private static final List<String> UNSUPPORTED =
      List.of(
          "use_dora",
          "use_qalora",
          "use_bdlora",
          "lora_bias",
          "fan_in_fan_out",
          "modules_to_save",
          "layer_replication",
          "trainable_token_indices",
          "target_parameters",
          "alora_invocation_tokens",
          "arrow_config",
          "kasa_config",
          "monteclora_config",
          "velora_config");

  /** Initialisations that PEFT balances by changing the base model's weights. */
  private static final Set<String> BASE_CHANGING = Set.of("olora", "corda", "loftq", "lora_ga");

  /**
   * One adapted linear layer.
   *
   * @param name of the layer in the base model, such as {@code
   *     encoder.block.0.layer.0.SelfAttention.q}
   * @param a lora_A, (rank, in)
   * @param b lora_B, (out, rank)
   * @param scaling alpha / rank, or alpha / sqrt(rank) with rank-stabilised scaling
   */
  public record Module(
      String name, TensorView a, TensorView b, int rank, double alpha, double scaling) {
    /** Returns the layer's number of inputs. */
    public long in() {
      return a.shape()[1];
    }

    /** Returns the layer's number of outputs. */
    public long out() {
      return b.shape()[0];
    }
  }

  private final Path folder;
  private final JsonObject config;
  private final Checkpoint weights;
  private final int rank;
  private final double alpha;
  private final boolean rankStabilised;
  private final double dropout;
  private final Map<String, Module> modules = new LinkedHashMap<>();

  private PeftAdapter(Path folder, JsonObject config, Checkpoint weights) {
    this.folder = folder;
    this.config = config;
    this.weights = weights;
    checkSupported();
    rank = config.integer("r", 1, MAX_RANK);
    alpha = config.number("lora_alpha");
    rankStabilised = config.bool("use_rslora", false);
    dropout = config.number("lora_dropout", 0);
    if (dropout < 0 || dropout >= 1) {
      throw config.wrong("lora_dropout", "at least 0 and below 1");
    }
    readModules();
  }

  /**
   * Opens an adapter's folder.
   *
   * @throws InvalidInputException if it is none, is damaged, or needs what is not supported
   * @throws UncheckedIOException if reading fails
   */
  public static PeftAdapter open(Path folder) {
    if (!Files.exists(folder.resolve(CONFIG))) {
      throw new InvalidInputException(
          folder + " is not the folder of a PEFT adapter: " + CONFIG + " is missing");
    }
    JsonObject config = Json.readObject(folder.resolve(CONFIG));
    Path weights =
        List.of("adapter_model.safetensors", "adapter_model.bin").stream()
            .map(folder::resolve)
            .filter(Files::exists)
            .findFirst()
            .orElseThrow(
                () ->
                    new InvalidInputException(
                        folder
                            + " has no weights: adapter_model.safetensors or adapter_model.bin"
                            + " must be beside "
                            + CONFIG));
    Checkpoint opened = Checkpoint.openFile(weights);
    try {
      return new PeftAdapter(folder, config, opened);
    } catch (RuntimeException | Error e) {
      opened.close();
      throw e;
    }
  }

  private void checkSupported() {
    String type = config.text("peft_type");
    if (!type.equals("LORA")) {
      throw config.wrong("peft_type", "\"LORA\", the only kind of adapter that is read");
    }
    String bias = config.optionalText("bias").orElse("none");
    if (!bias.equals("none")) {
      throw config.wrong("bias", "\"none\": trained biases are not supported");
    }
    for (String key : UNSUPPORTED) {
      JsonNode value = config.node().get(key);
      boolean unset =
          value == null
              || value.isNull()
              || value.isBoolean() && !value.booleanValue()
              || value.isContainer() && value.isEmpty();
      if (!unset) {
        throw config.wrong(key, "unset: adapters that use it are not supported");
      }
    }
    JsonNode init = config.node().get("init_lora_weights");
    if (init != null
        && init.isString()
        && (BASE_CHANGING.contains(init.stringValue()) || init.stringValue().startsWith("pissa"))) {
      throw config.wrong(
          "init_lora_weights",
          "one that leaves the base model as it is: save the adapter from PEFT with"
              + " path_initial_model_for_weight_conversion");
    }
  }

  private void readModules() {
    Map<String, TensorView> a = new LinkedHashMap<>();
    Map<String, TensorView> b = new LinkedHashMap<>();
    for (String name : weights.names()) {
      if (name.startsWith(VALUE_HEAD)) {
        continue;
      }
      Matcher key = KEY.matcher(name);
      if (!key.matches()) {
        throw invalid("holds tensor " + name + ", which is neither a lora_A nor a lora_B weight");
      }
      String module = key.group("module");
      module = module.startsWith(PREFIX) ? module.substring(PREFIX.length()) : module;
      TensorView tensor = weights.get(name);
      if (tensor.shape().length != 2) {
        throw invalid(
            "holds tensor %s with shape %s, where a matrix is needed"
                .formatted(name, Arrays.toString(tensor.shape())));
      }
      if ((key.group("side").equals("A") ? a : b).put(module, tensor) != null) {
        throw invalid("holds tensor " + name + " under two names");
      }
    }
    if (a.isEmpty() && b.isEmpty()) {
      throw invalid("holds no tensors");
    }
    b.keySet().stream()
        .filter(Predicate.not(a::containsKey))
        .findFirst()
        .ifPresent(
            module -> {
              throw invalid("has lora_B but no lora_A for module " + module);
            });
    JsonObject ranks = config.object("rank_pattern");
    JsonObject alphas = config.object("alpha_pattern");
    a.forEach(
        (module, tensorA) -> {
          TensorView tensorB = b.get(module);
          if (tensorB == null) {
            throw invalid("has lora_A but no lora_B for module " + module);
          }
          modules.put(module, module(module, tensorA, tensorB, ranks, alphas));
        });
  }

  private Module module(
      String name, TensorView a, TensorView b, JsonObject ranks, JsonObject alphas) {
    int itsRank = matching(ranks, name).map(k -> ranks.integer(k, 1, MAX_RANK)).orElse(rank);
    double itsAlpha = matching(alphas, name).map(alphas::number).orElse(alpha);
    if (a.shape()[0] != itsRank || b.shape()[1] != itsRank) {
      throw invalid(
          "has rank %d in lora_A and %d in lora_B of module %s, where %s says %d"
              .formatted(a.shape()[0], b.shape()[1], name, CONFIG, itsRank));
    }
    double scaling = itsAlpha / (rankStabilised ? Math.sqrt(itsRank) : itsRank);
    return new Module(name, a, b, itsRank, itsAlpha, scaling);
  }

  /**
   * Returns the first key that, as a regular expression, matches the end of the name from a dot on.
   */
  private static Optional<String> matching(JsonObject patterns, String module) {
    return patterns.keys().stream()
        .filter(key -> BoundedRegex.matches("(.*\\.)?(" + key + ")", module, patterns.where()))
        .findFirst();
  }

  /** Returns a tensor of the value head that was saved with the adapter, such as its weight. */
  public Optional<TensorView> valueHead(String name) {
    return weights.contains(VALUE_HEAD + name)
        ? Optional.of(weights.get(VALUE_HEAD + name))
        : Optional.empty();
  }

  private InvalidInputException invalid(String what) {
    return TensorFile.invalid(weights.path(), what);
  }

  /** Returns the folder that was opened. */
  public Path folder() {
    return folder;
  }

  /** Returns the rank of all modules but those that the configuration lists apart. */
  public int rank() {
    return rank;
  }

  /** Returns the alpha of all modules but those that the configuration lists apart. */
  public double alpha() {
    return alpha;
  }

  /** Returns true if scaling is alpha / sqrt(rank) rather than alpha / rank. */
  public boolean rankStabilised() {
    return rankStabilised;
  }

  /** Returns the dropout on the adapter's input that it was trained with; generation has none. */
  public double dropout() {
    return dropout;
  }

  /** Returns the configuration's name of the model that it was trained on: a hub id or a path. */
  public Optional<String> baseModel() {
    return config.optionalText("base_model_name_or_path");
  }

  /**
   * Returns the names of the layers that were chosen to be adapted, such as {@code q} and {@code
   * v}, or one regular expression for them. {@link #modules} is what came of it.
   */
  public List<String> targetModules() {
    JsonNode value = config.node().get("target_modules");
    return value != null && value.isString()
        ? List.of(value.stringValue())
        : config.texts("target_modules");
  }

  /** Returns the whole configuration as it was read. */
  public JsonObject config() {
    return config;
  }

  /** Returns the adapted layers by their name in the base model, in the file's order. */
  public Map<String, Module> modules() {
    return Collections.unmodifiableMap(modules);
  }

  /** Returns the files that the matrices are in. */
  public List<Path> files() {
    return weights.files();
  }

  /** Unmaps the weights; no tensor of the adapter may be used afterwards. */
  /**
   * Makes sure that a module fits a layer of a model.
   *
   * @param shape (outputs, inputs) of the model's layer of that name; null: it has none
   * @throws InvalidInputException where it does not
   */
  public void requireFits(Module module, long[] shape) {
    String difference = null;
    if (shape == null) {
      difference = ", which this model does not have";
    } else if (!Arrays.equals(shape, new long[] {module.out(), module.in()})) {
      difference =
          " as (%d, %d), but the model's is %s"
              .formatted(
                  module.out(),
                  module.in(),
                  Arrays.toString(shape).replace('[', '(').replace(']', ')'));
    }
    if (difference != null) {
      throw new InvalidInputException(
          folder
              + " adapts "
              + module.name()
              + difference
              + ": the adapter was trained on another model");
    }
  }

  @Override
  public void close() {
    weights.close();
  }
}
