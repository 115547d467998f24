package dev.precis;

import dev.precis.checkpoint.Checkpoint;
import dev.precis.encoder.EncoderClassifier;
import dev.precis.encoder.EncoderConfig;
import dev.precis.encoder.EncoderFamily;
import dev.precis.encoder.EncoderWeights;
import dev.precis.evaluation.BertScore;
import dev.precis.io.InvalidInputException;
import dev.precis.ops.Tape;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import dev.precis.text.Tokenizer;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Computes the hidden states of texts in a layer of an encoder (RoBERTa, BERT, DistilBERT, ELECTRA
 * or DeBERTa), with a head or without, as {@link BertScore} needs them. The layers above are not
 * loaded.
 *
 * <p>Any thread may call; calls run one after another. After {@link #close} every call throws an
 * {@link IllegalStateException}.
 */
public final class TextStates implements AutoCloseable {
  /** The most tokens of a batch; a longer text is a batch of its own. */
  private static final int BATCH_TOKENS = 2048;

  private final Engine engine;
  private final Tokenizer tokenizer;
  private final EncoderConfig config;
  private final EncoderClassifier model;
  private final Workspace workspace;
  private final Tape tape;
  private final int layer;
  private final int maxTokens;

  private TextStates(Path folder, int layer, Classifier.LoadOptions options, Engine engine) {
    this.engine = engine;
    config = EncoderConfig.read(folder);
    int layers = config.numLayers();
    this.layer = layer < 0 ? defaultLayer(layers) : layer;
    if (layer > layers) {
      throw new InvalidInputException(
          "%s has %d layers: layer %d is not one of them; 0 is the embeddings"
              .formatted(folder, layers, layer));
    }
    tokenizer = engine.add(Tokenizer.load(folder));
    tokenizer.checkVocabulary(folder, config.vocabSize());
    maxTokens = Classifier.maxTokens(folder, config);
    workspace = engine.add(engine.ops().newWorkspace());
    tape = Tape.inference(engine.ops(), workspace);
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      DType dtype = options.dtypeOr(DType.FLOAT32);
      EncoderWeights weights =
          EncoderWeights.loadLayers(
              checkpoint, config, this.layer, engine.ops(), engine.arena(), dtype);
      model = new EncoderClassifier(weights, engine.ops(), dtype, false);
    }
  }

  /** Returns the layer that is read by default: the 17th of 24, or as far up in another model. */
  static int defaultLayer(int layers) {
    return (17 * layers + 23) / 24;
  }

  /**
   * Loads an encoder. The caller must close it.
   *
   * @param folder a Hugging Face folder of an encoder
   * @param layer whose output is read; 0: the embeddings; below 0: the 17th of 24 layers, or as far
   *     up in another model
   * @param options type (default float32), device and threads
   * @throws InvalidInputException if something in the folder cannot be used, or there is no such
   *     layer
   */
  public static TextStates load(Path folder, int layer, Classifier.LoadOptions options) {
    Engine engine = Engine.open("encoder", options.device());
    try {
      return engine.run(() -> new TextStates(folder, layer, options, engine));
    } catch (RuntimeException | Error e) {
      engine.close();
      throw e;
    }
  }

  /** Returns the layer whose output is read. */
  public int layer() {
    return layer;
  }

  /** Returns the ids that every text gets, such as {@code [CLS]}. */
  public Set<Integer> specialIds() {
    return Arrays.stream(tokenizer.encode("")).boxed().collect(Collectors.toUnmodifiableSet());
  }

  /**
   * Computes the hidden states of texts. A text is stripped first; a RoBERTa's begins with a space,
   * as the authors' program reads it; what is too long is cut at its end.
   *
   * @return for each text, in order, its ids and states
   * @throws InvalidInputException if states are not finite
   */
  public List<BertScore.States> of(List<String> texts) {
    String before = config.family() == EncoderFamily.ROBERTA ? " " : "";
    List<int[]> ids =
        texts.stream().map(text -> tokenizer.encode(spaced(before, text), maxTokens)).toList();
    return engine.run(() -> compute(ids));
  }

  private static String spaced(String before, String text) {
    String stripped = text.strip();
    return stripped.isEmpty() ? stripped : before + stripped;
  }

  private List<BertScore.States> compute(List<int[]> ids) {
    BertScore.States[] all = new BertScore.States[ids.size()];
    List<Integer> order =
        IntStream.range(0, all.length)
            .boxed()
            .sorted(Comparator.comparingInt(i -> ids.get(i).length))
            .toList();
    List<Integer> batch = new ArrayList<>();
    int tokens = 0;
    for (int i : order) {
      if (!batch.isEmpty() && tokens + ids.get(i).length > BATCH_TOKENS) {
        computeBatch(ids, batch, all);
        batch.clear();
        tokens = 0;
      }
      batch.add(i);
      tokens += ids.get(i).length;
    }
    if (!batch.isEmpty()) {
      computeBatch(ids, batch, all);
    }
    return List.of(all);
  }

  private void computeBatch(List<int[]> ids, List<Integer> batch, BertScore.States[] all) {
    workspace.reset();
    tape.begin(false, 0);
    Ragged tokens = Ragged.of(batch.stream().map(ids::get).toList(), config.vocabSize(), workspace);
    Tensor states = model.states(tape, tokens, null).value();
    int width = config.hiddenSize();
    MemorySegment host = states.toHost();
    for (int b = 0; b < batch.size(); b++) {
      int i = batch.get(b);
      float[] values = new float[ids.get(i).length * width];
      MemorySegment.copy(
          host,
          ValueLayout.JAVA_FLOAT,
          (long) tokens.begin(b) * width * Float.BYTES,
          values,
          0,
          values.length);
      for (float value : values) {
        if (!Float.isFinite(value)) {
          throw new InvalidInputException(
              "The encoder gives %s for text %d: its weights are damaged".formatted(value, i + 1));
        }
      }
      all[i] = new BertScore.States(ids.get(i), values);
    }
  }

  /** Waits for the running call, then frees weights, threads and tokenizer. */
  @Override
  public void close() {
    engine.close();
  }
}
