package dev.precis.checkpoint;

import dev.precis.io.BoundedRegex;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import dev.precis.io.PlainPath;
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
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import tools.jackson.databind.JsonNode;

/**
 * An adapter in a PEFT folder: {@code adapter_config.json} and {@code adapter_model.safetensors},
 * or the older {@code adapter_model.bin}.
 *
 * <p>For a linear layer {@code y = x W'} of shape W (out, in), module M of a LoRA adapter adds
 * {@code scaling (x A') B'} with A (rank, in) and B (out, rank). An IA3 adapter multiplies a
 * layer's outputs or inputs by a vector, and prompt tuning puts virtual tokens before each source.
 * A setting that would change the result and is not supported is refused by name, never ignored.
 * The tensors live as long as the adapter is open.
 */
public final class PeftAdapter implements AutoCloseable {
  /** TRL's name of the value head, which is not a part of the model. */
  private static final String VALUE_HEAD = "v_head.summary.";

  private static final String CONFIG = "adapter_config.json";
  private static final String PREFIX = "base_model.model.";
  private static final int MAX_RANK = 1 << 16;
  private static final Pattern KEY =
      Pattern.compile("(?<module>.+)\\.lora_(?<side>[AB])(?:\\.(?<adapter>[^.]+))?\\.weight");
  private static final Pattern MAGNITUDE =
      Pattern.compile(
          "(?<module>.+)\\.lora_magnitude_vector(?:\\.(?!weight$)(?<adapter>[^.]+))?(?:\\.weight)?");
  private static final Pattern SAVED =
      Pattern.compile("(?<module>.+?)\\.(?:modules_to_save\\.(?<adapter>[^.]+)\\.)?weight");

  private static final Pattern IA3_KEY =
      Pattern.compile("(?<module>.+)\\.ia3_l(?:\\.(?<adapter>[^.]+))?");

  /** PEFT's name of the virtual tokens' embeddings. */
  private static final String PROMPT = "prompt_embeddings";

  private static final int MAX_VIRTUAL_TOKENS = 1 << 16;

  private static final Set<String> BIASES = Set.of("none", "all", "lora_only");

  /** The tables that PEFT saves with {@code save_embedding_layers}. */
  private static final Set<String> EMBEDDINGS =
      Set.of("shared", "encoder.embed_tokens", "decoder.embed_tokens", "lm_head");

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
   * @param magnitude of a DoRA adapter (Liu et al. 2024), (out): the norm of each row of the weight
   *     with its adapter; null of any other
   */
  public record Module(
      String name,
      TensorView a,
      TensorView b,
      int rank,
      double alpha,
      double scaling,
      TensorView magnitude) {
    /** Returns the layer's number of inputs. */
    public long in() {
      return a.shape()[1];
    }

    /** Returns the layer's number of outputs. */
    public long out() {
      return b.shape()[0];
    }
  }

  /** The kinds of adapters that are read. */
  public enum Kind {
    /** LoRA (Hu et al. 2021), DoRA (Liu et al. 2024) included. */
    LORA("a LoRA adapter"),
    /** IA3 (Liu et al. 2022): scaled keys, values and activations. */
    IA3("an IA3 adapter"),
    /** Prompt tuning (Lester et al. 2021): virtual tokens. */
    PROMPT_TUNING("a soft prompt");

    private final String noun;

    Kind(String noun) {
      this.noun = noun;
    }

    /** Returns what such an adapter is called in a sentence. */
    public String noun() {
      return noun;
    }
  }

  private final Path folder;
  private final JsonObject config;
  private final Checkpoint weights;
  private final Kind kind;
  private final int rank;
  private final double alpha;
  private final boolean rankStabilised;
  private final double dropout;
  private final Map<String, Module> modules = new LinkedHashMap<>();
  private final Map<String, Module> doraModules = new LinkedHashMap<>();
  private final Map<String, TensorView> saved = new LinkedHashMap<>();
  private final Map<String, TensorView> scales = new LinkedHashMap<>();
  private TensorView prompt; // null where it is none

  private PeftAdapter(Path folder, JsonObject config, Checkpoint weights) {
    this.folder = folder;
    this.config = config;
    this.weights = weights;
    kind = kindOf(config);
    keys(kind).check(config);
    boolean lora = kind == Kind.LORA;
    if (lora) {
      checkSupported();
    }
    rank = lora ? config.integer("r", 1, MAX_RANK) : 0;
    alpha = lora ? config.number("lora_alpha") : 0;
    rankStabilised = lora && config.bool("use_rslora", false);
    dropout = lora ? config.number("lora_dropout", 0) : 0;
    if (dropout < 0 || dropout >= 1) {
      throw config.wrong("lora_dropout", "at least 0 and below 1");
    }
    switch (kind) {
      case LORA -> readModules();
      case IA3 -> readScales();
      case PROMPT_TUNING -> readPrompt();
    }
  }

  private static Kind kindOf(JsonObject config) {
    String type = config.text("peft_type");
    return Arrays.stream(Kind.values())
        .filter(each -> each.name().equals(type))
        .findFirst()
        .orElseThrow(
            () ->
                config.wrong(
                    "peft_type",
                    "\"LORA\", \"IA3\" or \"PROMPT_TUNING\", the kinds of adapters that are read"));
  }

  private static ConfigKeys keys(Kind kind) {
    return switch (kind) {
      case LORA -> ConfigKeys.ADAPTER;
      case IA3 -> ConfigKeys.IA3;
      case PROMPT_TUNING -> ConfigKeys.PROMPT_TUNING;
    };
  }

  /**
   * Opens an adapter's folder.
   *
   * @throws InvalidInputException if it is none, is damaged, or needs what is not supported
   * @throws UncheckedIOException if reading fails
   */
  public static PeftAdapter open(Path folder) {
    PlainPath.require(folder);
    if (!Files.exists(folder.resolve(CONFIG))) {
      Path inside = folder.resolve("adapter");
      throw new InvalidInputException(
          folder
              + " is not the folder of a PEFT adapter: "
              + CONFIG
              + " is missing"
              + (Files.exists(inside.resolve(CONFIG))
                  ? "; it looks like the folder of a run: give " + inside
                  : ""));
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
    String bias = config.optionalText("bias").orElse("none");
    if (!BIASES.contains(bias)) {
      throw config.wrong("bias", "none, all or lora_only");
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
    Map<String, TensorView> magnitudes = new LinkedHashMap<>();
    Set<String> adapterNames = new TreeSet<>();
    for (String stored : weights.names()) {
      if (stored.startsWith(VALUE_HEAD)) {
        continue;
      }
      String name = inModel(stored);
      Matcher key = KEY.matcher(name);
      Matcher magnitude = MAGNITUDE.matcher(name);
      if (key.matches()) {
        note(adapterNames, key);
        Map<String, TensorView> side = key.group("side").equals("A") ? a : b;
        put(side, key.group("module"), matrix(stored), stored);
      } else if (magnitude.matches()) {
        note(adapterNames, magnitude);
        put(magnitudes, magnitude.group("module"), weights.weight(stored), stored);
      } else {
        readSaved(name, stored, adapterNames);
      }
    }
    requireOne(adapterNames);
    if (a.isEmpty() && b.isEmpty() && saved.isEmpty()) {
      throw invalid("holds no tensors");
    }
    requireListed();
    requirePartner(b, a, "lora_B", "lora_A");
    requirePartner(a, b, "lora_A", "lora_B");
    requirePartner(magnitudes, a, "lora_magnitude_vector", "lora_A");
    boolean dora = config.bool("use_dora", false);
    if (dora && !magnitudes.keySet().containsAll(a.keySet())) {
      throw invalid(
          "lacks a lora_magnitude_vector of some modules, though " + CONFIG + " says use_dora");
    }
    if (!dora && !magnitudes.isEmpty()) {
      throw invalid(
          "has a lora_magnitude_vector of module "
              + magnitudes.keySet().iterator().next()
              + ", but "
              + CONFIG
              + " does not say use_dora");
    }
    JsonObject ranks = config.object("rank_pattern");
    JsonObject alphas = config.object("alpha_pattern");
    a.forEach(
        (name, tensorA) -> {
          Module module = module(name, tensorA, b.get(name), magnitudes.get(name), ranks, alphas);
          (dora ? doraModules : modules).put(name, module);
        });
  }

  private void requireOne(Set<String> adapterNames) {
    if (adapterNames.size() > 1) {
      throw invalid(
          "holds the adapters "
              + String.join(", ", adapterNames)
              + ", of which only one can be used: save it alone");
    }
  }

  private void requireListed() {
    List<String> listed = config.texts("modules_to_save");
    if (!listed.isEmpty() && saved.isEmpty()) {
      throw invalid(
          "holds no tensor of "
              + String.join(", ", listed)
              + ", which "
              + CONFIG
              + " lists in modules_to_save");
    }
  }

  private void readScales() {
    Set<String> adapterNames = new TreeSet<>();
    for (String stored : weights.names()) {
      if (stored.startsWith(VALUE_HEAD)) {
        continue;
      }
      String name = inModel(stored);
      Matcher key = IA3_KEY.matcher(name);
      if (!key.matches()) {
        readSaved(name, stored, adapterNames);
        continue;
      }
      note(adapterNames, key);
      TensorView vector = matrix(stored);
      if (vector.shape()[0] != 1 && vector.shape()[1] != 1) {
        throw invalid(
            "holds tensor %s with shape %s, where IA3 has a column for outputs or a row for inputs"
                .formatted(stored, Arrays.toString(vector.shape())));
      }
      put(scales, key.group("module"), vector, stored);
    }
    requireOne(adapterNames);
    if (scales.isEmpty() && saved.isEmpty()) {
      throw invalid("holds no tensors");
    }
    requireListed();
  }

  private void readPrompt() {
    int tokens = config.integer("num_virtual_tokens", 1, MAX_VIRTUAL_TOKENS);
    boolean bothStacks = config.optionalText("task_type").orElse("").equals("SEQ_2_SEQ_LM");
    int stacks = config.integer("num_transformer_submodules", 1, 2, bothStacks ? 2 : 1);
    for (String stored : weights.names()) {
      if (!stored.equals(PROMPT) && !stored.startsWith(VALUE_HEAD)) {
        throw invalid("holds tensor %s, but a soft prompt has %s alone".formatted(stored, PROMPT));
      }
    }
    if (!weights.contains(PROMPT)) {
      throw invalid("holds no tensor " + PROMPT);
    }
    TensorView all = matrix(PROMPT);
    long width = all.shape()[1];
    if (all.shape()[0] != (long) tokens * stacks || width < 1) {
      throw invalid(
          "holds %s with shape %s, but %s makes it %d virtual tokens for each of %d stacks"
              .formatted(PROMPT, Arrays.toString(all.shape()), CONFIG, tokens, stacks));
    }
    // PEFT makes virtual tokens for the decoder too, and puts none of them before its input.
    prompt =
        new TensorView(
            PROMPT,
            all.dtype(),
            new long[] {tokens, width},
            all.data().asSlice(0, tokens * width * all.dtype().bytes()));
  }

  /**
   * Returns the name that a tensor has in the base model: without the segments of wrappers, and
   * without everything before PEFT's prefix.
   */
  private static String inModel(String stored) {
    String name = TensorNames.unwrapped(stored);
    int at = name.lastIndexOf(PREFIX);
    return TensorNames.withoutPrefix(at < 0 ? name : name.substring(at + PREFIX.length()));
  }

  private static void note(Set<String> names, Matcher key) {
    if (key.group("adapter") != null) {
      names.add(key.group("adapter"));
    }
  }

  private void put(Map<String, TensorView> to, String key, TensorView tensor, String stored) {
    if (to.put(key, tensor) != null) {
      throw invalid("holds tensor " + stored + " under two names");
    }
  }

  private TensorView matrix(String stored) {
    TensorView tensor = weights.weight(stored);
    if (tensor.shape().length != 2) {
      throw invalid(
          "holds tensor %s with shape %s, where a matrix is needed"
              .formatted(stored, Arrays.toString(tensor.shape())));
    }
    return tensor;
  }

  private void requirePartner(
      Map<String, TensorView> have, Map<String, TensorView> need, String side, String other) {
    have.keySet().stream()
        .filter(Predicate.not(need::containsKey))
        .findFirst()
        .ifPresent(
            module -> {
              throw invalid("has " + side + " but no " + other + " for module " + module);
            });
  }

  /** Reads a weight of a module that was saved whole. */
  private void readSaved(String name, String stored, Set<String> adapterNames) {
    if (name.contains(".original_module.")) {
      return; // what the saved module replaces
    }
    Matcher key = SAVED.matcher(name);
    boolean matches = key.matches();
    if (matches && isSaved(key.group("module"))) {
      note(adapterNames, key);
      put(saved, key.group("module") + ".weight", weights.weight(stored), stored);
      return;
    }
    if (name.endsWith(".bias")) {
      throw invalid("holds tensor " + stored + ": trained biases are not supported");
    }
    if (name.contains(".lora_embedding_")) {
      throw invalid(
          "holds tensor "
              + stored
              + ": adapters on the embedding are not supported; merge it with PEFT first");
    }
    throw invalid(
        "holds tensor "
            + stored
            + ", which is neither %s nor of one of modules_to_save"
                .formatted(kind == Kind.IA3 ? "an ia3_l vector" : "a lora_A nor a lora_B weight"));
  }

  private boolean isSaved(String module) {
    if (EMBEDDINGS.contains(module)) {
      return true;
    }
    for (String name : config.texts("modules_to_save")) {
      // By PEFT's rule layer_norm names final_layer_norm too; what is inside a module is saved with
      // it.
      if (module.endsWith(name) || ("." + module + ".").contains("." + name + ".")) {
        return true;
      }
    }
    return false;
  }

  private Module module(
      String name,
      TensorView a,
      TensorView b,
      TensorView magnitude,
      JsonObject ranks,
      JsonObject alphas) {
    int itsRank = matching(ranks, name).map(k -> ranks.integer(k, 1, MAX_RANK)).orElse(rank);
    double itsAlpha = matching(alphas, name).map(alphas::number).orElse(alpha);
    if (a.shape()[0] != itsRank || b.shape()[1] != itsRank) {
      throw invalid(
          "has rank %d in lora_A and %d in lora_B of module %s, where %s says %d"
              .formatted(a.shape()[0], b.shape()[1], name, CONFIG, itsRank));
    }
    double scaling = itsAlpha / (rankStabilised ? Math.sqrt(itsRank) : itsRank);
    if (magnitude != null && magnitude.elements() != b.shape()[0]) {
      throw invalid(
          "has %d elements in lora_magnitude_vector of module %s, which has %d outputs"
              .formatted(magnitude.elements(), name, b.shape()[0]));
    }
    return new Module(name, a, b, itsRank, itsAlpha, scaling, magnitude);
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

  /** Returns its kind. */
  public Kind kind() {
    return kind;
  }

  /**
   * Makes sure that it is of a kind.
   *
   * @param instead completes the sentence: what to do with any other
   * @throws InvalidInputException if it is of another kind
   */
  public void requireKind(Kind wanted, String instead) {
    if (kind != wanted) {
      throw new InvalidInputException(
          "%s is %s, not %s: %s".formatted(folder, kind.noun, wanted.noun, instead));
    }
  }

  /**
   * Returns the vectors of an IA3 adapter, by the layer's name in the base model: (out, 1) for one
   * that multiplies the layer's outputs, (1, in) for one that multiplies its inputs.
   */
  public Map<String, TensorView> scales() {
    return Collections.unmodifiableMap(scales);
  }

  /** Returns the virtual tokens' embeddings (tokens, dModel); empty where it is no soft prompt. */
  public Optional<TensorView> prompt() {
    return Optional.ofNullable(prompt);
  }

  /**
   * Returns the rank of all modules but those that the configuration lists apart; 0 if not LoRA.
   */
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

  /**
   * Returns the adapted layers by their name in the base model, in the file's order, but for those
   * of a DoRA adapter.
   */
  public Map<String, Module> modules() {
    return Collections.unmodifiableMap(modules);
  }

  /** Returns the layers of a DoRA adapter, which is merged into the weights as they are loaded. */
  public Map<String, Module> doraModules() {
    return Collections.unmodifiableMap(doraModules);
  }

  /**
   * Returns the tensors that replace the base model's, by their name there: those of {@code
   * modules_to_save} and {@code save_embedding_layers}.
   */
  public Map<String, TensorView> savedTensors() {
    return Collections.unmodifiableMap(saved);
  }

  /** Returns the names in {@code modules_to_save}. */
  public List<String> modulesToSave() {
    return config.texts("modules_to_save");
  }

  /**
   * Returns true if a module is one of {@code modules_to_save}, and not saved for another reason.
   */
  boolean listsModule(String module) {
    return modulesToSave().stream().anyMatch(module::endsWith);
  }

  /**
   * Returns true if the adapter changes the base model or its input and does not only add to its
   * weights: it can only be given when the model is loaded.
   */
  public boolean changesBase() {
    return !doraModules.isEmpty() || !saved.isEmpty() || kind != Kind.LORA;
  }

  /**
   * Makes sure that the base model's weights can take the adapter in.
   *
   * @param instead completes the sentence: what to do with a soft prompt
   * @throws InvalidInputException if it is a soft prompt
   */
  public void requireMergeable(String instead) {
    if (prompt != null) {
      throw new InvalidInputException(
          folder + " is a soft prompt, which no weight can hold: " + instead);
    }
  }

  /**
   * Makes sure that the adapter only adds to the base model's weights.
   *
   * @param instead completes the sentence: what to do with any other
   * @throws InvalidInputException if it is no LoRA adapter, has DoRA modules or replaces modules
   */
  public void requireAddsOnly(String instead) {
    requireNoDora(instead);
    if (!saved.isEmpty()) {
      throw new InvalidInputException(
          "%s replaces %s of the base model: %s"
              .formatted(folder, String.join(", ", saved.keySet()), instead));
    }
  }

  /**
   * Makes sure that it is a LoRA adapter without DoRA modules, as {@link #requireAddsOnly} does.
   */
  public void requireNoDora(String instead) {
    requireKind(Kind.LORA, instead);
    if (!doraModules.isEmpty()) {
      throw new InvalidInputException(
          folder + " is a DoRA adapter, which changes the base model's weights: " + instead);
    }
  }

  /** Returns the files that the matrices are in. */
  public List<Path> files() {
    return weights.files();
  }

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

  /** Unmaps the weights; no tensor of the adapter may be used afterwards. */
  @Override
  public void close() {
    weights.close();
  }
}
