package dev.precis.generation;

import static dev.precis.io.InvalidInputException.require;

import dev.precis.io.InvalidInputException;
import java.util.List;

/**
 * Rules on single tokens and sequences of them, with the names and meanings of transformers'
 * generation options. They run on the host between two decoding steps, so that decoding without
 * them costs nothing.
 *
 * @param sequenceBias what is added to the score of a token that would complete a sequence
 * @param encoderRepetitionPenalty scores of the source's tokens are multiplied (or, negative,
 *     divided) by it; 1: off
 * @param encoderNoRepeatNgramSize forbids n-grams of the source of this size; 0: off
 * @param badWordsIds sequences of tokens that are not generated; a single end token is ignored
 * @param forcedBosTokenId the first new token; null: free
 * @param forcedEosTokenIds the token, or one of the tokens, that comes last where a sequence
 *     reaches its limit; empty: free
 * @param lengthDecay raises the scores of the end tokens as a sequence grows; null: off
 * @param suppressTokens tokens that are not generated
 * @param beginSuppressTokens tokens that are not the first one; after a forced one, not the second
 */
public record TokenRules(
    List<SequenceBias> sequenceBias,
    float encoderRepetitionPenalty,
    int encoderNoRepeatNgramSize,
    List<List<Integer>> badWordsIds,
    Integer forcedBosTokenId,
    List<Integer> forcedEosTokenIds,
    LengthDecay lengthDecay,
    List<Integer> suppressTokens,
    List<Integer> beginSuppressTokens) {

  /**
   * A bias on the last token of a sequence, where the tokens before it are its others.
   *
   * @param tokens at least one
   * @param bias added to the score
   */
  public record SequenceBias(List<Integer> tokens, float bias) {
    /** Copies the tokens. */
    public SequenceBias {
      tokens = List.copyOf(tokens);
    }
  }

  /**
   * Grows the score s of the end tokens: {@code s + |s| (factor^(n - start) - 1)} after n new
   * tokens, n above start.
   */
  public record LengthDecay(int start, double factor) {}

  /** No rule at all. */
  public static final TokenRules NONE =
      new TokenRules(List.of(), 1, 0, List.of(), null, List.of(), null, List.of(), List.of());

  /**
   * Checks every value that can be checked without a vocabulary.
   *
   * @throws InvalidInputException if a value is out of range; the message is one sentence
   */
  public TokenRules {
    sequenceBias = List.copyOf(sequenceBias);
    badWordsIds = badWordsIds.stream().map(List::copyOf).toList();
    forcedEosTokenIds = List.copyOf(forcedEosTokenIds);
    suppressTokens = List.copyOf(suppressTokens);
    beginSuppressTokens = List.copyOf(beginSuppressTokens);
    require(
        encoderRepetitionPenalty > 0 && Float.isFinite(encoderRepetitionPenalty),
        "encoder-repetition-penalty",
        "above 0",
        encoderRepetitionPenalty);
    require(
        encoderNoRepeatNgramSize >= 0,
        "encoder-no-repeat-ngram-size",
        "0 or more",
        encoderNoRepeatNgramSize);
    require(
        badWordsIds.stream().noneMatch(List::isEmpty)
            && sequenceBias.stream().noneMatch(each -> each.tokens.isEmpty()),
        "a sequence of bad-words-ids or sequence-bias",
        "one token or more",
        "empty");
    require(
        sequenceBias.stream().allMatch(each -> each.bias < Float.POSITIVE_INFINITY),
        "sequence-bias",
        "a number or -infinity",
        sequenceBias);
    require(
        forcedBosTokenId == null || !suppressTokens.contains(forcedBosTokenId),
        "forced-bos-token-id",
        "a token that suppress-tokens allows",
        forcedBosTokenId);
    require(
        forcedEosTokenIds.isEmpty() || !suppressTokens.containsAll(forcedEosTokenIds),
        "forced-eos-token-id",
        "a token that suppress-tokens allows",
        forcedEosTokenIds);
    require(
        lengthDecay == null || (lengthDecay.factor > 0 && Double.isFinite(lengthDecay.factor)),
        "exponential-decay-length-penalty",
        "a start and a factor above 0",
        lengthDecay);
  }

  /**
   * Returns whether there is no rule at all. Told by hand: a record's {@code equals} is made at run
   * time by a dozen classes, which a start would wait for.
   */
  boolean isEmpty() {
    return sequenceBias.isEmpty()
        && encoderRepetitionPenalty == 1
        && encoderNoRepeatNgramSize == 0
        && badWordsIds.isEmpty()
        && forcedBosTokenId == null
        && forcedEosTokenIds.isEmpty()
        && lengthDecay == null
        && suppressTokens.isEmpty()
        && beginSuppressTokens.isEmpty();
  }

  /** Returns the largest token that a rule forces, forbids or favors, or -1. */
  int largestToken() {
    int largest = forcedBosTokenId == null ? -1 : forcedBosTokenId;
    for (int token : forcedEosTokenIds) {
      largest = Math.max(largest, token);
    }
    for (List<Integer> word : badWordsIds) {
      largest = Math.max(largest, word.stream().mapToInt(token -> token).max().orElse(-1));
    }
    for (SequenceBias each : sequenceBias) {
      largest = Math.max(largest, each.tokens.stream().mapToInt(token -> token).max().orElse(-1));
    }
    return largest;
  }
}
