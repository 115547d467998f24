package dev.precis.generation;

import java.util.Arrays;
import java.util.List;

/**
 * Drafts the next tokens of a sequence by prompt lookup decoding: finds the newest tokens earlier
 * in the source or in the sequence itself, and proposes the tokens that follow there. A summary
 * often copies names and phrases of its dialogue.
 *
 * <p>The decoding step computes the draft's tokens as rows of their own, which cost little while
 * the step is bound by reading the weights. A sequence whose drafts fail has fewer of them: it has
 * a credit of draft tokens that may be rejected. It starts at {@link #START}, grows by {@link
 * #INCOME} with each step and by {@link #GAIN} with each accepted token, which saves a step, and
 * falls by {@link #PRICE} with each rejected one, so that
 *
 * <pre>
 *   rejected &lt;= (START + INCOME steps + GAIN accepted) / PRICE = 2 + steps / 8 + 4 accepted
 * </pre>
 *
 * <p>Where no draft is right, 32 steps have 6 rows more: 2 % of the time if a row costs a tenth of
 * a step.
 */
final class PromptLookup {
  /** The most tokens of a draft. */
  static final int MOST_TOKENS = 4;

  private static final int PRICE = 8;
  private static final int START = 2 * PRICE;
  private static final int INCOME = 1;
  private static final int GAIN = 4 * PRICE;
  private static final int MOST_CREDIT = 16 * PRICE;

  private static final int[] NONE = {};

  private final int[] text; // the source, then the sequence without its start token
  private final int vocabSize;
  private final List<Integer> endTokens;
  private final int sourceLength;
  private int length;
  private int credit = START;

  /**
   * Begins a sequence.
   *
   * @param source token ids; ids outside the vocabulary, as virtual tokens have, end a draft
   * @param limit the most new tokens of the sequence
   */
  PromptLookup(int[] source, int limit, int vocabSize, List<Integer> endTokens) {
    text = new int[source.length + limit];
    System.arraycopy(source, 0, text, 0, source.length);
    sourceLength = source.length;
    length = source.length;
    this.vocabSize = vocabSize;
    this.endTokens = endTokens;
  }

  /** Appends a token that was chosen for the sequence. */
  void append(int token) {
    text[length++] = token;
  }

  /**
   * Proposes the next tokens. None of them is an end token: nothing follows it. The sequence has
   * room for one more token behind them.
   *
   * @param most tokens
   * @return empty where there is no match or no credit
   */
  int[] propose(int most) {
    int room = Math.min(Math.min(most, text.length - length - 1), credit / PRICE);
    if (room < 1) {
      return NONE;
    }
    int longest = Math.min(MOST_TOKENS, length - sourceLength);
    int best = 0;
    int found = 0; // where the tokens begin that follow the match
    for (int at = 1; at < length && best < longest; at++) {
      int same = matching(at, longest);
      if (same > best) {
        best = same;
        found = at;
      }
    }
    int end = found;
    while (end < found + Math.min(best, room) && end < length && continues(text[end])) {
      end++;
    }
    return Arrays.copyOfRange(text, found, end);
  }

  /** Returns how many tokens before a place are the newest ones, at most so many. */
  private int matching(int at, int most) {
    int same = 0;
    while (same < most && same < at && text[at - 1 - same] == text[length - 1 - same]) {
      same++;
    }
    return same;
  }

  private boolean continues(int token) {
    return token >= 0 && token < vocabSize && !endTokens.contains(token);
  }

  /** Counts a step. */
  void step(int drafted, int accepted) {
    credit += INCOME + GAIN * accepted - PRICE * (drafted - accepted);
    credit = Math.min(MOST_CREDIT, credit);
  }
}
