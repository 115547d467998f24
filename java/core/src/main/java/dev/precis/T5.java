package dev.precis;

import dev.precis.checkpoint.AdapterMerge;
import dev.precis.checkpoint.Checkpoint;
import dev.precis.checkpoint.PackedWeights;
import dev.precis.checkpoint.PeftAdapter;
import dev.precis.checkpoint.TensorView;
import dev.precis.checkpoint.WeightsCache;
import dev.precis.device.DeviceInfo;
import dev.precis.device.DeviceOptions;
import dev.precis.generation.BatchLoad;
import dev.precis.generation.GeneratedTokens;
import dev.precis.generation.Generation;
import dev.precis.generation.GenerationCall;
import dev.precis.generation.GenerationDefaults;
import dev.precis.generation.GenerationOptions;
import dev.precis.generation.GenerationRequest;
import dev.precis.generation.RequestScheduler;
import dev.precis.generation.ResultListener;
import dev.precis.generation.TokenListener;
import dev.precis.io.FlightRecorder;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Resources;
import dev.precis.lora.PromptAdapter;
import dev.precis.t5.FirstTokens;
import dev.precis.t5.GenerationConfig;
import dev.precis.t5.MeanStates;
import dev.precis.t5.T5Config;
import dev.precis.t5.T5Model;
import dev.precis.t5.T5Weights;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.text.TokenStream;
import dev.precis.text.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Consumer;

/**
 * Generates text with a T5 or FLAN-T5 model (Raffel et al. 2020; Chung et al. 2022).
 *
 * <pre>{@code
 * try (var model = T5.load(Path.of("flan-t5-base"))) {
 *   System.out.println(model.generate("Summarize: ...").text());
 * }
 * }</pre>
 *
 * <p><b>Threads.</b> Any thread may call, virtual ones too. The sequences of all requests are
 * decoded in one batch, which they enter and leave between two steps; each has the options of its
 * own request, and the tokens that it would have alone. Beam searches have batches of their own,
 * one after another, whose steps alternate with the others'. Where more wait than there is room
 * for, the request with the fewest sequences in the batch is next, the oldest among equals.
 *
 * <p>The model runs on a thread of its own, which is pinned to a core as its workers are: the
 * callers wait and are never pinned, and their callbacks run on their own thread. A call that is
 * interrupted ends with a {@link java.util.concurrent.CancellationException}. After {@link #close}
 * every call throws an {@link IllegalStateException}. {@link #submit} returns at once, with a
 * handle that can be cancelled.
 *
 * <p><b>Adapters.</b> A model has default adapters, whose effects add up, and keeps others under a
 * name, of which a request may choose one in place of the default ones.
 *
 * <p><b>Memory.</b> Weights are copied from the checkpoint when it is loaded and freed by {@link
 * #close}; with a {@link LoadOptions#weightsCache} they can be mapped from a file of an earlier
 * run.
 */
public final class T5 implements AutoCloseable {
  /** Sources that are decoded in one batch if a call does not say. */
  public static final int DEFAULT_BATCH_SIZE = GenerationRequest.DEFAULT_BATCH_SIZE;

  /** The most rows of a decoding step if {@link LoadOptions} do not say. */
  public static final int DEFAULT_BATCH_ROWS = 32;

  /** The most bytes of the KV cache if {@link LoadOptions} do not say: 2 GiB. */
  public static final long DEFAULT_CACHE_BYTES = 2L << 30;

  /** The most requests that wait if {@link LoadOptions} do not say. */
  public static final int DEFAULT_WAITING_REQUESTS = 1024;

  private final Path folder;
  private final GenerationDefaults defaults;
  private final DType dtype;
  private final Engine engine;
  private final T5Weights weights;
  private final T5Model model;
  private final RequestScheduler scheduler;
  private final Tokenizer tokenizer;
  private final Path merged; // the adapter that changed the weights, or null
  private final ModelAdapters adapters;
  private final MeanStates means;
  private final FirstTokens firstTokens;

  /**
   * Options of loading. The defaults: the checkpoint's own type, the CPU with every core, no
   * adapter.
   */
  public static final class LoadOptions extends CommonLoadOptions<LoadOptions> {
    private List<Path> adapters = List.of();
    private boolean generationConfig = true;
    private Map<String, Path> namedAdapters = Map.of();
    private int maxBatchRows = DEFAULT_BATCH_ROWS;
    private long maxCacheBytes = DEFAULT_CACHE_BYTES;
    private int maxWaitingRequests = DEFAULT_WAITING_REQUESTS;
    private WeightsCache weightsCache;

    /** Makes default options. */
    public LoadOptions() {
      super(
          "A model is loaded as float32, bfloat16, int8 or int4",
          DType.FLOAT32,
          DType.BFLOAT16,
          DType.INT8,
          DType.INT4);
    }

    @Override
    LoadOptions self() {
      return this;
    }

    /** Returns the device, which for int4 is the CPU. */
    private DeviceOptions usableDevice() {
      return dtypeOr(null) == DType.INT4 ? device().onCpu("int4 weights") : device();
    }

    /** Sets the folders of PEFT adapters; the effects of several add up. */
    public LoadOptions adapters(List<Path> adapters) {
      this.adapters = List.copyOf(adapters);
      return this;
    }

    /** Sets adapters that requests choose by name, see {@link T5#addAdapter}. */
    public LoadOptions namedAdapters(Map<String, Path> namedAdapters) {
      this.namedAdapters = Map.copyOf(namedAdapters);
      return this;
    }

    /**
     * Sets the most sequences that are decoded in one step, of all requests together; a request
     * that asks for more has them if it runs alone. {@link #DEFAULT_BATCH_ROWS} by default.
     *
     * @throws InvalidInputException if it is below 1
     */
    public LoadOptions maxBatchRows(int maxBatchRows) {
      InvalidInputException.require(maxBatchRows >= 1, "maxBatchRows", "1 or more", maxBatchRows);
      this.maxBatchRows = maxBatchRows;
      return this;
    }

    /**
     * Sets the most bytes of the KV cache: sequences wait where it is full. A request that needs
     * more has it if it runs alone. {@link #DEFAULT_CACHE_BYTES} by default.
     *
     * @throws InvalidInputException if it is below 1
     */
    public LoadOptions maxCacheBytes(long maxCacheBytes) {
      InvalidInputException.require(
          maxCacheBytes >= 1, "maxCacheBytes", "1 or more", maxCacheBytes);
      this.maxCacheBytes = maxCacheBytes;
      return this;
    }

    /**
     * Sets the most requests that wait; a request beyond them is refused with a {@link
     * dev.precis.generation.TooManyRequestsException}. {@link #DEFAULT_WAITING_REQUESTS} by
     * default.
     *
     * @throws InvalidInputException if it is below 1
     */
    public LoadOptions maxWaitingRequests(int maxWaitingRequests) {
      InvalidInputException.require(
          maxWaitingRequests >= 1, "maxWaitingRequests", "1 or more", maxWaitingRequests);
      this.maxWaitingRequests = maxWaitingRequests;
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
     * Sets the instruction set: on x86-64 {@code avx2}, {@code avx512} or {@code avx512_bf16}, on
     * aarch64 {@code neon}, {@code neon_dotprod} or {@code neon_bf16}, on both {@code portable};
     * null, the default: the best of the machine.
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
    T5Config config = T5Config.of(generation);
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
      packed =
          T5Weights.packed(
              checkpoint,
              merged == null ? options.weightsCache : null,
              dtype,
              "",
              engine.ops(),
              engine.arena());
      weights =
          T5Weights.load(
              checkpoint,
              config,
              engine.ops(),
              engine.arena(),
              dtype,
              packed,
              prompt(changing, config));
    }
    model = new T5Model(weights, engine.ops(), dtype);
    adapters = engine.add(new ModelAdapters(engine, weights, options.adapters));
    options.namedAdapters.forEach(this::pack);
    means = engine.add(new MeanStates(model));
    firstTokens = engine.add(new FirstTokens(model));
    scheduler =
        engine.add(
            new RequestScheduler(
                model,
                adapters::of,
                options.maxBatchRows,
                options.maxCacheBytes,
                options.maxWaitingRequests));
    engine.work(scheduler::step);
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
   * Returns the virtual tokens' embeddings of a soft prompt among adapters; null: there is none.
   */
  private Tensor prompt(List<PeftAdapter> adapters, T5Config config) {
    List<PeftAdapter> prompts =
        adapters.stream().filter(each -> each.prompt().isPresent()).toList();
    if (prompts.isEmpty()) {
      return null;
    }
    if (prompts.size() > 1) {
      throw new InvalidInputException(
          "%s and %s are both soft prompts: use one"
              .formatted(prompts.getFirst().folder(), prompts.getLast().folder()));
    }
    TensorView saved = PromptAdapter.saved(prompts.getFirst(), config.dModel());
    Tensor prompt = engine.ops().zeros(engine.arena(), DType.FLOAT32, saved.shape());
    prompt.write(saved::toFloat32);
    return prompt;
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
    LoadEvent event = FlightRecorder.PRESENT ? LoadEvent.start("model", folder) : null;
    Engine engine = null;
    try {
      Engine opened = engine = Engine.open("model", options.usableDevice());
      T5 loaded = opened.run(() -> new T5(folder, options, opened, text));
      if (event != null) {
        event.end(opened, loaded.dtype());
      }
      return loaded;
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
    return engine.ask(engine.device()::describe);
  }

  /**
   * Replaces the model's adapters without loading it again; an empty list removes them. A DoRA or
   * IA3 adapter, a soft prompt, or an adapter that replaces modules, can only be given when the
   * model is loaded.
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
          adapters.replaceStandard(folders);
          return null;
        });
  }

  /**
   * Keeps a LoRA adapter under a name, packed beside the weights and not merged: a request that
   * names it gets its effect, in place of the default adapters'. Requests that run go on meanwhile.
   *
   * @param folder a PEFT folder of a LoRA adapter; no DoRA adapter and none that replaces modules
   * @throws InvalidInputException if it does not fit this model, or the name is taken
   */
  public void addAdapter(String name, Path folder) {
    engine.ask(
        () -> {
          pack(name, folder);
          return null;
        });
  }

  private void pack(String name, Path folder) {
    try (PeftAdapter adapter = PeftAdapter.open(folder)) {
      adapter.requireAddsOnly("load a model of its own with it");
    }
    adapters.add(name, folder);
  }

  /**
   * Removes an adapter when the requests that were made before are complete.
   *
   * @throws InvalidInputException if the model keeps none of this name
   */
  public void removeAdapter(String name) {
    engine.run(
        () -> {
          adapters.remove(name);
          return null;
        });
  }

  /** Returns the names of the adapters that requests may choose, in alphabetical order. */
  public Set<String> adapters() {
    return adapters.names();
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
    GenerationRequest request =
        new GenerationRequest(sources, options, batchSize, firstSource, null);
    return submit(request, null, onResult).await();
  }

  /**
   * Submits a request and returns at once. The listeners are called by {@link
   * GenerationCall#await}, on the thread that awaits.
   *
   * @param onToken receives each token as it is chosen, but none of beams; null for none
   * @param onResult receives each source's results as they are complete; null for none
   * @return the request, which waits or runs; {@link GenerationCall#cancel} ends it
   * @throws InvalidInputException if a source is empty, longer than the options' maxSourceTokens,
   *     or has an id outside the vocabulary, or if the model keeps no adapter of the request's name
   * @throws dev.precis.generation.TooManyRequestsException if too many requests wait already
   */
  public GenerationCall submit(
      GenerationRequest request, TokenListener onToken, ResultListener onResult) {
    GenerationCall call = scheduler.accept(request, onToken, onResult);
    try {
      engine.post(() -> scheduler.add(call));
    } catch (IllegalStateException e) {
      call.cancel();
      throw e;
    }
    return call;
  }

  /**
   * Returns the mean of the encoder's last states of each source, which represents its text: texts
   * of similar meaning have similar directions. It runs between two steps of the requests.
   *
   * @param sources token ids of each source, its end token included
   * @param adapter name of an adapter that the model keeps; null: the default adapters
   * @return for each source, in order, dModel numbers, which are not normalized
   * @throws InvalidInputException if a source is empty or has an id outside the vocabulary, or if
   *     the model keeps no adapter of this name
   */
  public List<float[]> embedTokens(List<int[]> sources, String adapter) {
    Ragged.check(sources, model.config().vocabSize());
    return engine.ask(
        () -> {
          adapters.require(adapter).use();
          try {
            return means.of(sources);
          } finally {
            adapters.require(null).use();
          }
        });
  }

  /**
   * Returns the log-probabilities of tokens as the first that the model would generate: a model
   * that answers with a word, read as a judge. It runs between two steps of the requests.
   *
   * @param sources token ids of each source, its end token included
   * @param tokens ids of the answers' tokens
   * @param adapter name of an adapter that the model keeps; null: the default adapters
   * @return for each source, in order, a log-probability for each token
   * @throws InvalidInputException if a source is empty or an id is outside the vocabulary, if the
   *     model keeps no adapter of this name, or if the logits are not finite
   */
  public List<double[]> firstTokenLogProbabilities(
      List<int[]> sources, int[] tokens, String adapter) {
    Ragged.check(sources, model.config().vocabSize());
    Ragged.check(List.of(tokens), model.config().vocabSize());
    List<double[]> all =
        engine.ask(
            () -> {
              adapters.require(adapter).use();
              try {
                return firstTokens.logProbabilities(sources, tokens);
              } finally {
                adapters.require(null).use();
              }
            });
    for (int i = 0; i < all.size(); i++) {
      if (!Arrays.stream(all.get(i)).allMatch(Double::isFinite)) {
        throw new InvalidInputException(
            "%s gives no finite logits for text %d: its weights are damaged, or too large for this type"
                .formatted(folder, i + 1));
      }
    }
    return all;
  }

  /** Returns what the model is doing: requests that wait and run, rows, memory, tokens. */
  public BatchLoad batchLoad() {
    return scheduler.load();
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
    GenerationRequest request =
        GenerationRequest.of(source, options).withBatchSize(1).withFirstSource(n);
    TokenStream stream = tokenizer.stream(true);
    List<List<GeneratedTokens>> all =
        submit(
                request,
                (index, sequence, token, logProbability) -> emit(pieces, stream.append(token)),
                null)
            .await();
    emit(pieces, stream.finish());
    return decode(all.getFirst().getFirst());
  }

  private static void emit(Consumer<String> pieces, String piece) {
    if (!piece.isEmpty()) {
      pieces.accept(piece);
    }
  }

  /** Returns the layers underneath, for programs with a loop of their own; not thread-safe. */
  public T5Model model() {
    return model;
  }

  /**
   * Waits for the requests that were accepted, then frees weights, threads and tokenizer; later
   * requests are refused.
   */
  @Override
  public void close() {
    engine.close();
  }
}
