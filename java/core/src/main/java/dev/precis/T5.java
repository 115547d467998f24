package dev.precis;

import dev.precis.checkpoint.AdapterMerge;
import dev.precis.checkpoint.Checkpoint;
import dev.precis.checkpoint.PackedWeights;
import dev.precis.checkpoint.PeftAdapter;
import dev.precis.checkpoint.WeightsCache;
import dev.precis.device.DeviceInfo;
import dev.precis.generation.GeneratedTokens;
import dev.precis.generation.Generation;
import dev.precis.generation.GenerationDefaults;
import dev.precis.generation.GenerationOptions;
import dev.precis.generation.Generator;
import dev.precis.generation.ResultListener;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Resources;
import dev.precis.ops.Ops;
import dev.precis.t5.GenerationConfig;
import dev.precis.t5.T5Config;
import dev.precis.t5.T5Model;
import dev.precis.t5.T5Weights;
import dev.precis.tensor.DType;
import dev.precis.text.TokenStream;
import dev.precis.text.Tokenizer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Consumer;
import java.util.function.LongFunction;

/**
 * Generates text with a T5 or FLAN-T5 model (Raffel et al. 2020; Chung et al. 2022).
 *
 * <pre>{@code
 * try (var model = T5.load(Path.of("flan-t5-base"))) {
 *   System.out.println(model.generate("Summarize: ...").text());
 * }
 * }</pre>
 *
 * <p><b>Threads.</b> Any thread may call, virtual ones too; calls run one after another, because
 * one call uses every core. They run on a thread of the model, which is pinned to a core as its
 * workers are: the callers wait and are never pinned, and their callbacks run on their own thread.
 * A call that is interrupted ends with a {@link java.util.concurrent.CancellationException}. After
 * {@link #close} every call throws an {@link IllegalStateException}, and so does a call from a
 * callback.
 *
 * <p><b>Memory.</b> Weights are copied from the checkpoint when it is loaded and freed by {@link
 * #close}; with a {@link LoadOptions#weightsCache} they can be mapped from a file of an earlier
 * run.
 */
public final class T5 implements AutoCloseable {
  /** Sources that are decoded in one batch if a call does not say. */
  public static final int DEFAULT_BATCH_SIZE = 8;

  private final Path folder;
  private final GenerationDefaults defaults;
  private final DType dtype;
  private final Engine engine;
  private final T5Weights weights;
  private final T5Model model;
  private final Generator generator;
  private final Tokenizer tokenizer;
  private final Path merged; // the adapter that changed the weights, or null
  private Arena adapterArena = Arena.ofShared();

  /**
   * Options of loading. The defaults: the checkpoint's own type, the CPU with every core, no
   * adapter.
   */
  public static final class LoadOptions extends CommonLoadOptions<LoadOptions> {
    private List<Path> adapters = List.of();
    private boolean generationConfig = true;
    private WeightsCache weightsCache;

    /** Makes default options. */
    public LoadOptions() {
      super(
          "A model is loaded as float32, bfloat16 or int8",
          DType.FLOAT32,
          DType.BFLOAT16,
          DType.INT8);
    }

    @Override
    LoadOptions self() {
      return this;
    }

    /** Sets the folders of PEFT adapters; the effects of several add up. */
    public LoadOptions adapters(List<Path> adapters) {
      this.adapters = List.copyOf(adapters);
      return this;
    }

    /**
     * Sets whether {@code generation_config.json} of the folder is followed, the default: its start
     * and end tokens always, the rest in {@link T5#defaultOptions}.
     */
    public LoadOptions generationConfig(boolean generationConfig) {
      this.generationConfig = generationConfig;
      return this;
    }

    /**
     * Sets the folder in which packed weights are kept between runs, so that the next start is
     * faster; null, the default: none. The first run writes them when the model is closed.
     */
    public LoadOptions weightsCache(WeightsCache weightsCache) {
      this.weightsCache = weightsCache;
      return this;
    }

    /**
     * Sets the instruction set: {@code portable}, {@code avx2}, {@code avx512} or {@code
     * avx512_bf16}; null, the default: the best of the machine.
     */
    public LoadOptions isa(String isa) {
      device().isa(isa);
      return this;
    }

    /**
     * Sets the kernels for matrix products of many rows: {@code native} or {@code onednn}; null,
     * the default: the faster ones.
     */
    public LoadOptions matmul(String matmul) {
      device().matmul(matmul);
      return this;
    }
  }

  private T5(Path folder, LoadOptions options, Engine engine, CompletableFuture<Tokenizer> text) {
    this.folder = folder;
    this.engine = engine;
    GenerationConfig generation =
        options.generationConfig ? GenerationConfig.read(folder) : GenerationConfig.none(folder);
    T5Config config = T5Config.read(folder, generation);
    defaults = new GenerationDefaults(generation, config);
    PackedWeights packed;
    try (Checkpoint checkpoint = Checkpoint.open(folder);
        Resources adapters = new Resources()) {
      List<PeftAdapter> changing =
          options.adapters.stream().map(each -> adapters.add(PeftAdapter.open(each))).toList();
      dtype = options.dtypeOr(ownType(checkpoint));
      AdapterMerge.apply(checkpoint, changing);
      merged =
          changing.stream()
              .filter(PeftAdapter::changesBase)
              .findFirst()
              .map(PeftAdapter::folder)
              .orElse(null);
      packed = packedWeights(merged == null ? options.weightsCache : null, checkpoint);
      weights = T5Weights.load(checkpoint, config, engine.ops(), engine.arena(), dtype, packed);
    }
    model = new T5Model(weights, engine.ops(), dtype);
    generator = engine.add(new Generator(model));
    engine.add(() -> adapterArena.close());
    packAdapters(options.adapters);
    tokenizer = engine.add(await(text));
    tokenizer.checkVocabulary(folder, config.vocabSize());
    // Closed first: the weights are written while they are still there.
    engine.add(
        () -> {
          if (packed.toBeKept()) {
            engine.ops().release(); // checksums are computed on every core
            packed.keep();
          }
        });
  }

  /**
   * Makes the packed weights. They depend on the checkpoint, its configuration, the library and the
   * instruction set.
   */
  private PackedWeights packedWeights(WeightsCache cache, Checkpoint checkpoint) {
    LongFunction<MemorySegment> allocate = bytes -> engine.device().allocate(engine.arena(), bytes);
    // The device's own order, from the mapped file straight to its memory, is no slower than a
    // file.
    if (cache == null || engine.device().onGpu()) {
      return new PackedWeights(allocate);
    }
    List<Path> sources = new ArrayList<>(checkpoint.files());
    sources.add(folder.resolve("config.json"));
    sources.add(Ops.library());
    String options = dtype + " " + engine.device().info().isa();
    String name = folder.toAbsolutePath().normalize().getFileName() + "-" + dtype;
    return new PackedWeights(
        allocate, cache, sources, name.toLowerCase(Locale.ROOT), options, engine.arena());
  }

  private static Tokenizer await(CompletableFuture<Tokenizer> text) {
    try {
      return text.join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      if (e.getCause() instanceof Error cause) {
        throw cause;
      }
      throw e;
    }
  }

  private static DType ownType(Checkpoint checkpoint) {
    return checkpoint.get("shared.weight").dtype() == DType.BFLOAT16
        ? DType.BFLOAT16
        : DType.FLOAT32;
  }

  /**
   * Loads a model with the default options.
   *
   * @param folder a Hugging Face folder: config.json, weights, tokenizer
   * @throws InvalidInputException if something in it cannot be used; the message is one sentence
   */
  public static T5 load(Path folder) {
    return load(folder, new LoadOptions());
  }

  /**
   * Loads a model. The caller must close it.
   *
   * @param folder a Hugging Face folder: config.json, weights, tokenizer
   * @throws InvalidInputException if something in it cannot be used, or the device cannot
   */
  public static T5 load(Path folder, LoadOptions options) {
    // Both take a few hundred milliseconds, on different things.
    CompletableFuture<Tokenizer> text = CompletableFuture.supplyAsync(() -> Tokenizer.load(folder));
    Engine engine = null;
    try {
      Engine opened = engine = Engine.open("model", options.device());
      return opened.run(() -> new T5(folder, options, opened, text));
    } catch (RuntimeException | Error e) {
      text.thenAccept(Tokenizer::close);
      if (engine != null) {
        engine.close();
      }
      throw e;
    }
  }

  /** Returns the folder that the model was loaded from. */
  public Path folder() {
    return folder;
  }

  /** Returns the model's shape. */
  public T5Config config() {
    return model.config();
  }

  /**
   * Returns the model's own options of generation: what {@code generation_config.json} of the
   * folder asks for, {@link GenerationOptions#DEFAULT} where it says nothing. Others start from
   * them, as in {@code model.defaultOptions().with().maxNewTokens(50).build()}.
   *
   * @throws InvalidInputException if the folder asks for something that cannot be; the message
   *     names the file
   */
  public GenerationOptions defaultOptions() {
    return defaults.options();
  }

  /** Returns the settings of generation in the folder, for options that combine with them. */
  public GenerationDefaults defaults() {
    return defaults;
  }

  /** Returns the type of its packed weights. */
  public DType dtype() {
    return dtype;
  }

  /** Returns its tokenizer, which is thread-safe. */
  public Tokenizer tokenizer() {
    return tokenizer;
  }

  /** Returns the device that it runs on, with its counters as they are now. */
  public DeviceInfo device() {
    return engine.run(engine.device()::describe);
  }

  /**
   * Replaces the model's adapters without loading it again; an empty list removes them. A DoRA
   * adapter, or one that replaces modules, can only be given when the model is loaded.
   *
   * @param folders PEFT folders; the effects of several add up
   * @throws InvalidInputException if one does not fit this model, which then keeps its adapters
   */
  public void useAdapters(List<Path> folders) {
    if (merged != null) {
      throw new InvalidInputException(
          merged
              + " was merged into the weights as the model was loaded: load the model again to use"
              + " other adapters");
    }
    for (Path each : folders) {
      try (PeftAdapter adapter = PeftAdapter.open(each)) {
        adapter.requireAddsOnly("load the model with it");
      }
    }
    engine.run(
        () -> {
          packAdapters(folders);
          return null;
        });
  }

  private void packAdapters(List<Path> folders) {
    Arena arena = Arena.ofShared();
    try (Resources opened = new Resources()) {
      List<PeftAdapter> adapters =
          folders.stream().map(each -> opened.add(PeftAdapter.open(each))).toList();
      weights.use(adapters, engine.ops(), arena);
    } catch (RuntimeException | Error e) {
      arena.close();
      throw e;
    }
    adapterArena.close();
    adapterArena = arena;
  }

  /**
   * Generates with the {@link #defaultOptions}: greedily, at most 200 tokens, where the folder does
   * not say otherwise.
   */
  public Generation generate(String prompt) {
    return generate(prompt, defaultOptions());
  }

  /** Generates for a prompt and returns the best result, or the first if the options sample. */
  public Generation generate(String prompt, GenerationOptions options) {
    return generate(List.of(prompt), options).getFirst().getFirst();
  }

  /**
   * Generates for many prompts.
   *
   * @return for each prompt, in order, numReturnSequences results, the best first
   * @throws InvalidInputException if a prompt is no text, such as one cut inside a surrogate pair,
   *     or has more tokens than the options' maxSourceTokens
   * @throws dev.precis.generation.GenerationTimeoutException if the options' timeout passes
   */
  public List<List<Generation>> generate(List<String> prompts, GenerationOptions options) {
    List<int[]> sources = prompts.stream().map(tokenizer::encode).toList();
    List<List<Generation>> all = new ArrayList<>();
    for (List<GeneratedTokens> each : generateTokens(sources, options, DEFAULT_BATCH_SIZE, null)) {
      all.add(each.stream().map(this::decode).toList());
    }
    return all;
  }

  /**
   * Generates from token ids.
   *
   * @param sources token ids of each source, its end token included
   * @param batchSize the most sources that are decoded in one batch: more is faster and takes more
   *     memory; the tokens are the same
   * @param onResult receives each source's results as they are complete; null for none
   * @return for each source, in order, numReturnSequences results, the best first
   * @throws InvalidInputException if a source is empty or has an id outside the vocabulary
   */
  public List<List<GeneratedTokens>> generateTokens(
      List<int[]> sources, GenerationOptions options, int batchSize, ResultListener onResult) {
    return generateTokens(sources, options, batchSize, 0, onResult);
  }

  /**
   * Generates from token ids, a part of a longer list; see {@link #generateTokens(List,
   * GenerationOptions, int, ResultListener)}.
   *
   * @param firstSource number of sources that came before: tokens are sampled as if they were in
   *     this call
   */
  public List<List<GeneratedTokens>> generateTokens(
      List<int[]> sources,
      GenerationOptions options,
      int batchSize,
      long firstSource,
      ResultListener onResult) {
    ResultListener listener =
        onResult == null
            ? null
            : (index, results) -> engine.onCaller(() -> onResult.done(index, results));
    return engine.run(
        () -> generator.generate(sources, options, batchSize, firstSource, null, listener));
  }

  /** Decodes tokens to text, without special tokens. */
  public Generation decode(GeneratedTokens generated) {
    return new Generation(
        tokenizer.decode(generated.tokens(), true),
        generated.tokens(),
        generated.score(),
        generated.finished());
  }

  /**
   * Generates and hands out the text piece by piece; the pieces together are the whole text.
   *
   * @param options without beams, whose past can change
   * @param pieces receives the pieces on the calling thread; none is empty
   * @throws InvalidInputException if the options ask for beams or for several sequences
   */
  public Generation stream(String prompt, GenerationOptions options, Consumer<String> pieces) {
    return stream(tokenizer.encode(prompt), options, 0, pieces);
  }

  /**
   * Streams the n-th source of a list; see {@link #stream(String, GenerationOptions, Consumer)}.
   *
   * @param n number of sources that came before: tokens are sampled accordingly
   */
  public Generation stream(
      int[] source, GenerationOptions options, long n, Consumer<String> pieces) {
    if (options.numBeams() > 1 || options.numReturnSequences() > 1) {
      throw new InvalidInputException("Only one sequence, without beams, can be streamed.");
    }
    return engine.run(
        () -> {
          TokenStream stream = tokenizer.stream(true);
          List<List<GeneratedTokens>> all =
              generator.generate(
                  List.of(source),
                  options,
                  1,
                  n,
                  (index, sequence, token) -> emit(pieces, stream.append(token)),
                  null);
          emit(pieces, stream.finish());
          return decode(all.getFirst().getFirst());
        });
  }

  private void emit(Consumer<String> pieces, String piece) {
    if (!piece.isEmpty()) {
      engine.onCaller(() -> pieces.accept(piece));
    }
  }

  /** Returns the layers underneath, for programs with a loop of their own; not thread-safe. */
  public T5Model model() {
    return model;
  }

  /** Waits for the running call, then frees weights, threads and tokenizer. */
  @Override
  public void close() {
    engine.close();
  }
}
