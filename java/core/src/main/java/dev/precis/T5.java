package dev.precis;

import dev.precis.checkpoint.Checkpoint;
import dev.precis.checkpoint.PackedWeights;
import dev.precis.checkpoint.PeftAdapter;
import dev.precis.checkpoint.WeightsCache;
import dev.precis.ffi.Context;
import dev.precis.ffi.Native;
import dev.precis.generation.GeneratedTokens;
import dev.precis.generation.Generation;
import dev.precis.generation.GenerationOptions;
import dev.precis.generation.Generator;
import dev.precis.generation.ResultListener;
import dev.precis.io.InvalidInputException;
import dev.precis.ops.Ops;
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
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.LongFunction;

/**
 * A T5 or FLAN-T5 model, from its folder to text.
 *
 * <pre>{@code
 * try (var model = T5.load(Path.of("flan-t5-base"))) {
 *   System.out.println(model.generate("Summarize: ...").text());
 * }
 * }</pre>
 *
 * <p><b>Threads.</b> Any thread may call; calls take turns, because one call uses every core. The
 * calling thread works as one of the model's and stays pinned to a core until another one calls or
 * the model is closed: threads that it starts meanwhile inherit that. A call that is interrupted
 * ends with a {@link java.util.concurrent.CancellationException}.
 *
 * <p><b>Memory.</b> Weights are copied from the checkpoint when it is loaded and freed by {@link
 * #close}; with a {@link LoadOptions#weightsCache} they can be mapped from a file of an earlier
 * run.
 */
public final class T5 implements AutoCloseable {
  /** Sources that are decoded side by side where a call does not say. */
  public static final int DEFAULT_BATCH_SIZE = 8;

  private final Path folder;
  private final Context context;
  private final Ops ops;
  private final Arena weightsArena;
  private final PackedWeights packed;
  private final T5Weights weights;
  private final T5Model model;
  private final Generator generator;
  private final Tokenizer tokenizer;
  private final DType dtype;
  private final ReentrantLock turn = new ReentrantLock();
  private Arena adapterArena = Arena.ofShared();
  private boolean closed;

  /** How a model is loaded. The defaults: the checkpoint's own type, every core, no adapter. */
  public static final class LoadOptions {
    private DType dtype;
    private List<Path> adapters = List.of();
    private WeightsCache weightsCache;
    private final Context.Options context = new Context.Options();

    /** float32, bfloat16 or int8; null: float32 or bfloat16, as the checkpoint is. */
    public LoadOptions dtype(DType dtype) {
      if (dtype != null
          && dtype != DType.FLOAT32
          && dtype != DType.BFLOAT16
          && dtype != DType.INT8) {
        throw new InvalidInputException(
            "A model is loaded as float32, bfloat16 or int8, not " + dtype + ".");
      }
      this.dtype = dtype;
      return this;
    }

    /** Folders of PEFT adapters; the effects of several add up. */
    public LoadOptions adapters(List<Path> adapters) {
      this.adapters = List.copyOf(adapters);
      return this;
    }

    /**
     * Where packed weights are kept between runs, so that the next start is faster; null, the
     * default: nowhere. The first run writes them when the model is closed.
     */
    public LoadOptions weightsCache(WeightsCache weightsCache) {
      this.weightsCache = weightsCache;
      return this;
    }

    /** See {@link Context.Options#device}; the default is the CPU. */
    public LoadOptions device(String device) {
      context.device(device);
      return this;
    }

    /** Threads; 0: one for each physical core that the process may use. */
    public LoadOptions threads(int threads) {
      context.threads(threads);
      return this;
    }

    /** See {@link Context.Options#isa}. */
    public LoadOptions isa(String isa) {
      context.isa(isa);
      return this;
    }

    /** See {@link Context.Options#matmul}. */
    public LoadOptions matmul(String matmul) {
      context.matmul(matmul);
      return this;
    }
  }

  private T5(Path folder, LoadOptions options) {
    this.folder = folder;
    T5Config config = T5Config.read(folder);
    // Both take a few hundred milliseconds, on different things.
    CompletableFuture<Tokenizer> text = CompletableFuture.supplyAsync(() -> Tokenizer.load(folder));
    List<AutoCloseable> opened = new ArrayList<>();
    try {
      context = options.context.create();
      opened.add(context);
      ops = new Ops(context);
      opened.add(ops);
      weightsArena = Arena.ofShared();
      opened.add(weightsArena::close);
      try (Checkpoint checkpoint = Checkpoint.open(folder)) {
        dtype = options.dtype != null ? options.dtype : ownType(checkpoint);
        packed = packedWeights(options.weightsCache, checkpoint);
        weights = T5Weights.load(checkpoint, config, ops, weightsArena, dtype, packed);
      }
      model = new T5Model(weights, ops, dtype);
      generator = new Generator(model);
      opened.add(generator);
      opened.add(() -> adapterArena.close());
      useAdapters(options.adapters);
      tokenizer = await(text);
      opened.add(tokenizer);
      if (tokenizer.vocabularySize() > config.vocabSize()) {
        throw new InvalidInputException(
            folder
                + ": the tokenizer has ids up to "
                + (tokenizer.vocabularySize() - 1)
                + ", but the model's vocabulary has "
                + config.vocabSize()
                + ": the two are not of one model");
      }
    } catch (RuntimeException | Error e) {
      text.whenComplete(
          (t, failure) -> {
            if (t != null) {
              t.close();
            }
          });
      closeAll(opened);
      throw e;
    }
  }

  /** Weights depend on the checkpoint, its configuration, the library and the instruction set. */
  private PackedWeights packedWeights(WeightsCache cache, Checkpoint checkpoint) {
    LongFunction<MemorySegment> allocate = bytes -> context.allocate(weightsArena, bytes);
    // The device's own order, from the mapped file straight to its memory, is no slower than a
    // file.
    if (cache == null || context.onGpu()) {
      return new PackedWeights(allocate);
    }
    List<Path> sources = new ArrayList<>(checkpoint.files());
    sources.add(folder.resolve("config.json"));
    sources.add(Native.library());
    String options = dtype + " " + context.info().isa();
    String name = folder.toAbsolutePath().normalize().getFileName() + "-" + dtype;
    return new PackedWeights(
        allocate, cache, sources, name.toLowerCase(Locale.ROOT), options, weightsArena);
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
    String name =
        checkpoint.contains("shared.weight") ? "shared.weight" : "encoder.embed_tokens.weight";
    return checkpoint.get(name).dtype() == DType.BFLOAT16 ? DType.BFLOAT16 : DType.FLOAT32;
  }

  private static void closeAll(List<AutoCloseable> opened) {
    for (AutoCloseable each : opened.reversed()) {
      try {
        each.close();
      } catch (Exception e) {
        throw new IllegalStateException("Closing failed", e);
      }
    }
  }

  /**
   * Loads a model with the default options.
   *
   * @param folder a Hugging Face folder: config.json, weights, tokenizer
   * @throws InvalidInputException where something in it cannot be used, in one sentence
   */
  public static T5 load(Path folder) {
    return load(folder, new LoadOptions());
  }

  /** Loads a model. */
  public static T5 load(Path folder, LoadOptions options) {
    return new T5(folder, options);
  }

  /** Where it was loaded from. */
  public Path folder() {
    return folder;
  }

  /** The model's shape. */
  public T5Config config() {
    return model.config();
  }

  /** The type of its packed weights. */
  public DType dtype() {
    return dtype;
  }

  /** Its tokenizer, which is safe for several threads. */
  public Tokenizer tokenizer() {
    return tokenizer;
  }

  /** What it runs on, with its counters as they are now. */
  public Context.Info device() {
    turn.lock();
    try {
      return context.describe();
    } finally {
      turn.unlock();
    }
  }

  /**
   * Puts adapters on the model in place of those that were there, without loading it anew; an empty
   * list takes them off.
   *
   * @param folders PEFT folders; the effects of several add up
   * @throws InvalidInputException where one does not fit this model, which is then as before
   */
  public void useAdapters(List<Path> folders) {
    turn.lock();
    try {
      checkOpen();
      List<PeftAdapter> adapters = new ArrayList<>();
      Arena arena = Arena.ofShared();
      try {
        for (Path each : folders) {
          adapters.add(PeftAdapter.open(each));
        }
        weights.use(adapters, ops, arena);
      } catch (RuntimeException | Error e) {
        arena.close();
        throw e;
      } finally {
        adapters.forEach(PeftAdapter::close);
      }
      adapterArena.close();
      adapterArena = arena;
    } finally {
      turn.unlock();
    }
  }

  /** Generates greedily. */
  public Generation generate(String prompt) {
    return generate(prompt, GenerationOptions.DEFAULT);
  }

  /** Generates the best (or, sampling, the first) result for a prompt. */
  public Generation generate(String prompt, GenerationOptions options) {
    return generate(List.of(prompt), options).getFirst().getFirst();
  }

  /**
   * Generates for many prompts.
   *
   * @return for each prompt, in order, numReturnSequences results, the best first
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
   * @param batchSize sources that are decoded side by side: more is faster and takes more memory,
   *     and the tokens are the same
   * @param onResult hears of each source as it is done; may be null
   */
  public List<List<GeneratedTokens>> generateTokens(
      List<int[]> sources, GenerationOptions options, int batchSize, ResultListener onResult) {
    return generateTokens(sources, options, batchSize, 0, onResult);
  }

  /**
   * Generates from token ids, a part of a longer list.
   *
   * @param firstSource how many sources came before: tokens are drawn as if they were in this call
   */
  public List<List<GeneratedTokens>> generateTokens(
      List<int[]> sources,
      GenerationOptions options,
      int batchSize,
      long firstSource,
      ResultListener onResult) {
    turn.lock();
    try {
      checkOpen();
      return generator.generate(sources, options, batchSize, firstSource, null, onResult);
    } finally {
      turn.unlock();
    }
  }

  /** Tokens as text. */
  public Generation decode(GeneratedTokens generated) {
    return new Generation(
        tokenizer.decode(generated.tokens(), true),
        generated.tokens(),
        generated.score(),
        generated.finished());
  }

  /**
   * Generates and hands out text as it comes; the pieces together are the whole.
   *
   * @param options without beams, whose past can change
   */
  public Generation stream(String prompt, GenerationOptions options, Consumer<String> pieces) {
    return stream(tokenizer.encode(prompt), options, 0, pieces);
  }

  /** As {@link #stream(String, GenerationOptions, Consumer)}, for the n-th source of a list. */
  public Generation stream(
      int[] source, GenerationOptions options, long n, Consumer<String> pieces) {
    if (options.numBeams() > 1 || options.numReturnSequences() > 1) {
      throw new InvalidInputException("Only one sequence, without beams, can be streamed.");
    }
    turn.lock();
    try {
      checkOpen();
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
    } finally {
      turn.unlock();
    }
  }

  private static void emit(Consumer<String> pieces, String piece) {
    if (!piece.isEmpty()) {
      pieces.accept(piece);
    }
  }

  /** The layers underneath, for programs with a loop of their own; not for several threads. */
  public T5Model model() {
    return model;
  }

  private void checkOpen() {
    if (closed) {
      throw new IllegalStateException("This model is closed.");
    }
  }

  @Override
  public void close() {
    turn.lock();
    try {
      if (!closed) {
        closed = true;
        packed.keep();
        closeAll(
            List.of(context, ops, weightsArena::close, generator, adapterArena::close, tokenizer));
      }
    } finally {
      turn.unlock();
    }
  }
}
