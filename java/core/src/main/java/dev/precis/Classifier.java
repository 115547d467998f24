package dev.precis;

import dev.precis.checkpoint.Checkpoint;
import dev.precis.checkpoint.ModelFolder;
import dev.precis.encoder.EncoderConfig;
import dev.precis.encoder.EncoderFamily;
import dev.precis.evaluation.TextPair;
import dev.precis.io.FlightRecorder;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import dev.precis.ops.Tape;
import dev.precis.tensor.DType;
import dev.precis.tensor.MemoryPlan;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import dev.precis.text.Encoding;
import dev.precis.text.Tokenizer;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;

/**
 * Classifies texts and pairs of texts with an encoder: RoBERTa (Liu et al. 2019), BERT, DistilBERT,
 * ELECTRA or DeBERTa, or a T5's encoder with a head. Scores have the labels' names.
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
  private final Tokenizer tokenizer;
  private final Engine engine;
  private final DType dtype;
  private final ClassifierModel model;
  private final Workspace workspace;
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
    JsonObject json = Json.readObject(ModelFolder.config(folder));
    EncoderConfig config = T5Network.is(json) ? null : EncoderConfig.read(folder);
    tokenizer = engine.add(Tokenizer.load(folder));
    if (config != null) {
      tokenizer.checkVocabulary(folder, config.vocabSize());
    }
    workspace = engine.add(engine.ops().newWorkspace());
    Tape tape = new Tape(engine.ops(), workspace, false);
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      dtype = options.dtypeOr(ownType(checkpoint, config));
      model =
          config == null
              ? T5Network.load(folder, json, checkpoint, engine, tape, dtype)
              : EncoderNetwork.load(checkpoint, config, engine, tape, dtype);
    }
    tokenizer.checkVocabulary(folder, model.vocabSize());
    maxTokens = maxTokens(folder, model.maxTokens());
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
    return maxTokens(folder, config.maxTokens());
  }

  private static int maxTokens(Path folder, int most) {
    Path file = folder.resolve("tokenizer_config.json");
    double own =
        Files.exists(file)
            ? Json.readObject(file).number("model_max_length", Double.MAX_VALUE)
            : Double.MAX_VALUE;
    if (own < 3) {
      throw Json.readObject(file).wrong("model_max_length", "3 or more");
    }
    return (int) Math.min(most, own);
  }

  private static DType ownType(Checkpoint checkpoint, EncoderConfig config) {
    return checkpoint
        .find(
            config == null
                ? "shared.weight"
                : config.family().prefix() + "embeddings.word_embeddings.weight")
        .filter(view -> view.dtype() == DType.BFLOAT16)
        .map(view -> DType.BFLOAT16)
        .orElse(DType.FLOAT32);
  }

  /**
   * Loads a classifier with the default options.
   *
   * @param folder a Hugging Face folder: config.json, weights (safetensors or .bin), tokenizer
   *     (vocab.json and merges.txt are enough, or a BERT's vocab.txt)
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
    return model.labels();
  }

  /**
   * Returns whether pairs of texts are read as the tokenizer joins them; a T5 reads them in a
   * prompt.
   */
  public boolean readsPairs() {
    return model.readsPairs();
  }

  /**
   * Returns whether a folder holds a classifier rather than a model that generates, by its {@code
   * config.json}.
   */
  public static boolean isClassifier(Path folder) {
    JsonObject json = Json.readObject(ModelFolder.config(folder));
    return T5Network.is(json)
        || json.optionalText("model_type").filter(EncoderFamily.modelTypes()::contains).isPresent();
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
          parts.put("weights", model.weightBytes());
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
    compute(Collections.nCopies(tokens / 2, Encoding.single(new int[2])));
    return workspace.peak();
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
    return await(texts.stream().map(text -> Encoding.single(encode(text))).toList(), progress);
  }

  /**
   * Scores pairs of texts, such as a premise and a hypothesis.
   *
   * @return the scores in the order of the pairs
   * @throws InvalidInputException as {@link #pairLogits}
   */
  public List<Scores> scorePairs(List<TextPair> pairs) {
    return pairLogits(pairs, count -> {}).stream().map(this::scores).toList();
  }

  /**
   * Computes the logits of pairs of texts, as {@link #logits} does those of texts. Where a pair is
   * longer than the model reads, its first text is cut at its end.
   *
   * @param progress is called on the calling thread after each batch
   * @return for each pair, in order, a logit for each label
   * @throws InvalidInputException if logits are not finite, the tokenizer has no template for
   *     pairs, gives tokens a type that the model lacks, or needs more special tokens than the
   *     model reads, or the model reads pairs in a prompt
   */
  public List<float[]> pairLogits(List<TextPair> pairs, Progress progress) {
    if (!readsPairs()) {
      throw new InvalidInputException(
          folder + " reads a pair of texts in a prompt: fill one, and score the text");
    }
    return await(pairs.stream().map(this::encode).toList(), progress);
  }

  private Encoding encode(TextPair pair) {
    Encoding encoded = tokenizer.encodePair(pair.first(), pair.second(), maxTokens);
    int most = Arrays.stream(encoded.types()).max().orElse(0);
    if (model.tokenTypes() > 0 && most >= model.tokenTypes()) {
      throw new InvalidInputException(
          "%s: the tokenizer gives tokens of a pair the type %d, but the model's type_vocab_size is %d"
              .formatted(folder, most, model.tokenTypes()));
    }
    return encoded;
  }

  private List<float[]> await(List<Encoding> texts, Progress progress) {
    ScoringBatches.Call call = batches.call(texts, progress::done);
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

  private List<float[]> compute(List<Encoding> batch) {
    workspace.reset();
    List<int[]> ids = batch.stream().map(Encoding::ids).toList();
    Ragged tokens = Ragged.of(ids, model.vocabSize(), workspace);
    Tensor logits = model.logits(tokens, types(batch, tokens.tokens()));
    List<float[]> rows = new ArrayList<>(batch.size());
    for (int i = 0; i < batch.size(); i++) {
      rows.add(logits.row(i));
    }
    return rows;
  }

  /** Returns the types of a batch's tokens; null where all are of the first type. */
  private Tensor types(List<Encoding> batch, int tokens) {
    if (model.tokenTypes() == 0
        || batch.stream().allMatch(each -> Arrays.stream(each.types()).allMatch(t -> t == 0))) {
      return null;
    }
    Tensor types = workspace.tensor(DType.INT32, tokens);
    long at = 0;
    for (Encoding each : batch) {
      for (int type : each.types()) {
        types.memory().setAtIndex(ValueLayout.JAVA_INT, at++, type);
      }
    }
    return types;
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
    if (model.multiLabel()) {
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
