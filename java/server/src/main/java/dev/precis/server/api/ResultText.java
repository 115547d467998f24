package dev.precis.server.api;

import dev.precis.text.TokenStream;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntFunction;

/**
 * The text of one result as its tokens arrive, up to the first stop text. The end of the text is
 * held back as long as it may be the beginning of a stop text. Not thread-safe.
 */
final class ResultText {
  private final TokenStream decoder;
  private final List<String> stops;
  private final StringBuilder text = new StringBuilder();
  private final List<Token> tokens = new ArrayList<>();
  private List<Alternative> alternatives = List.of(); // to the next token
  private int released; // length of the text that was handed out
  private int count;
  private boolean stopped;

  /**
   * A token of the text.
   *
   * @param text the text that became certain with it; empty while a character is incomplete
   * @param offset of that text in the whole
   * @param logProbability as the model has it
   * @param alternatives the most probable tokens in its place, if any were wanted
   */
  record Token(String text, int offset, float logProbability, List<Alternative> alternatives) {}

  /**
   * A token that could have been chosen.
   *
   * @param text that it would have added, or the vocabulary's name of a token without text of its
   *     own, such as the end token and a part of a character
   * @param logProbability as the model has it
   */
  record Alternative(String text, float logProbability) {}

  /** Begins a text. */
  ResultText(TokenStream decoder, List<String> stops) {
    this.decoder = decoder;
    this.stops = stops;
  }

  /**
   * Takes the alternatives to the next token.
   *
   * @param tokens the most probable first
   * @param name gives the vocabulary's name of a token
   */
  void alternatives(int[] tokens, float[] logProbabilities, IntFunction<String> name) {
    if (stopped) {
      return;
    }
    alternatives = new ArrayList<>();
    for (int i = 0; i < tokens.length; i++) {
      String added = decoder.preview(tokens[i]);
      alternatives.add(
          new Alternative(added.isEmpty() ? name.apply(tokens[i]) : added, logProbabilities[i]));
    }
  }

  /**
   * Takes the next token and returns the text that may be handed out; a text that has stopped takes
   * no more.
   *
   * @param ends whether it is an end token, which has no text
   */
  String add(int token, float logProbability, boolean ends) {
    if (stopped) {
      return "";
    }
    count++;
    if (ends) {
      return "";
    }
    String piece = decoder.append(token);
    tokens.add(new Token(piece, text.length(), logProbability, alternatives));
    text.append(piece);
    return release(piece.length(), false);
  }

  /** Ends the text and returns what was still held back. */
  String finish() {
    if (stopped) {
      return "";
    }
    String piece = decoder.finish();
    if (!piece.isEmpty()) {
      Token last = tokens.removeLast();
      tokens.add(new Token(last.text + piece, last.offset, last.logProbability, last.alternatives));
    }
    text.append(piece);
    return release(piece.length(), true);
  }

  private String release(int added, boolean all) {
    int stop = Integer.MAX_VALUE;
    int held = 0;
    for (String each : stops) {
      int from = Math.max(0, text.length() - added - each.length() + 1);
      int at = text.indexOf(each, from);
      if (at >= 0) {
        stop = Math.min(stop, at);
      }
      held = Math.max(held, begun(each));
    }
    if (stop < Integer.MAX_VALUE) {
      stopped = true;
      text.setLength(stop);
      int end = stop;
      tokens.removeIf(token -> token.offset >= end);
    }
    int end = all || stopped ? text.length() : text.length() - held;
    if (end <= released) {
      return "";
    }
    String piece = text.substring(released, end);
    released = end;
    return piece;
  }

  /** Returns the length of the longest end of the text that a stop text begins with. */
  private int begun(String stop) {
    for (int length = Math.min(stop.length() - 1, text.length()); length > 0; length--) {
      if (stop.startsWith(text.substring(text.length() - length))) {
        return length;
      }
    }
    return 0;
  }

  /** Returns true if a stop text has ended the text. */
  boolean stopped() {
    return stopped;
  }

  /** Returns the number of tokens that were generated for it, an end token included. */
  int count() {
    return count;
  }

  /** Returns the text so far. */
  String text() {
    return text.toString();
  }

  /** Returns the number of tokens whose text was handed out completely. */
  int certain() {
    int certain = 0;
    while (certain < tokens.size()
        && tokens.get(certain).offset + tokens.get(certain).text.length() <= released) {
      certain++;
    }
    return certain;
  }

  /** Returns the tokens of the text, without end tokens. */
  List<Token> tokens() {
    return tokens;
  }
}
