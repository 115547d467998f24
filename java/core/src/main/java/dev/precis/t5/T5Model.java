package dev.precis.t5;

import dev.precis.io.InvalidInputException;
import dev.precis.ops.Attention;
import dev.precis.ops.LogProbabilities;
import dev.precis.ops.LogitHead;
import dev.precis.ops.OpTimer;
import dev.precis.ops.Ops;
import dev.precis.ops.Tape;
import dev.precis.ops.Variable;
import dev.precis.t5.T5Weights.Layer;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;

/**
 * T5 (Raffel et al. 2020) and its v1.1 / FLAN form for inference, in token ids and hidden states.
 * Text and the choice of tokens are elsewhere; {@link T5Training} is the same model with gradients.
 *
 * <p>Sequences of unequal length lie one behind the other without padding, as the rows of one
 * matrix; {@link Ragged} says where each begins. Batched and unbatched results are bitwise
 * identical.
 *
 * <p>Not thread-safe.
 */
public final class T5Model {
  /** Rows of logits that exist at once where they must exist; bounds memory, not the result. */
  private static final int LOGIT_ROWS = 16;

  /** Source tokens whose keys and values are on their way at once on a GPU; bounds memory. */
  private static final int ADMITTED_TOKENS = 16384;

  private final T5Config config;
  private final T5Weights weights;
  private final Ops ops;
  private final T5Stack stack;

  /**
   * Makes a model of its weights.
   *
   * @param dtype that of the packed weights; the values between operations are float32 for float32
   *     and bfloat16 otherwise, the residual stream always float32
   */
  public T5Model(T5Weights weights, Ops ops, DType dtype) {
    this.config = weights.config();
    this.weights = weights;
    this.ops = ops;
    this.stack = new T5Stack(weights, dtype.activations(), 0);
  }

  /** Returns the model's shape. */
  public T5Config config() {
    return config;
  }

  /** Returns the operations that the model runs. */
  public Ops ops() {
    return ops;
  }

  /** Returns the weights. */
  public T5Weights weights() {
    return weights;
  }

  /** Copies sources to native memory as the encoder reads them; see {@link T5Weights#sources}. */
  public Ragged sources(List<int[]> sources, Workspace workspace) {
    return weights.sources(sources, workspace);
  }

  /**
   * Output of the encoder.
   *
   * @param hidden (tokens, dModel), normalized
   */
  public record Encoded(Ragged source, Tensor hidden) {}

  /** Runs the encoder; the result lives in the workspace, the rest of its memory is released. */
  public Encoded encode(Ragged source, Workspace workspace) {
    return new Encoded(source, stack.encode(Tape.inference(ops, workspace), source).value());
  }

  /**
   * Runs the decoder over whole target sequences at once ("teacher forcing"). Each source has as
   * many targets, which follow one another.
   *
   * @param target decoder inputs: the start token first; as many as sources, or a multiple
   * @return (tokens, dModel), normalized: the input of {@link #logits}
   */
  public Tensor decode(Encoded encoded, Ragged target, Workspace workspace) {
    Tape tape = Tape.inference(ops, workspace);
    Variable hidden = tape.constant(encoded.hidden());
    return stack.decode(tape, hidden, encoded.source(), target).value();
  }

  /** Computes {@code logits = scale hidden lm_head'}; hidden (M, dModel), logits (M, vocab). */
  public void logits(Tensor hidden, Tensor logits) {
    ops.timer()
        .in(
            OpTimer.Section.HEAD,
            () -> weights.lmHead().scaled(ops, hidden, logits, config.outputScale()));
  }

  /**
   * Computes the cross-entropy of each label: without the logits or, where the output layer has an
   * adapter, with those of a few rows at a time.
   *
   * @param hidden (M, dModel), of {@link #decode}
   * @param labels (M) int32, each in the vocabulary
   * @param losses (M) float32, written
   * @param workspace temporary memory, released again
   */
  public void crossEntropy(Tensor hidden, Tensor labels, Tensor losses, Workspace workspace) {
    if (weights.lmHead().used() != null) {
      crossEntropyOfLogits(hidden, labels, losses, workspace);
      return;
    }
    ops.linearCrossEntropy(hidden, plainHead(), labels, 0, 1, losses, LogitHead.Gradients.NONE);
  }

  private void crossEntropyOfLogits(
      Tensor hidden, Tensor labels, Tensor losses, Workspace workspace) {
    Workspace.Mark mark = workspace.mark();
    long rows = hidden.rows();
    long piece = Math.min(rows, LOGIT_ROWS);
    Tensor logits = workspace.tensor(DType.FLOAT32, piece, config.vocabSize());
    float[] values = new float[Math.toIntExact(rows)];
    for (long at = 0; at < rows; at += piece) {
      long n = Math.min(piece, rows - at);
      logits(hidden.rows(at, n), logits.rows(0, n));
      for (long i = 0; i < n; i++) {
        float[] row = logits.row(i);
        double largest = Double.NEGATIVE_INFINITY;
        for (float logit : row) {
          largest = Math.max(largest, logit);
        }
        double sum = 0;
        for (float logit : row) {
          sum += Math.exp(logit - largest);
        }
        int label = labels.memory().getAtIndex(ValueLayout.JAVA_INT, at + i);
        values[(int) (at + i)] = (float) (Math.log(sum) + largest - row[label]);
      }
    }
    losses.write(to -> MemorySegment.copy(values, 0, to, ValueLayout.JAVA_FLOAT, 0, values.length));
    workspace.release(mark);
  }

  /**
   * Returns the output layer for losses that are computed without logits.
   *
   * @throws InvalidInputException where it has an adapter
   */
  public LogitHead plainHead() {
    if (weights.lmHead().used() != null) {
      throw new InvalidInputException(
          "The output layer has an adapter, but its logits never exist whole here: merge the"
              + " adapter into the model first.");
    }
    return new LogitHead(weights.lmHead().packed(), null, config.outputScale());
  }

  /**
   * Computes the log-probabilities of given tokens, without the logits.
   *
   * @param hidden (M, dModel), of {@link #decode}
   * @param labels (M) int32
   * @param logProbabilities (M) float32, written
   * @param entropies (M) float32, written: of the distribution that each token is one of; or null
   */
  public void logProbabilities(
      Tensor hidden, Tensor labels, Tensor logProbabilities, Tensor entropies) {
    ops.logProbability(
        hidden,
        plainHead(),
        labels,
        new LogProbabilities(logProbabilities, entropies, null),
        null,
        LogitHead.Gradients.NONE);
  }

  /**
   * Computes the Kullback-Leibler divergence of this model's distribution from another's, for each
   * token: {@code sum_v p (log p - log q)}.
   *
   * @param hidden (M, dModel), of this model's {@link #decode}
   * @param otherHidden (M, dModel), of the other's
   * @param labels (M) int32
   * @param logProbabilities (M) float32, written: this model's, of the labels
   * @param divergences (M) float32, written
   */
  public void divergences(
      Tensor hidden,
      T5Model other,
      Tensor otherHidden,
      Tensor labels,
      Tensor logProbabilities,
      Tensor divergences) {
    ops.logProbability(
        hidden,
        plainHead(),
        labels,
        new LogProbabilities(logProbabilities, null, null),
        new LogitHead.Divergence(otherHidden, other.plainHead().packed(), divergences),
        LogitHead.Gradients.NONE);
  }

  /**
   * Makes room for decoding token by token.
   *
   * @param crossRows tokens of all sources at the same time
   * @param selfRows decoder inputs of all sequences at the same time
   */
  public DecoderCache newCache(long crossRows, long selfRows, Workspace workspace) {
    int layers = config.numDecoderLayers();
    Attention.KeyValue[] cross = new Attention.KeyValue[layers];
    Attention.KeyValue[] self = new Attention.KeyValue[layers];
    for (int i = 0; i < layers; i++) {
      cross[i] = keyValue(crossRows, workspace);
      self[i] = keyValue(selfRows, workspace);
    }
    return new DecoderCache(cross, self);
  }

  /** Returns the bytes that {@link #newCache} takes of a workspace. */
  public long cacheBytes(long crossRows, long selfRows) {
    long row = (long) config.inner() * stack.activations().bytes();
    long layer = Workspace.size(crossRows * row) + Workspace.size(selfRows * row);
    return 2L * config.numDecoderLayers() * layer;
  }

  private Attention.KeyValue keyValue(long rows, Workspace workspace) {
    return new Attention.KeyValue(
        workspace.tensor(stack.activations(), rows, config.inner()),
        workspace.tensor(stack.activations(), rows, config.inner()));
  }

  /**
   * The KV cache of decoding.
   *
   * <p>Keys and values are apart, because each step reads all of one and then all of the other:
   * contiguous, at the memory's speed; interleaved, eight times as slowly.
   *
   * @param cross for each layer (tokens of all sources, inner): the cross-attention's, computed
   *     once for each source
   * @param self for each layer (decoder inputs of all sequences, inner): the self-attention's
   */
  public record DecoderCache(Attention.KeyValue[] cross, Attention.KeyValue[] self) {}

  /**
   * Puts the keys and values of sequences of the encoder into the cache.
   *
   * @param sequences of the encoder, of which one may be there several times
   * @param firsts for each, the row of the cache that its first token gets
   * @param workspace temporary memory, released again
   */
  public void admit(
      Encoded encoded, int[] sequences, DecoderCache cache, int[] firsts, Workspace workspace) {
    ops.timer()
        .in(OpTimer.Section.ENCODER, () -> admitAll(encoded, sequences, cache, firsts, workspace));
  }

  private void admitAll(
      Encoded encoded, int[] sequences, DecoderCache cache, int[] firsts, Workspace workspace) {
    if (!ops.onGpu()) {
      for (int i = 0; i < sequences.length; i++) {
        admit(encoded, sequences[i], cache, firsts[i], workspace);
      }
      return;
    }
    Ragged source = encoded.source();
    for (int first = 0, last; first < sequences.length; first = last) {
      int begin = source.begin(sequences[first]);
      int end = source.begin(sequences[first] + 1);
      for (last = first + 1; last < sequences.length; last++) {
        int newBegin = Math.min(begin, source.begin(sequences[last]));
        int newEnd = Math.max(end, source.begin(sequences[last] + 1));
        if (newEnd - newBegin > ADMITTED_TOKENS) {
          break;
        }
        begin = newBegin;
        end = newEnd;
      }
      admitTogether(
          encoded,
          begin,
          end - begin,
          Arrays.copyOfRange(sequences, first, last),
          cache,
          Arrays.copyOfRange(firsts, first, last),
          workspace);
    }
  }

  private void admit(Encoded encoded, int i, DecoderCache cache, long first, Workspace workspace) {
    Workspace.Mark mark = workspace.mark();
    int length = encoded.source().length(i);
    int inner = config.inner();
    Tape tape = Tape.inference(ops, workspace);
    Variable hidden = tape.constant(encoded.hidden().rows(encoded.source().begin(i), length));
    Tensor keyValue = workspace.tensor(stack.activations(), length, 2L * inner);
    List<Layer> layers = weights.decoder().layers();
    for (int l = 0; l < layers.size(); l++) {
      stack.product(tape, layers.get(l).crossKeyValue(), hidden, keyValue);
      ops.convert(keyValue.columns(0, inner), cache.cross[l].keys().rows(first, length));
      ops.convert(keyValue.columns(inner, inner), cache.cross[l].values().rows(first, length));
    }
    workspace.release(mark);
  }

  /** Admits sequences among some tokens by one product of each layer, which fills a GPU. */
  private void admitTogether(
      Encoded encoded,
      int begin,
      int tokens,
      int[] sequences,
      DecoderCache cache,
      int[] firsts,
      Workspace workspace) {
    Workspace.Mark mark = workspace.mark();
    Ragged source = encoded.source();
    int count = Arrays.stream(sequences).map(source::length).sum();
    int[] fromAndTo = new int[2 * count];
    int at = 0;
    for (int i = 0; i < sequences.length; i++) {
      for (int t = 0; t < source.length(sequences[i]); t++, at++) {
        fromAndTo[at] = source.begin(sequences[i]) - begin + t;
        fromAndTo[count + at] = firsts[i] + t;
      }
    }
    Tensor copied = workspace.device(DType.INT32, 2L * count);
    copied.write(memory -> memory.copyFrom(MemorySegment.ofArray(fromAndTo)));
    Tensor from = copied.slice(0, count);
    Tensor to = copied.slice(count, count);
    int inner = config.inner();
    Tape tape = Tape.inference(ops, workspace);
    Variable hidden = tape.constant(encoded.hidden().rows(begin, tokens));
    Tensor keyValue = workspace.tensor(stack.activations(), tokens, 2L * inner);
    List<Layer> layers = weights.decoder().layers();
    for (int l = 0; l < layers.size(); l++) {
      stack.product(tape, layers.get(l).crossKeyValue(), hidden, keyValue);
      Attention.KeyValue cross = cache.cross[l];
      ops.copyRows(keyValue.columns(0, inner), from, cross.keys(), to);
      ops.copyRows(keyValue.columns(inner, inner), from, cross.values(), to);
    }
    workspace.release(mark);
  }

  /**
   * Returns the bytes of temporary memory that {@link #admit} takes.
   *
   * @param sources in one call
   * @param longest tokens of each
   */
  public long admissionBytes(int sources, int longest) {
    long tokens = longest;
    if (ops.onGpu()) {
      tokens = Math.min((long) sources * longest, Math.max(longest, ADMITTED_TOKENS));
    }
    long keyValue = Workspace.size(2 * tokens * config.inner() * stack.activations().bytes());
    if (weights.decoder().layers().getFirst().crossKeyValue().scalesOutputs()) {
      keyValue += Workspace.size(2 * tokens * config.inner() * DType.FLOAT32.bytes());
    }
    return ops.onGpu() ? keyValue + Workspace.size(8 * tokens) : keyValue;
  }

  /**
   * The rows of one decoding step; their memory is read anew by each step.
   *
   * @param ids (M) int32: the token that each row reads now
   * @param keyStarts (M) int32: first row of the row's own keys and values in the cache
   * @param lengths (M) int32: tokens of the row so far, this one included
   * @param crossStarts (M) int32: likewise of its source's
   * @param crossLengths (M) int32
   * @param ancestors (M, positions) int32, or null: see {@code precis_attention_decode}; a slot has
   *     as many rows
   */
  public record Rows(
      Tensor ids,
      Tensor keyStarts,
      Tensor lengths,
      Tensor crossStarts,
      Tensor crossLengths,
      Tensor ancestors) {}

  /**
   * Runs one decoding step: each row reads one token and attends to its own past.
   *
   * @param logits (M, vocab) float32, written
   * @param workspace temporary memory, released again
   */
  public void step(DecoderCache cache, Rows rows, Tensor logits, Workspace workspace) {
    ops.step(true);
    try {
      ops.timer().in(OpTimer.Section.STEP, () -> run(cache, rows, logits, workspace));
    } finally {
      ops.step(false);
    }
  }

  private void run(DecoderCache cache, Rows rows, Tensor logits, Workspace workspace) {
    Workspace.Mark mark = workspace.mark();
    Tape tape = Tape.inference(ops, workspace);
    Attention.CacheRows selfRows =
        new Attention.CacheRows(
            rows.keyStarts,
            rows.lengths,
            rows.ancestors,
            rows.ancestors == null ? 0 : rows.ancestors.columns());
    Attention.CacheRows crossRows =
        new Attention.CacheRows(rows.crossStarts, rows.crossLengths, null, 0);
    Variable x = stack.embed(tape, rows.ids());
    List<Layer> layers = weights.decoder().layers();
    for (int i = 0; i < layers.size(); i++) {
      Layer layer = layers.get(i);
      Attention.KeyValue self = cache.self[i];
      Attention.KeyValue cross = cache.cross[i];
      x =
          tape.block(
              x,
              List.of(
                  y -> selfAttention(tape, layer, y, self, selfRows),
                  y -> crossAttention(tape, layer, y, cross, crossRows),
                  y -> stack.feedForward(tape, layer, y)));
    }
    logits(stack.norm(tape, x, weights.decoder().finalNorm()).value(), logits);
    workspace.release(mark);
  }

  private Variable selfAttention(
      Tape tape, Layer layer, Variable x, Attention.KeyValue cache, Attention.CacheRows rows) {
    int inner = config.inner();
    Variable normed = stack.norm(tape, x, layer.selfNorm());
    Tensor qkv = layer.qkv().apply(tape, normed, stack.activations()).value();
    Attention.KeyValue added =
        new Attention.KeyValue(qkv.columns(inner, inner), qkv.columns(2L * inner, inner));
    Tensor bias = layer.bias().value();
    Tensor mixed = attend(tape, qkv.columns(0, inner), added, cache, bias, rows);
    return layer.selfOut().addTo(tape, tape.constant(mixed), x, 0);
  }

  private Variable crossAttention(
      Tape tape, Layer layer, Variable x, Attention.KeyValue cache, Attention.CacheRows rows) {
    Variable normed = stack.norm(tape, x, layer.crossNorm());
    Tensor query = layer.crossQuery().apply(tape, normed, stack.activations()).value();
    Tensor mixed = attend(tape, query, null, cache, null, rows);
    return layer.crossOut().addTo(tape, tape.constant(mixed), x, 0);
  }

  private Tensor attend(
      Tape tape,
      Tensor q,
      Attention.KeyValue added,
      Attention.KeyValue cache,
      Tensor bias,
      Attention.CacheRows rows) {
    Tensor mixed = tape.workspace().tensor(stack.activations(), q.rows(), config.inner());
    ops.attentionDecode(q, added, cache, mixed, bias, rows, stack.causal());
    return mixed;
  }
}
