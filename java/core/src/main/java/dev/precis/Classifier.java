package dev.precis;

import dev.precis.checkpoint.Checkpoint;
import dev.precis.encoder.RobertaClassifier;
import dev.precis.encoder.RobertaConfig;
import dev.precis.encoder.RobertaWeights;
import dev.precis.ffi.Context;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.layers.Linear;
import dev.precis.ops.Ops;
import dev.precis.ops.Tape;
import dev.precis.tensor.DType;
import dev.precis.tensor.MemoryPlan;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import dev.precis.text.Tokenizer;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.IntStream;

/**
 * A RoBERTa that classifies texts, from its folder to scores by the labels' names.
 *
 * <pre>{@code
 * try (var classifier = Classifier.load(Path.of("roberta-hate-speech"))) {
 *   System.out.println(classifier.score(List.of("What a lovely day.")).getFirst().probabilities());
 * }
 * }</pre>
 *
 * <p>Any thread may call; calls take turns, because one call uses every core.
 */
public final class Classifier implements AutoCloseable {
  /** Tokens that are computed at once, at most; a longer text is alone. */
  private static final int BATCH_TOKENS = 2048;

  private final Path folder;
  private final RobertaConfig config;
  private final List<AutoCloseable> opened = new ArrayList<>();
  private final Tokenizer tokenizer;
  private final Context context;
  private final RobertaClassifier model;
  private final Workspace workspace;
  private final Tape tape;
  private final int maxTokens;
  private final ReentrantLock turn = new ReentrantLock();
  private boolean closed;

  /**
   * What a text was found to be.
   *
   * @param label the one with the largest logit
   * @param logits by the labels' names, in the model's order
   * @param probabilities likewise: a softmax over the labels or, where each label stands for itself
   *     (several may be true, or there is only one), the logit's sigmoid
   */
  public record Scores(
      String label, Map<String, Double> logits, Map<String, Double> probabilities) {}

  /** How a classifier is loaded. The defaults: the checkpoint's own type, every core. */
  public static final class LoadOptions {
    private DType dtype;
    private final Context.Options context = new Context.Options();

    /** float32 or bfloat16; null: as the checkpoint is. */
    public LoadOptions dtype(DType dtype) {
      if (dtype != null && dtype != DType.FLOAT32 && dtype != DType.BFLOAT16) {
        throw new InvalidInputException(
            "A classifier is loaded as float32 or bfloat16, not " + dtype + ".");
      }
      this.dtype = dtype;
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
  }

  private Classifier(Path folder, LoadOptions options) {
    this.folder = folder;
    try {
      config = RobertaConfig.read(folder);
      tokenizer = opened(Tokenizer.load(folder));
      checkVocabulary(folder, tokenizer, config);
      maxTokens = maxTokens(folder, config);
      context = opened(options.context.create());
      Ops ops = opened(new Ops(context));
      Arena arena = Arena.ofShared();
      opened.add(arena::close);
      try (Checkpoint checkpoint = Checkpoint.open(folder)) {
        DType dtype = options.dtype != null ? options.dtype : ownType(checkpoint);
        RobertaWeights weights = RobertaWeights.load(checkpoint, config, ops, arena, dtype);
        model = new RobertaClassifier(weights, ops, dtype, false);
      }
      workspace = opened(new Workspace(context));
      tape = new Tape(ops, workspace, false);
    } catch (RuntimeException | Error e) {
      closeAll();
      throw e;
    }
  }

  private <T extends AutoCloseable> T opened(T each) {
    opened.add(each);
    return each;
  }

  /**
   * Makes sure that a tokenizer's ids are the model's.
   *
   * @throws InvalidInputException where there are more of them than the model has rows
   */
  public static void checkVocabulary(Path folder, Tokenizer tokenizer, RobertaConfig config) {
    if (tokenizer.vocabularySize() > config.vocabSize()) {
      throw new InvalidInputException(
          folder
              + ": the tokenizer has ids up to "
              + (tokenizer.vocabularySize() - 1)
              + ", but the model's vocabulary has "
              + config.vocabSize()
              + ": the two are not of one model");
    }
  }

  /**
   * The most tokens of a text that a model reads, special tokens included: as many as it has
   * positions for, or {@code model_max_length} of {@code tokenizer_config.json} where that is less.
   */
  public static int maxTokens(Path folder, RobertaConfig config) {
    Path file = folder.resolve("tokenizer_config.json");
    double own =
        Files.exists(file)
            ? Json.readObject(file).number("model_max_length", Double.MAX_VALUE)
            : Double.MAX_VALUE;
    if (own < 3) {
      throw Json.readObject(file).wrong("model_max_length", "3 or more");
    }
    return (int) Math.min(config.maxTokens(), own);
  }

  private static DType ownType(Checkpoint checkpoint) {
    return checkpoint
        .find("roberta.embeddings.word_embeddings.weight")
        .filter(view -> view.dtype() == DType.BFLOAT16)
        .map(view -> DType.BFLOAT16)
        .orElse(DType.FLOAT32);
  }

  /**
   * Loads a classifier with the default options.
   *
   * @param folder a Hugging Face folder: config.json, weights (safetensors or .bin), tokenizer
   *     (vocab.json and merges.txt are enough)
   * @throws InvalidInputException where something in it cannot be used, in one sentence
   */
  public static Classifier load(Path folder) {
    return load(folder, new LoadOptions());
  }

  /** Loads a classifier. */
  public static Classifier load(Path folder, LoadOptions options) {
    return new Classifier(folder, options);
  }

  /** Where it was loaded from. */
  public Path folder() {
    return folder;
  }

  /** The labels' names, in the order of the logits. */
  public List<String> labels() {
    return config.labels();
  }

  /** The model's shape. */
  public RobertaConfig config() {
    return config;
  }

  /** The most tokens of a text that are read: what is longer is cut at its end. */
  public int maxTokens() {
    return maxTokens;
  }

  /** The ids of a text as the model reads them: with its special tokens, cut where too long. */
  public int[] encode(String text) {
    return tokenizer.encode(text, maxTokens);
  }

  /** Tokens of a text, special ones included, uncut. */
  public int tokens(String text) {
    return tokenizer.encode(text).length;
  }

  /** What scoring any texts needs, by part: measured on two tiny ones. Takes its memory at once. */
  public MemoryPlan plan() {
    turn.lock();
    try {
      checkOpen();
      // Once to size the workspace.
      measure(96);
      long base = measure(32);
      int tokens = Math.max(BATCH_TOKENS, maxTokens);
      double most = base + (measure(96) - base) / 64.0 * (tokens - 32);
      // What is rounded up to whole cache lines, and what each of many short texts takes.
      long activations = (long) (most * 1.01) + (1 << 16);
      workspace.reserve(activations);
      workspace.resetPeak();
      Map<String, Long> parts = new LinkedHashMap<>();
      parts.put("weights", weightBytes());
      parts.put("activations", activations);
      parts.put("kernels", context.describe().scratchBytes());
      return new MemoryPlan(parts);
    } finally {
      turn.unlock();
    }
  }

  /** The most memory that values took since {@link #plan}, in bytes. */
  long peak() {
    return workspace.peak();
  }

  private long measure(int tokens) {
    workspace.resetPeak();
    List<int[]> pairs = Collections.nCopies(tokens / 2, new int[2]);
    int[] order = IntStream.range(0, pairs.size()).toArray();
    compute(pairs, order, 0, order.length, new float[order.length][]);
    return workspace.peak();
  }

  private long weightBytes() {
    RobertaWeights weights = model.weights();
    long bytes = weights.words().value().memory().byteSize();
    bytes += weights.positions().value().memory().byteSize();
    for (Linear linear : weights.linears()) {
      bytes += linear.packed().memory().byteSize();
    }
    return bytes;
  }

  private void checkOpen() {
    if (closed) {
      throw new IllegalStateException("This classifier is closed.");
    }
  }

  /** The scores of texts, in their order. */
  public List<Scores> score(List<String> texts) {
    return logits(texts, count -> {}).stream().map(this::scores).toList();
  }

  /** Hears of texts that are done. */
  @FunctionalInterface
  public interface Progress {
    /** So many are done so far. */
    void done(int count);
  }

  /**
   * The logits of texts, in their order; which texts are computed together changes rounding at
   * most.
   *
   * @return for each text a number for each label
   * @throws InvalidInputException where they are not numbers
   */
  public List<float[]> logits(List<String> texts, Progress progress) {
    List<int[]> ids = texts.stream().map(this::encode).toList();
    float[][] all = new float[ids.size()][];
    turn.lock();
    try {
      checkOpen();
      int[] order =
          IntStream.range(0, ids.size())
              .boxed()
              .sorted(Comparator.comparingInt(i -> ids.get(i).length))
              .mapToInt(Integer::intValue)
              .toArray();
      for (int at = 0; at < order.length; ) {
        if (Thread.interrupted()) {
          throw new CancellationException("Scoring was interrupted.");
        }
        int end = at + 1;
        // In ascending order the last one is the longest.
        for (int tokens = ids.get(order[at]).length;
            end < order.length && tokens + ids.get(order[end]).length <= BATCH_TOKENS;
            end++) {
          tokens += ids.get(order[end]).length;
        }
        compute(ids, order, at, end, all);
        at = end;
        progress.done(at);
      }
    } finally {
      turn.unlock();
    }
    return List.of(all);
  }

  private void compute(List<int[]> ids, int[] order, int begin, int end, float[][] all) {
    workspace.reset();
    tape.begin(false, 0);
    List<int[]> batch = new ArrayList<>(end - begin);
    for (int i = begin; i < end; i++) {
      batch.add(ids.get(order[i]));
    }
    Tensor logits = model.logits(tape, Ragged.of(batch, config.vocabSize(), workspace)).value();
    for (int i = begin; i < end; i++) {
      float[] row = logits.row(i - begin);
      for (float logit : row) {
        if (!Float.isFinite(logit)) {
          throw new InvalidInputException(
              "%s gives %s for text %d: its weights are damaged, or too large for this type"
                  .formatted(folder, logit, order[i] + 1));
        }
      }
      all[order[i]] = row;
    }
  }

  /** Logits by name, with the probabilities that they stand for. */
  public Scores scores(float[] logits) {
    Map<String, Double> byName = new LinkedHashMap<>();
    Map<String, Double> probabilities = new LinkedHashMap<>();
    double[] probability = probabilities(logits);
    int best = 0;
    for (int i = 0; i < logits.length; i++) {
      byName.put(labels().get(i), (double) logits[i]);
      probabilities.put(labels().get(i), probability[i]);
      best = logits[i] > logits[best] ? i : best;
    }
    return new Scores(
        labels().get(best),
        Collections.unmodifiableMap(byName),
        Collections.unmodifiableMap(probabilities));
  }

  /** The probability of each label: see {@link Scores}. */
  public double[] probabilities(float[] logits) {
    double[] probability = new double[logits.length];
    if (config.multiLabel()) {
      for (int i = 0; i < logits.length; i++) {
        probability[i] = 1 / (1 + Math.exp(-logits[i]));
      }
      return probability;
    }
    double largest = Double.NEGATIVE_INFINITY;
    for (float logit : logits) {
      largest = Math.max(largest, logit);
    }
    double sum = 0;
    for (int i = 0; i < logits.length; i++) {
      probability[i] = Math.exp(logits[i] - largest);
      sum += probability[i];
    }
    for (int i = 0; i < logits.length; i++) {
      probability[i] /= sum;
    }
    return probability;
  }

  private void closeAll() {
    for (AutoCloseable each : opened.reversed()) {
      try {
        each.close();
      } catch (Exception e) {
        throw new IllegalStateException("Closing failed", e);
      }
    }
    opened.clear();
  }

  @Override
  public void close() {
    turn.lock();
    try {
      closed = true;
      closeAll();
    } finally {
      turn.unlock();
    }
  }
}
