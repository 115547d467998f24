package dev.precis.t5;

import dev.precis.io.InvalidInputException;
import dev.precis.ops.Attention;
import dev.precis.ops.LogProbabilities;
import dev.precis.ops.LogitHead;
import dev.precis.ops.Ops;
import dev.precis.t5.T5Weights.Layer;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.lang.foreign.ValueLayout;
import java.util.List;

/**
 * T5 (Raffel et al. 2020) and its v1.1 / FLAN form: what the paper draws, in token ids and hidden
 * states. Text and the choice of tokens are elsewhere.
 *
 * <p>Sequences of unequal length lie one behind the other without padding, as the rows of one
 * matrix; {@link Ragged} says where each begins. Results do not depend on what else is in a batch.
 *
 * <p>Not for several threads.
 */
public final class T5Model {
  /** Rows of the feed-forward layer that are computed at once: bounds memory, not the result. */
  private static final int FEED_FORWARD_ROWS = 512;

  /** Rows of logits that exist at once where they must exist; bounds memory likewise. */
  private static final int LOGIT_ROWS = 16;

  private final T5Config config;
  private final T5Weights weights;
  private final Ops ops;
  private final DType activationType;

  /**
   * @param dtype that of the packed weights; what flows between operations is float32 for float32
   *     and bfloat16 otherwise, the residual stream always float32
   */
  public T5Model(T5Weights weights, Ops ops, DType dtype) {
    this.config = weights.config();
    this.weights = weights;
    this.ops = ops;
    this.activationType = dtype == DType.FLOAT32 ? DType.FLOAT32 : DType.BFLOAT16;
  }

  public T5Config config() {
    return config;
  }

  public Ops ops() {
    return ops;
  }

  public T5Weights weights() {
    return weights;
  }

  /**
   * What the encoder makes of its input.
   *
   * @param hidden (tokens, dModel), normalised
   */
  public record Encoded(Ragged source, Tensor hidden) {}

  /** Runs the encoder; the result lives in the workspace, what it took on the way is released. */
  public Encoded encode(Ragged source, Workspace workspace) {
    Tensor hidden = workspace.tensor(activationType, source.tokens(), config.dModel());
    Workspace.Mark mark = workspace.mark();
    Tensor x = embed(source.ids(), workspace);
    Tensor normed = workspace.tensor(activationType, source.tokens(), config.dModel());
    Tensor qkv = workspace.tensor(activationType, source.tokens(), 3L * config.inner());
    Tensor mixed = workspace.tensor(activationType, source.tokens(), config.inner());
    FeedForward feedForward = new FeedForward(source.tokens(), workspace);
    for (Layer layer : weights.encoder().layers()) {
      norm(x, layer.selfNorm(), normed);
      layer.qkv().apply(ops, normed, qkv);
      selfAttention(qkv, source, weights.encoder().bias(), false, mixed);
      layer.selfOut().addTo(ops, mixed, x);
      feedForward.apply(layer, x, normed);
    }
    norm(x, weights.encoder().finalNorm(), hidden);
    workspace.release(mark);
    return new Encoded(source, hidden);
  }

  /**
   * Runs the decoder over whole target sequences at once ("teacher forcing"). Each source has as
   * many targets, which follow one another.
   *
   * @param target decoder inputs: the start token first; as many as sources, or a multiple
   * @return (tokens, dModel), normalised: what {@link #logits} takes
   */
  public Tensor decode(Encoded encoded, Ragged target, Workspace workspace) {
    int inner = config.inner();
    Tensor hidden = workspace.tensor(activationType, target.tokens(), config.dModel());
    Workspace.Mark mark = workspace.mark();
    Ragged readers = target.grouped(encoded.source().sequences(), workspace);
    Tensor x = embed(target.ids(), workspace);
    Tensor normed = workspace.tensor(activationType, target.tokens(), config.dModel());
    Tensor qkv = workspace.tensor(activationType, target.tokens(), 3L * inner);
    Tensor crossQuery = workspace.tensor(activationType, target.tokens(), inner);
    Tensor keyValue = workspace.tensor(activationType, encoded.source().tokens(), 2L * inner);
    Tensor mixed = workspace.tensor(activationType, target.tokens(), inner);
    FeedForward feedForward = new FeedForward(target.tokens(), workspace);
    for (Layer layer : weights.decoder().layers()) {
      norm(x, layer.selfNorm(), normed);
      layer.qkv().apply(ops, normed, qkv);
      selfAttention(qkv, target, weights.decoder().bias(), true, mixed);
      layer.selfOut().addTo(ops, mixed, x);
      norm(x, layer.crossNorm(), normed);
      layer.crossQuery().apply(ops, normed, crossQuery);
      layer.crossKeyValue().apply(ops, encoded.hidden(), keyValue);
      ops.attention(
          new Attention.Operands(
              crossQuery, keyValue.columns(0, inner), keyValue.columns(inner, inner), mixed, null),
          new Attention.Shape(
              kind(false), null, readers.offsets(), encoded.source().offsets(), null));
      layer.crossOut().addTo(ops, mixed, x);
      feedForward.apply(layer, x, normed);
    }
    norm(x, weights.decoder().finalNorm(), hidden);
    workspace.release(mark);
    return hidden;
  }

  /** {@code logits = scale hidden lm_head'}; hidden (M, dModel), logits (M, vocab) float32. */
  public void logits(Tensor hidden, Tensor logits) {
    weights.lmHead().apply(ops, hidden, logits, config.outputScale(), false);
  }

  /**
   * The cross-entropy of each label: without the logits or, where the output layer has an adapter,
   * with those of a few rows at a time.
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
        float loss = (float) (Math.log(sum) + largest - row[label]);
        losses.memory().setAtIndex(ValueLayout.JAVA_FLOAT, at + i, loss);
      }
    }
    workspace.release(mark);
  }

  /**
   * The output layer for what is computed without logits.
   *
   * @throws InvalidInputException where it has an adapter
   */
  private LogitHead plainHead() {
    if (weights.lmHead().used() != null) {
      throw new InvalidInputException(
          "The output layer has an adapter, but its logits never exist whole here: merge the"
              + " adapter into the model first.");
    }
    return new LogitHead(weights.lmHead().packed(), null, config.outputScale());
  }

  /**
   * What the model makes of given tokens, without the logits.
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
   * The divergence of this model's distribution from another's, for each token: {@code sum_v p (log
   * p - log q)}.
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
   * Memory for decoding token by token.
   *
   * @param sources sources that are held side by side, at most
   * @param sourceTokens tokens of each, at most
   * @param slots sequences that are decoded side by side, at most
   * @param slotTokens decoder inputs of each, at most
   */
  public DecoderCache newCache(
      int sources, int sourceTokens, int slots, int slotTokens, Workspace workspace) {
    int inner = config.inner();
    int layers = config.numDecoderLayers();
    Attention.KeyValue[] cross = new Attention.KeyValue[layers];
    Attention.KeyValue[] self = new Attention.KeyValue[layers];
    for (int i = 0; i < layers; i++) {
      cross[i] = keyValue((long) sources * sourceTokens, workspace);
      self[i] = keyValue((long) slots * slotTokens, workspace);
    }
    Tensor admitted = workspace.tensor(activationType, sourceTokens, 2L * inner);
    return new DecoderCache(cross, self, admitted, sources, sourceTokens, slots, slotTokens);
  }

  private Attention.KeyValue keyValue(long rows, Workspace workspace) {
    return new Attention.KeyValue(
        workspace.tensor(activationType, rows, config.inner()),
        workspace.tensor(activationType, rows, config.inner()));
  }

  /**
   * Keys and values that decoding looks back at.
   *
   * <p>Keys and values are apart, because each step reads all of one and then all of the other:
   * straight on, at the memory's speed; in turns, eight times as slowly.
   *
   * @param cross for each layer (sources x sourceTokens, inner): the cross-attention's, computed
   *     once for each source
   * @param self for each layer (slots x slotTokens, inner): the self-attention's
   * @param admitted (sourceTokens, 2 inner): keys and values of one source on their way
   */
  public record DecoderCache(
      Attention.KeyValue[] cross,
      Attention.KeyValue[] self,
      Tensor admitted,
      int sources,
      int sourceTokens,
      int slots,
      int slotTokens) {}

  /** Puts what the encoder made of its i-th sequence into a place for sources. */
  public void admit(Encoded encoded, int i, DecoderCache cache, int place) {
    int length = encoded.source().length(i);
    if (length > cache.sourceTokens || place >= cache.sources) {
      throw new IllegalArgumentException(
          length
              + " tokens at place "
              + place
              + " do not fit "
              + cache.sources
              + " sources of "
              + cache.sourceTokens);
    }
    Tensor hidden = encoded.hidden().rows(encoded.source().begin(i), length);
    int inner = config.inner();
    long first = (long) place * cache.sourceTokens;
    Tensor keyValue = cache.admitted.rows(0, length);
    List<Layer> layers = weights.decoder().layers();
    for (int l = 0; l < layers.size(); l++) {
      layers.get(l).crossKeyValue().apply(ops, hidden, keyValue);
      ops.convert(keyValue.columns(0, inner), cache.cross[l].keys().rows(first, length));
      ops.convert(keyValue.columns(inner, inner), cache.cross[l].values().rows(first, length));
    }
  }

  /**
   * The rows of one decoding step; their memory is read anew by each step.
   *
   * @param ids (M) int32: the token that each row reads now
   * @param keyStarts (M) int32: slot x slotTokens
   * @param lengths (M) int32: tokens of the row so far, this one included
   * @param crossStarts (M) int32: place x sourceTokens
   * @param crossLengths (M) int32
   * @param ancestors (M, slotTokens) int32, or null: see {@code precis_attention_decode}
   */
  public record Rows(
      Tensor ids,
      Tensor keyStarts,
      Tensor lengths,
      Tensor crossStarts,
      Tensor crossLengths,
      Tensor ancestors) {}

  /**
   * One step: each row reads one token and looks back at its own.
   *
   * @param logits (M, vocab) float32, written
   * @param workspace temporary memory, released again
   */
  public void step(DecoderCache cache, Rows rows, Tensor logits, Workspace workspace) {
    long m = rows.ids().dim(0);
    int inner = config.inner();
    Workspace.Mark mark = workspace.mark();
    Tensor x = embed(rows.ids(), workspace);
    Tensor normed = workspace.tensor(activationType, m, config.dModel());
    Tensor qkv = workspace.tensor(activationType, m, 3L * inner);
    Tensor q = qkv.columns(0, inner);
    Attention.KeyValue added =
        new Attention.KeyValue(qkv.columns(inner, inner), qkv.columns(2L * inner, inner));
    Attention.CacheRows selfRows =
        new Attention.CacheRows(rows.keyStarts, rows.lengths, rows.ancestors, cache.slotTokens);
    Attention.CacheRows crossRows =
        new Attention.CacheRows(rows.crossStarts, rows.crossLengths, null, 0);
    Tensor crossQuery = workspace.tensor(activationType, m, inner);
    Tensor mixed = workspace.tensor(activationType, m, inner);
    FeedForward feedForward = new FeedForward(m, workspace);
    List<Layer> layers = weights.decoder().layers();
    for (int i = 0; i < layers.size(); i++) {
      Layer layer = layers.get(i);
      norm(x, layer.selfNorm(), normed);
      layer.qkv().apply(ops, normed, qkv);
      ops.attentionDecode(
          q, added, cache.self[i], mixed, weights.decoder().bias(), selfRows, kind(true));
      layer.selfOut().addTo(ops, mixed, x);
      norm(x, layer.crossNorm(), normed);
      layer.crossQuery().apply(ops, normed, crossQuery);
      ops.attentionDecode(crossQuery, null, cache.cross[i], mixed, null, crossRows, kind(false));
      layer.crossOut().addTo(ops, mixed, x);
      feedForward.apply(layer, x, normed);
    }
    norm(x, weights.decoder().finalNorm(), normed);
    logits(normed, logits);
    workspace.release(mark);
  }

  private Attention.Kind kind(boolean causal) {
    return new Attention.Kind(
        config.numHeads(), causal, !causal, config.relativeAttentionMaxDistance(), 1f);
  }

  private Tensor embed(Tensor ids, Workspace workspace) {
    Tensor x = workspace.tensor(DType.FLOAT32, ids.dim(0), config.dModel());
    ops.embedding(weights.embedding(), ids, x);
    return x;
  }

  private void norm(Tensor x, Tensor weight, Tensor y) {
    ops.rmsNorm(x, weight, config.layerNormEpsilon(), y);
  }

  private void selfAttention(Tensor qkv, Ragged tokens, Tensor bias, boolean causal, Tensor out) {
    int inner = config.inner();
    ops.attention(
        new Attention.Operands(
            qkv.columns(0, inner),
            qkv.columns(inner, inner),
            qkv.columns(2L * inner, inner),
            out,
            null),
        new Attention.Shape(kind(causal), bias, tokens.offsets(), tokens.offsets(), null));
  }

  /** {@code x += wo act(wi norm(x))}, in pieces of a few hundred rows. */
  private final class FeedForward {
    private final Tensor wide;
    private final Tensor narrow;

    FeedForward(long rows, Workspace workspace) {
      long piece = Math.min(rows, FEED_FORWARD_ROWS);
      int f = config.dFf();
      wide = workspace.tensor(activationType, piece, config.gated() ? 2L * f : f);
      narrow = workspace.tensor(activationType, piece, f);
    }

    void apply(Layer layer, Tensor x, Tensor normed) {
      norm(x, layer.feedForwardNorm(), normed);
      long rows = x.dim(0);
      if (rows <= FEED_FORWARD_ROWS) {
        apply(layer, x, normed, wide, narrow);
        return;
      }
      for (long at = 0; at < rows; at += FEED_FORWARD_ROWS) {
        long n = Math.min(FEED_FORWARD_ROWS, rows - at);
        apply(layer, x.rows(at, n), normed.rows(at, n), wide.rows(0, n), narrow.rows(0, n));
      }
    }

    private void apply(Layer layer, Tensor x, Tensor normed, Tensor wide, Tensor narrow) {
      layer.feedForwardIn().apply(ops, normed, wide);
      ops.activation(wide, config.activation(), config.gated(), narrow);
      layer.feedForwardOut().addTo(ops, narrow, x);
    }
  }
}
