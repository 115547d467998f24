package dev.precis;

import dev.precis.checkpoint.Checkpoint;
import dev.precis.encoder.EncoderClassifier;
import dev.precis.encoder.EncoderConfig;
import dev.precis.encoder.EncoderWeights;
import dev.precis.io.FlightRecorder;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.layers.Linear;
import dev.precis.ops.Tape;
import dev.precis.tensor.DType;
import dev.precis.tensor.MemoryPlan;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import dev.precis.text.Tokenizer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;

/**
 * Classifies texts with a RoBERTa model (Liu et al. 2019); scores have the labels' names.
 *
 * <pre>{@code
 * try (var classifier = Classifier.load(Path.of("roberta-hate-speech"))) {
 *   System.out.println(classifier.score(List.of("What a lovely day.")).getFirst().probabilities());
 * }
 * }</pre>
 *
 * <p>Any thread may call, virtual ones too. The texts of all calls are scored in batches, on a
 * thread of the model; the calls take turns, and the callers wait, see {@link T5}. A call that is
 * interrupted ends with a {@link CancellationException}. After {@link #close} every call throws an
 * {@link IllegalStateException}.
 */
public final class Classifier implements AutoCloseable {
  /** The most tokens of a batch; a longer text is a batch of its own. */
  private static final int BATCH_TOKENS = 2048;

  private final Path folder;
  private final EncoderConfig config;
  private final Tokenizer tokenizer;
  private final Engine engine;
  private final DType dtype;
  private final EncoderClassifier model;
  private final Workspace workspace;
  private final Tape tape;
  private final int maxTokens;
  private final ScoringBatches batches = new ScoringBatches(this::compute, BATCH_TOKENS);

  /**
   * The scores of a text.
   *
   * @param label the label with the largest logit
   * @param logits by the labels' names, in the model's order
   * @param probabilities likewise: a softmax over the labels or, if each label stands for itself
   *     (several may be true, or there is only one), the logit's sigmoid
   */
  public record Scores(
      String label, Map<String, Double> logits, Map<String, Double> probabilities) {}

  /** Options of loading. The defaults: the checkpoint's own type, the CPU with every core. */
  public static final class LoadOptions extends CommonLoadOptions<LoadOptions> {
    /** Makes default options. */
    public LoadOptions() {
      super("A classifier is loaded as float32 or bfloat16", DType.FLOAT32, DType.BFLOAT16);
    }

    @Override
    LoadOptions self() {
      return this;
    }
  }

  private Classifier(Path folder, LoadOptions options, Engine engine) {
    this.folder = folder;
    this.engine = engine;
    config = EncoderConfig.read(folder);
    tokenizer = engine.add(Tokenizer.load(folder));
    tokenizer.checkVocabulary(folder, config.vocabSize());
    maxTokens = maxTokens(folder, config);
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      dtype = options.dtypeOr(ownType(checkpoint));
      EncoderWeights weights =
          EncoderWeights.load(checkpoint, config, engine.ops(), engine.arena(), dtype);
      model = new EncoderClassifier(weights, engine.ops(), dtype, false);
    }
    workspace = engine.add(engine.ops().newWorkspace());
    tape = new Tape(engine.ops(), workspace, false);
    engine.work(batches::step);
  }

  /**
   * Returns the most tokens of a text that a model reads, special tokens included: as many as it
   * has positions for, or {@code model_max_length} of {@code tokenizer_config.json} if that is
   * less.
   *
   * @throws InvalidInputException if model_max_length is below 3
   */
  public static int maxTokens(Path folder, EncoderConfig config) {
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
   * @throws InvalidInputException if something in it cannot be used; the message is one sentence
   */
  public static Classifier load(Path folder) {
    return load(folder, new LoadOptions());
  }

  /**
   * Loads a classifier. The caller must close it.
   *
   * @param folder see {@link #load(Path)}
   * @throws InvalidInputException if something in it cannot be used, or the device cannot
   */
  public static Classifier load(Path folder, LoadOptions options) {
    LoadEvent event = FlightRecorder.PRESENT ? LoadEvent.start("classifier", folder) : null;
    Engine engine = Engine.open("classifier", options.device());
    try {
      Classifier loaded = engine.run(() -> new Classifier(folder, options, engine));
      if (event != null) {
        event.end(engine, loaded.dtype);
      }
      return loaded;
    } catch (RuntimeException | Error e) {
      engine.close();
      throw e;
    }
  }

  /** Returns the folder that the classifier was loaded from. */
  public Path folder() {
    return folder;
  }

  /** Returns the labels' names, in the order of the logits. */
  public List<String> labels() {
    return config.labels();
  }

  /** Returns the model's shape. */
  public EncoderConfig config() {
    return config;
  }

  /** Returns its tokenizer, which is thread-safe. */
  public Tokenizer tokenizer() {
    return tokenizer;
  }

  /** Returns the most tokens of a text that are read: a longer text is cut at its end. */
  public int maxTokens() {
    return maxTokens;
  }

  /** Returns the ids of a text as the model reads them: with special tokens, cut if too long. */
  public int[] encode(String text) {
    return tokenizer.encode(text, maxTokens);
  }

  /** Returns the number of tokens of a text, special tokens included, before it is cut. */
  public int tokens(String text) {
    return tokenizer.encode(text).length;
  }

  /**
   * Allocates the memory that scoring any texts needs and returns it by part, in bytes; measured on
   * two tiny batches.
   */
  public MemoryPlan plan() {
    return engine.run(
        () -> {
          // Once to size the workspace.
          measure(96);
          long base = measure(32);
          int tokens = Math.max(BATCH_TOKENS, maxTokens);
          double most = base + (measure(96) - base) / 64.0 * (tokens - 32);
          // Rounding to whole cache lines, and what each of many short texts takes.
          long activations = (long) (most * 1.01) + (1 << 16);
          workspace.reserve(activations);
          workspace.resetPeak();
          Map<String, Long> parts = new LinkedHashMap<>();
          parts.put("weights", weightBytes());
          parts.put("activations", activations);
          parts.put("kernels", engine.device().describe().scratchBytes());
          return new MemoryPlan(parts);
        });
  }

  /** Returns the most memory that activations took since {@link #plan}, in bytes. */
  long peak() {
    return workspace.peak();
  }

  private long measure(int tokens) {
    workspace.resetPeak();
    List<int[]> pairs = Collections.nCopies(tokens / 2, new int[2]);
    compute(pairs);
    return workspace.peak();
  }

  private long weightBytes() {
    EncoderWeights weights = model.weights();
    long bytes = weights.words().value().address().byteSize();
    bytes += weights.positions().value().address().byteSize();
    for (Linear linear : weights.linears()) {
      bytes += linear.packed().memory().byteSize();
    }
    return bytes;
  }

  /**
   * Scores texts.
   *
   * @return the scores in the order of the texts
   * @throws InvalidInputException if logits are not finite
   */
  public List<Scores> score(List<String> texts) {
    return logits(texts, count -> {}).stream().map(this::scores).toList();
  }

  /** Receives the number of texts that are done. */
  @FunctionalInterface
  public interface Progress {
    /** Receives the number of texts that are done so far. */
    void done(int count);
  }

  /**
   * Computes the logits of texts. Texts are batched by length, with those of other calls; a text's
   * logits do not depend on its batch.
   *
   * @param progress is called on the calling thread after each batch
   * @return for each text, in order, a logit for each label
   * @throws InvalidInputException if logits are not finite
   */
  public List<float[]> logits(List<String> texts, Progress progress) {
    ScoringBatches.Call call =
        batches.call(texts.stream().map(this::encode).toList(), progress::done);
    engine.post(() -> batches.add(call));
    List<float[]> all = call.await();
    for (int i = 0; i < all.size(); i++) {
      for (float logit : all.get(i)) {
        if (!Float.isFinite(logit)) {
          throw new InvalidInputException(
              "%s gives %s for text %d: its weights are damaged, or too large for this type"
                  .formatted(folder, logit, i + 1));
        }
      }
    }
    return all;
  }

  private List<float[]> compute(List<int[]> batch) {
    workspace.reset();
    tape.begin(false, 0);
    Tensor logits = model.logits(tape, Ragged.of(batch, config.vocabSize(), workspace)).value();
    List<float[]> rows = new ArrayList<>(batch.size());
    for (int i = 0; i < batch.size(); i++) {
      rows.add(logits.row(i));
    }
    return rows;
  }

  /** Names a text's logits and turns them into probabilities. */
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

  /** Returns the probability of each label; see {@link Scores}. */
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

  /** Waits for the running call, then frees weights, threads and tokenizer. */
  @Override
  public void close() {
    engine.close();
  }
}
