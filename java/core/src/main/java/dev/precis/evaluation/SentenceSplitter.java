package dev.precis.evaluation;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * Splits a text into sentences. A sentence ends at the end of a line, and after a full stop,
 * question or exclamation mark (and the quotes or brackets that close with it) before a space and
 * anything but a small letter. The full stop of an abbreviation or an initial does not end a
 * sentence.
 */
final class SentenceSplitter {
  private static final Set<String> ABBREVIATIONS =
      Set.of(
          "mr", "mrs", "ms", "dr", "prof", "st", "jr", "sr", "vs", "no", "e.g", "i.e", "u.s",
          "u.k");

  private SentenceSplitter() {}

  /** Returns the sentences in order, without the spaces between them. */
  static List<String> split(String text) {
    List<String> sentences = new ArrayList<>();
    for (String line : text.split("\n")) {
      int start = 0;
      for (int i = 0; i < line.length(); i++) {
        if (".!?".indexOf(line.charAt(i)) < 0) {
          continue;
        }
        int end = i + 1;
        while (end < line.length() && ".!?\"')]”’".indexOf(line.charAt(end)) >= 0) {
          end++;
        }
        if (startsAnew(line, end) && !isAbbreviation(line, start, i)) {
          add(sentences, line.substring(start, end));
          start = end;
        }
        i = end - 1;
      }
      add(sentences, line.substring(start));
    }
    return sentences;
  }

  /** Returns true if a space and a possible begin of a sentence follow. */
  private static boolean startsAnew(String line, int end) {
    int next = end;
    while (next < line.length() && Character.isWhitespace(line.charAt(next))) {
      next++;
    }
    return next > end && next < line.length() && !Character.isLowerCase(line.charAt(next));
  }

  private static boolean isAbbreviation(String line, int start, int stop) {
    if (line.charAt(stop) != '.') {
      return false;
    }
    int word = stop;
    while (word > start && !Character.isWhitespace(line.charAt(word - 1))) {
      word--;
    }
    String before = line.substring(word, stop);
    boolean initial = before.length() == 1 && Character.isUpperCase(before.charAt(0));
    return initial && !before.equals("I")
        || ABBREVIATIONS.contains(before.toLowerCase(Locale.ROOT));
  }

  private static void add(List<String> sentences, String sentence) {
    if (!sentence.isBlank()) {
      sentences.add(sentence.strip());
    }
  }
}
