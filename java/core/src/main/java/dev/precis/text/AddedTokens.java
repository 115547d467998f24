package dev.precis.text;

import dev.precis.io.InvalidInputException;
import java.util.BitSet;
import java.util.HashMap;
import java.util.Map;

/**
 * Finds added tokens in a text: at each place the longest, from left to right, first those that are
 * looked for in the text as it is, then, in what is left, those of the normalized text.
 */
final class AddedTokens {
  /** Takes a part of a text: an added token's, or another (id -1) that the model is to encode. */
  @FunctionalInterface
  interface PartConsumer {
    void accept(int id, int start, int end);
  }

  private final Matcher raw;
  private final Matcher normalized;
  private final BitSet special = new BitSet(); // ids

  /**
   * Prepares the search.
   *
   * @param tokens by id
   * @param splitSpecial whether special tokens in a text are text like any other
   * @param where the file, for the errors' sentences
   * @throws InvalidInputException if the normalizer leaves nothing of a token
   */
  AddedTokens(
      Map<Integer, AddedToken> tokens, Normalizer normalizer, boolean splitSpecial, String where) {
    Map<Integer, String> rawTexts = new HashMap<>();
    Map<Integer, String> normalizedTexts = new HashMap<>();
    tokens.forEach(
        (id, token) -> {
          special.set(id, token.special());
          if (!token.normalized()) {
            rawTexts.put(id, token.content());
            return;
          }
          String content = normalizer.normalize(token.content());
          if (content.isEmpty()) {
            throw new InvalidInputException(
                "%s: the normalizer leaves nothing of the added token \"%s\"; mark it \"normalized\": false"
                    .formatted(where, token.content()));
          }
          normalizedTexts.put(id, content);
        });
    raw = new Matcher(tokens, rawTexts, splitSpecial);
    normalized = new Matcher(tokens, normalizedTexts, splitSpecial);
  }

  boolean isSpecial(int id) {
    return special.get(id);
  }

  /** Cuts a text at the tokens that are looked for as they stand. */
  void split(String text, PartConsumer parts) {
    raw.split(text, parts);
  }

  /** Cuts a normalized text at the tokens that are normalized too. */
  void splitNormalized(String text, PartConsumer parts) {
    normalized.split(text, parts);
  }

  private static final class Matcher {
    private final Map<Integer, AddedToken> tokens;
    private final CharTrie trie;
    private final boolean empty;
    private final boolean splitSpecial;

    Matcher(Map<Integer, AddedToken> tokens, Map<Integer, String> texts, boolean splitSpecial) {
      this.tokens = tokens;
      this.splitSpecial = splitSpecial;
      empty = texts.isEmpty();
      trie = empty ? null : new CharTrie(texts.size());
      texts.forEach((id, text) -> trie.put(text, id));
    }

    void split(String text, PartConsumer parts) {
      int done = 0; // end of what has been given out
      for (int i = 0; !empty && i < text.length(); ) {
        int id = -1;
        int end = i;
        int node = trie.child(CharTrie.ROOT, text.charAt(i));
        for (int next = i + 1; node >= 0; next++) {
          if (trie.value(node) >= 0) {
            id = trie.value(node);
            end = next;
          }
          node = next < text.length() ? trie.child(node, text.charAt(next)) : -1;
        }
        if (id < 0) {
          i++;
          continue;
        }
        AddedToken token = tokens.get(id);
        boolean asText = splitSpecial && token.special();
        if (!asText && (!token.singleWord() || standsAlone(text, i, end))) {
          int start = token.leftStrip() ? Math.max(done, spaceStart(text, i)) : i;
          int stop = token.rightStrip() ? spaceEnd(text, end) : end;
          if (done < start) {
            parts.accept(-1, done, start);
          }
          parts.accept(id, start, stop);
          done = stop;
        }
        i = end;
      }
      if (done < text.length()) {
        parts.accept(-1, done, text.length());
      }
    }

    private static boolean standsAlone(String text, int start, int end) {
      return (start == 0 || !Characters.isWord(text.codePointBefore(start)))
          && (end == text.length() || !Characters.isWord(text.codePointAt(end)));
    }

    private static int spaceStart(String text, int end) {
      int start = end;
      while (start > 0 && Characters.isWhitespace(text.charAt(start - 1))) {
        start--;
      }
      return start;
    }

    private static int spaceEnd(String text, int start) {
      int end = start;
      while (end < text.length() && Characters.isWhitespace(text.charAt(end))) {
        end++;
      }
      return end;
    }
  }
}
