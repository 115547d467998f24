package dev.precis.generation;

import dev.precis.generation.TokenRules.SequenceBias;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntFunction;

/**
 * Applies {@link TokenRules} to the scores of rows. transformers applies its processors in a fixed
 * order, in which the kernel's rules (repetition penalty, n-grams, minimum length) stand in the
 * middle: {@link #before} is what comes before them, {@link #after} what follows.
 */
final class TokenRuleScores {
  private final TokenRules rules;
  private final StopRules stop;
  private final IntFunction<int[]> source;
  private final List<SequenceBias> forbidden = new ArrayList<>();

  /**
   * Prepares the rules of a call.
   *
   * @param stop knows the end tokens and the limits of the sources
   * @param source the tokens of the source of an index
   * @return null where the options have no such rules, and the host has nothing to change
   */
  static TokenRuleScores of(GenerationOptions options, StopRules stop, IntFunction<int[]> source) {
    return options.tokenRules().isEmpty()
        ? null
        : new TokenRuleScores(options.tokenRules(), stop, source);
  }

  private TokenRuleScores(TokenRules rules, StopRules stop, IntFunction<int[]> source) {
    this.rules = rules;
    this.stop = stop;
    this.source = source;
    for (List<Integer> word : rules.badWordsIds()) {
      if (word.size() > 1 || !stop.ends(word.getFirst())) {
        forbidden.add(new SequenceBias(word, Float.NEGATIVE_INFINITY));
      }
    }
  }

  /**
   * A row of scores and the sequence that it continues.
   *
   * @param scores of all rows, float32
   * @param at index of the row's first score
   * @param vocabSize scores of a row
   * @param history the tokens so far, the start token first
   * @param sourceIndex index of the source
   */
  private record Row(MemorySegment scores, long at, int vocabSize, int[] history, int sourceIndex) {
    float get(int token) {
      return scores.getAtIndex(ValueLayout.JAVA_FLOAT, at + token);
    }

    void set(int token, float score) {
      scores.setAtIndex(ValueLayout.JAVA_FLOAT, at + token, score);
    }

    void forbid(int token) {
      if (token >= 0 && token < vocabSize) {
        set(token, Float.NEGATIVE_INFINITY);
      }
    }

    void force(List<Integer> tokens) {
      for (int token = 0; token < vocabSize; token++) {
        set(token, Float.NEGATIVE_INFINITY);
      }
      tokens.forEach(token -> set(token, 0));
    }
  }

  /**
   * Applies the rules that come before those of the kernel to a row.
   *
   * @param sourceIndex index of the row's source
   */
  void before(DecodeBuffers buffers, int row, int sourceIndex) {
    before(scores(buffers, row, sourceIndex));
  }

  /** Applies the rules that come after those of the kernel, as {@link #before}. */
  void after(DecodeBuffers buffers, int row, int sourceIndex) {
    after(scores(buffers, row, sourceIndex));
  }

  private static Row scores(DecodeBuffers buffers, int row, int sourceIndex) {
    MemorySegment scores = buffers.hostLogits();
    int width = (int) buffers.logits().columns();
    return new Row(scores, (long) row * width, width, buffers.history(row), sourceIndex);
  }

  private void before(Row row) {
    add(row, rules.sequenceBias());
    float penalty = rules.encoderRepetitionPenalty();
    if (penalty != 1) {
      // transformers' processor takes the inverse: above 1 it favors what the source says.
      for (int token : distinct(source.apply(row.sourceIndex))) {
        float score = row.get(token);
        float inverse = 1 / penalty;
        row.set(token, score < 0 ? score * inverse : score / inverse);
      }
    }
  }

  private static int[] distinct(int[] tokens) {
    return Arrays.stream(tokens).distinct().toArray();
  }

  private void after(Row row) {
    int length = row.history.length;
    if (rules.encoderNoRepeatNgramSize() > 0) {
      forbidSourceNgrams(row, rules.encoderNoRepeatNgramSize());
    }
    add(row, forbidden);
    boolean forcesFirst = rules.forcedBosTokenId() != null;
    if (forcesFirst && length == 1) {
      row.force(List.of(rules.forcedBosTokenId()));
    }
    if (!rules.forcedEosTokenIds().isEmpty() && length == stop.limits()[row.sourceIndex]) {
      row.force(rules.forcedEosTokenIds());
    }
    if (rules.lengthDecay() != null && length - 1 > rules.lengthDecay().start()) {
      double growth =
          Math.pow(rules.lengthDecay().factor(), length - 1 - rules.lengthDecay().start());
      for (int token : stop.endTokens()) {
        float score = row.get(token);
        if (score > Float.NEGATIVE_INFINITY) {
          row.set(token, score + Math.abs(score) * (float) (growth - 1));
        }
      }
    }
    rules.suppressTokens().forEach(row::forbid);
    if (length == (forcesFirst ? 2 : 1)) {
      rules.beginSuppressTokens().forEach(row::forbid);
    }
  }

  /** Adds the biases of the sequences that the next token can complete. */
  private static void add(Row row, List<SequenceBias> biases) {
    for (SequenceBias each : biases) {
      List<Integer> tokens = each.tokens();
      // A sequence that is longer than what there is so far is ignored, as in transformers.
      if (tokens.size() == 1
          || (tokens.size() <= row.history.length && endsWith(row.history, tokens))) {
        row.set(tokens.getLast(), row.get(tokens.getLast()) + each.bias());
      }
    }
  }

  /** Returns whether a history ends with all tokens but the last. */
  private static boolean endsWith(int[] history, List<Integer> tokens) {
    int from = history.length - (tokens.size() - 1);
    for (int i = 0; i + 1 < tokens.size(); i++) {
      if (history[from + i] != tokens.get(i)) {
        return false;
      }
    }
    return true;
  }

  private void forbidSourceNgrams(Row row, int n) {
    int[] tokens = source.apply(row.sourceIndex);
    int from = row.history.length - (n - 1);
    if (from < 0) {
      return;
    }
    for (int i = 0; i + n <= tokens.length; i++) {
      int same = 0;
      while (same < n - 1 && tokens[i + same] == row.history[from + same]) {
        same++;
      }
      if (same == n - 1) {
        row.forbid(tokens[i + n - 1]);
      }
    }
  }
}
