package dev.precis.t5;

import dev.precis.checkpoint.Checkpoint;
import dev.precis.checkpoint.PackedWeights;
import dev.precis.checkpoint.PeftAdapter;
import dev.precis.checkpoint.WeightsCache;
import dev.precis.io.InvalidInputException;
import dev.precis.layers.Linear;
import dev.precis.layers.Parameters;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.layers.Part;
import dev.precis.layers.WeightLoader;
import dev.precis.ops.LoraWeights;
import dev.precis.ops.Ops;
import dev.precis.ops.Weight;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;

/**
 * The weights of a T5, packed for the kernels.
 *
 * @param embedding (vocab, dModel), float32 or bfloat16; behind its rows those of the soft prompt
 * @param lmHead (vocab, dModel); the embedding's values where the two are tied
 * @param prompt virtual tokens before each source; null: none
 */
public record T5Weights(
    T5Config config,
    Weight embedding,
    Stack encoder,
    Stack decoder,
    Linear lmHead,
    SoftPrompt prompt) {

  /**
   * Encoder or decoder.
   *
   * @param finalNorm (dModel)
   */
  public record Stack(List<Layer> layers, Weight finalNorm) {}

  /**
   * One block.
   *
   * @param bias (buckets, heads) float32: relative position bias of the self-attention, which all
   *     layers of a stack share in T5 and mT5 and each has for itself in UMT5
   * @param qkv dModel -> 3 inner: queries, keys and values of the self-attention
   * @param crossQuery dModel -> inner, in the decoder; else null, as the three after it
   * @param crossKeyValue dModel -> 2 inner, read from the encoder's output once for each source
   * @param feedForwardIn dModel -> dFf, or 2 dFf when gated: wi_0 and wi_1
   */
  public record Layer(
      Weight bias,
      Weight selfNorm,
      Linear qkv,
      Linear selfOut,
      Weight crossNorm,
      Linear crossQuery,
      Linear crossKeyValue,
      Linear crossOut,
      Weight feedForwardNorm,
      Linear feedForwardIn,
      Linear feedForwardOut) {

    List<Linear> linears() {
      List<Linear> all = new ArrayList<>();
      for (Linear linear :
          Arrays.asList(
              qkv, selfOut, crossQuery, crossKeyValue, crossOut, feedForwardIn, feedForwardOut)) {
        if (linear != null) {
          all.add(linear);
        }
      }
      return all;
    }
  }

  /**
   * Packs a checkpoint.
   *
   * @param owner frees the weights
   * @param dtype of the packed weights: float32, bfloat16, int8 or int4
   * @throws InvalidInputException where a tensor is missing or has another shape than the
   *     configuration says
   */
  public static T5Weights load(
      Checkpoint checkpoint, T5Config config, Ops ops, Arena owner, DType dtype) {
    return load(checkpoint, config, ops, owner, dtype, WeightLoader.memory(ops, owner));
  }

  /**
   * Packs a checkpoint whose weights may have been packed before.
   *
   * @param packed gives memory for the weights, or the weights
   */
  public static T5Weights load(
      Checkpoint checkpoint,
      T5Config config,
      Ops ops,
      Arena owner,
      DType dtype,
      PackedWeights packed) {
    return load(checkpoint, config, ops, owner, dtype, packed, null);
  }

  /**
   * Packs a checkpoint whose sources begin with a soft prompt.
   *
   * @param packed gives memory for the weights, or the weights
   * @param prompt (virtual tokens, dModel) float32, which must live as long as the weights; null:
   *     none
   */
  public static T5Weights load(
      Checkpoint checkpoint,
      T5Config config,
      Ops ops,
      Arena owner,
      DType dtype,
      PackedWeights packed,
      Tensor prompt) {
    WeightLoader source = WeightLoader.frozen(checkpoint, ops, owner, dtype, packed);
    Weight values = prompt == null ? null : new Weight(prompt, null);
    return load(checkpoint, source, config, new Flow(name -> false, false), values, ops);
  }

  /**
   * Packs a checkpoint, frozen, such that gradients flow through all of it to a soft prompt.
   *
   * @param prompt (virtual tokens, dModel)
   */
  public static T5Weights loadForPrompt(
      Checkpoint checkpoint, T5Config config, Ops ops, Arena owner, DType dtype, Parameter prompt) {
    Flow flow = new Flow(name -> false, false);
    flow.encoder = true;
    PackedWeights memory = WeightLoader.memory(ops, owner);
    WeightLoader source = WeightLoader.forAdapters(checkpoint, ops, owner, dtype, memory, null);
    Weight values = new Weight(prompt.value(), prompt.gradient());
    return load(checkpoint, source, config, flow, values, ops);
  }

  /**
   * Packs a checkpoint, frozen, but such that gradients can flow down to the lowest adapter: every
   * product above it can be packed transposed.
   *
   * @param dtype of the packed weights: float32, bfloat16 or, on the CPU, int8 or int4; the output
   *     layer is bfloat16 then
   * @param packed gives memory for the frozen weights, or the weights
   * @param adapted whether a layer, by its module name, has an adapter
   * @param trained parameters that are in the place of some weights; null: none are. Gradients then
   *     flow through the whole model.
   */
  public static T5Weights loadForAdapters(
      Checkpoint checkpoint,
      T5Config config,
      Ops ops,
      Arena owner,
      DType dtype,
      PackedWeights packed,
      Predicate<String> adapted,
      Parameters trained) {
    WeightLoader source = WeightLoader.forAdapters(checkpoint, ops, owner, dtype, packed, trained);
    return load(checkpoint, source, config, new Flow(adapted, trained != null), null, ops);
  }

  /**
   * Packs a checkpoint as the method for adapters, some of which scale a layer's input.
   *
   * @param scaledInputs whether a layer, by its module name, has its input scaled
   */
  public static T5Weights loadForScales(
      Checkpoint checkpoint,
      T5Config config,
      Ops ops,
      Arena owner,
      DType dtype,
      PackedWeights packed,
      Predicate<String> adapted,
      Predicate<String> scaledInputs) {
    Flow flow = new Flow(adapted, false);
    flow.scaledInputs = scaledInputs;
    WeightLoader source = WeightLoader.forAdapters(checkpoint, ops, owner, dtype, packed, null);
    return load(checkpoint, source, config, flow, null, ops);
  }

  private static T5Weights load(
      Checkpoint checkpoint,
      WeightLoader source,
      T5Config config,
      Flow flow,
      Weight prompt,
      Ops ops) {
    noteUnused(checkpoint, config);
    T5Weights weights = new Loader(source, config, flow).load(prompt, ops);
    checkpoint.requireUnchanged();
    return weights;
  }

  /**
   * Gives memory for packed weights or, on the CPU, the weights that an earlier run has left. They
   * depend on the checkpoint, its configuration, the library and the instruction set.
   *
   * @param cache null: none
   * @param variant what else they depend on
   * @param owner frees them
   */
  public static PackedWeights packed(
      Checkpoint checkpoint,
      WeightsCache cache,
      DType dtype,
      String variant,
      Ops ops,
      Arena owner) {
    // A GPU's own order, from the mapped file straight to its memory, is no slower than a file.
    if (cache == null || ops.onGpu()) {
      return WeightLoader.memory(ops, owner);
    }
    Path folder = checkpoint.path();
    List<Path> sources = new ArrayList<>(checkpoint.files());
    sources.add(folder.resolve("config.json"));
    sources.add(Ops.library());
    String name =
        "%s-%s %s".formatted(folder.toAbsolutePath().normalize().getFileName(), dtype, variant);
    return new PackedWeights(
        bytes -> ops.allocate(owner, bytes),
        cache,
        sources,
        name.strip().toLowerCase(Locale.ROOT),
        "%s %s %s".formatted(dtype, ops.device().info().isa(), variant).strip(),
        owner);
  }

  /** Loads the embedding and the encoder alone: there is no decoder and no output layer. */
  static T5Weights loadEncoder(WeightLoader source, T5Config config) {
    Loader loader = new Loader(source, config, new Flow(name -> false, false));
    Weight embedding = source.embedding("shared.weight", config.vocabSize(), config.dModel());
    Stack encoder = loader.stack("encoder", config.numLayers(), false);
    return new T5Weights(config, embedding, encoder, new Stack(List.of(), null), null, null);
  }

  /** The flow of gradients, asked product by product in the order of the forward pass. */
  private static final class Flow {
    private final Predicate<String> adapted;
    private Predicate<String> scaledInputs = name -> false;
    private boolean encoder;
    private boolean decoder;

    /**
     * Begins at the input of a model.
     *
     * @param embedding whether the embedding, which everything reads, is trained
     */
    Flow(Predicate<String> adapted, boolean embedding) {
      this.adapted = adapted;
      encoder = embedding;
      decoder = embedding;
    }

    /** Returns whether anything that is trained lies upstream of a product's input. */
    boolean reaches(List<String> names) {
      boolean own = names.stream().anyMatch(adapted);
      boolean before;
      if (names.getFirst().startsWith("encoder.block.")) {
        before = encoder;
        encoder |= own;
      } else if (names.getFirst().endsWith(".EncDecAttention.k")) {
        // It reads the encoder's output, and what comes after it reads both.
        before = encoder;
        decoder |= encoder || own;
      } else {
        before = decoder;
        decoder |= own;
      }
      return before || names.stream().anyMatch(scaledInputs);
    }
  }

  /**
   * Makes weights for full fine-tuning: packed weights are copies of the parameters, which {@link
   * Linear#update} brings up to date; norms, biases and the embedding are the parameters
   * themselves.
   *
   * @param parameters of the names and shapes of {@link T5Config#tensorShapes}
   * @param dtype of the packed copies: float32 or bfloat16
   */
  public static T5Weights train(
      Parameters parameters, T5Config config, Ops ops, Arena owner, DType dtype) {
    return new Loader(
            WeightLoader.trained(parameters, ops, owner, dtype),
            config,
            new Flow(name -> true, true))
        .load(null, ops);
  }

  /**
   * Packs a checkpoint, frozen, to give results bitwise identical to those of {@link #train} of the
   * same values: to compare with it.
   */
  public static T5Weights loadAsTrained(
      Checkpoint checkpoint, T5Config config, Ops ops, Arena owner, DType dtype) {
    T5Weights weights =
        new Loader(
                WeightLoader.frozenAsTrained(checkpoint, ops, owner, dtype),
                config,
                new Flow(name -> false, false))
            .load(null, ops);
    checkpoint.requireUnchanged();
    return weights;
  }

  /** Brings everything that is packed up to date with the parameters that are trained. */
  public void update(Ops ops) {
    Linear.update(linears(), ops);
    if (prompt != null) {
      prompt.update(ops);
    }
  }

  /** Returns the number of virtual tokens before each source; 0 without a soft prompt. */
  public int promptTokens() {
    return prompt == null ? 0 : prompt.tokens();
  }

  /** Returns sources as the encoder reads them: behind the virtual tokens, where there are any. */
  public List<int[]> prompted(List<int[]> sources) {
    return prompt == null ? sources : prompt.before(sources);
  }

  /**
   * Copies sources to native memory as the encoder reads them: behind the virtual tokens, where
   * there are any.
   *
   * @throws InvalidInputException where a source is empty or an id is outside the vocabulary
   */
  public Ragged sources(List<int[]> sources, Workspace workspace) {
    if (prompt != null) {
      Ragged.check(sources, config.vocabSize());
    }
    return promptedSources(prompted(sources), workspace);
  }

  /** Copies sources to native memory that begin with the virtual tokens already. */
  public Ragged promptedSources(List<int[]> sources, Workspace workspace) {
    return Ragged.of(sources, config.vocabSize() + promptTokens(), workspace);
  }

  /** Returns every product of the model. */
  public List<Linear> linears() {
    List<Linear> all = new ArrayList<>();
    encoder.layers.forEach(layer -> all.addAll(layer.linears()));
    decoder.layers.forEach(layer -> all.addAll(layer.linears()));
    all.add(lmHead);
    return all;
  }

  /**
   * Makes sure that an adapter was made for this model.
   *
   * @throws InvalidInputException where it was not
   */
  public void check(PeftAdapter adapter) {
    Map<String, long[]> shapes = new HashMap<>();
    for (Linear linear : linears()) {
      for (Part part : linear.parts()) {
        shapes.put(part.name(), new long[] {part.outputs(), linear.inputs()});
      }
    }
    for (PeftAdapter.Module module : adapter.modules().values()) {
      adapter.requireFits(module, shapes.get(module.name()));
    }
  }

  /** Adapters that are packed for every product of a model. */
  public static final class Adapters {
    private final Linear[] linears;
    private final LoraWeights[] products; // null where a product gets nothing

    private Adapters(List<Linear> linears, LoraWeights[] products) {
      this.linears = linears.toArray(Linear[]::new);
      this.products = products;
    }

    /** Puts them on the weights, in place of those that are there. */
    public void use() {
      for (int i = 0; i < linears.length; i++) {
        linears[i].use(products[i]);
      }
    }

    /**
     * Puts adapters of single rows on the weights, in place of those that are there: products then
     * have as many rows.
     *
     * @param ends each adapters' last row, plus one; their first row is the end of those before
     */
    public static void use(List<Adapters> all, int[] ends) {
      Linear[] linears = all.getFirst().linears;
      for (int i = 0; i < linears.length; i++) {
        linears[i].useRows();
        for (int j = 0, begin = 0; j < ends.length; begin = ends[j++]) {
          linears[i].addRows(begin, ends[j], all.get(j).products[i]);
        }
      }
    }
  }

  /**
   * Packs adapters, whose effects add up; an empty list gives none.
   *
   * @param owner frees the packed adapters
   * @throws InvalidInputException where an adapter was made for another model
   */
  public Adapters pack(List<PeftAdapter> adapters, Ops ops, Arena owner) {
    adapters.forEach(this::check);
    List<Map<String, PeftAdapter.Module>> modules =
        adapters.stream().map(PeftAdapter::modules).toList();
    List<Linear> linears = linears();
    // They share their memory, which the system then gives in large pages: a step of many adapters
    // reads little of each, and would miss the translation buffer for every tile.
    long bytes = linears.stream().mapToLong(linear -> linear.packedBytes(modules, ops)).sum();
    SegmentAllocator memory =
        SegmentAllocator.slicingAllocator(
            bytes == 0 ? MemorySegment.NULL : ops.allocate(owner, bytes));
    return new Adapters(
        linears,
        linears.stream()
            .map(linear -> linear.packInto(memory, modules, ops))
            .toArray(LoraWeights[]::new));
  }

  /** Says in a note which tensors of a checkpoint a model does not read. */
  public static void noteUnused(Checkpoint checkpoint, T5Config config) {
    Set<String> used = new HashSet<>(config.tensorShapes().keySet());
    used.add("lm_head.weight");
    checkpoint.noteUnused(used);
  }

  /** Makes the weights. */
  private record Loader(WeightLoader source, T5Config config, Flow flow) {

    /**
     * Loads everything.
     *
     * @param prompt values of a soft prompt; null: none
     */
    T5Weights load(Weight prompt, Ops ops) {
      Weight embedding =
          source.embedding(
              "shared.weight",
              config.vocabSize(),
              config.dModel(),
              prompt == null ? 0 : prompt.value().rows());
      Stack encoder = stack("encoder", config.numLayers(), false);
      Stack decoder = stack("decoder", config.numDecoderLayers(), true);
      boolean own = hasOwnHead();
      if (!own && !config.tieWordEmbeddings()) {
        throw new InvalidInputException(
            source.origin()
                + " has no tensor lm_head.weight, though config.json says that the"
                + " output layer is not tied to the embedding: the checkpoint is incomplete");
      }
      Linear lmHead =
          linear(
              config.dModel(),
              List.of(own ? "lm_head" : "shared"),
              config.vocabSize(),
              source.outputType());
      SoftPrompt soft = prompt == null ? null : new SoftPrompt(prompt, embedding.value(), ops);
      return new T5Weights(config, embedding, encoder, decoder, lmHead, soft);
    }

    /**
     * Returns whether the output layer has weights of its own: weights that differ from the
     * embedding's count, as in transformers, whatever is configured.
     */
    private boolean hasOwnHead() {
      if (!source.contains("lm_head.weight")) {
        return false;
      }
      return !config.tieWordEmbeddings() || !source.same("lm_head.weight", "shared.weight");
    }

    private Stack stack(String name, int layers, boolean cross) {
      List<Layer> all = new ArrayList<>();
      Weight bias = null;
      for (int i = 0; i < layers; i++) {
        String prefix = name + ".block." + i + ".layer.";
        if (i == 0 || config.biasInEveryLayer()) {
          bias =
              weight(
                  prefix + "0.SelfAttention.relative_attention_bias.weight",
                  config.relativeAttentionNumBuckets(),
                  config.numHeads());
        }
        all.add(layer(prefix, bias, cross));
      }
      return new Stack(all, weight(name + ".final_layer_norm.weight", config.dModel()));
    }

    private Layer layer(String prefix, Weight bias, boolean cross) {
      int d = config.dModel();
      int inner = config.inner();
      String self = prefix + "0.SelfAttention.";
      String other = prefix + "1.EncDecAttention.";
      String forward = prefix + (cross ? "2" : "1") + ".DenseReluDense.";
      return new Layer(
          bias,
          weight(prefix + "0.layer_norm.weight", d),
          linear(d, List.of(self + "q", self + "k", self + "v"), inner),
          linear(inner, List.of(self + "o"), d),
          cross ? weight(prefix + "1.layer_norm.weight", d) : null,
          cross ? linear(d, List.of(other + "q"), inner) : null,
          cross ? linear(d, List.of(other + "k", other + "v"), inner) : null,
          cross ? linear(inner, List.of(other + "o"), d) : null,
          weight(prefix + (cross ? "2" : "1") + ".layer_norm.weight", d),
          linear(
              d,
              config.gated()
                  ? List.of(forward + "wi_0", forward + "wi_1")
                  : List.of(forward + "wi"),
              config.dFf()),
          linear(config.dFf(), List.of(forward + "wo"), d));
    }

    private Weight weight(String name, long... shape) {
      return source.weight(name, shape);
    }

    private Linear linear(long inputs, List<String> names, long outputs) {
      return linear(inputs, names, outputs, source.dtype());
    }

    private Linear linear(long inputs, List<String> names, long outputs, DType dtype) {
      return source.linear(names, outputs, inputs, dtype, flow.reaches(names));
    }
  }
}
