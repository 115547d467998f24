package dev.precis.evaluation;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A dialogue's sentences, with their speakers and the stems of their words. */
final class SpokenWords {
  /** A line that begins with its speaker, whose name is group 1; group 2 is what is said. */
  static final Pattern TURN = Pattern.compile("\\s*([#\\p{L}][^:\\n]{0,39}?)\\s*:\\s*(.*)");

  private static final Pattern WORD = Pattern.compile("[\\p{L}\\p{N}]+(?:['’]\\p{L}+)?");

  /** A sentence of a turn. */
  record Spoken(String speaker, String text, Set<String> stems) {
    boolean asks() {
      return text.endsWith("?");
    }
  }

  private final String text;
  private final List<Spoken> sentences = new ArrayList<>();
  private final Set<String> speakers = new LinkedHashSet<>();
  private final Map<String, Integer> counts = new HashMap<>();
  private final Set<String> words = new LinkedHashSet<>();

  SpokenWords(String dialogue) {
    text = dialogue;
    String speaker = "";
    for (String line : dialogue.split("\\R")) {
      Matcher turn = TURN.matcher(line);
      String said = line;
      if (turn.matches()) {
        speaker = turn.group(1);
        said = turn.group(2);
        if (!said.isBlank()) {
          speakers.add(speaker);
        }
      }
      for (String sentence : SentenceSplitter.split(said)) {
        Set<String> stems = stems(sentence);
        stems.forEach(stem -> counts.merge(stem, 1, Integer::sum));
        sentences.add(new Spoken(speaker, sentence, stems));
      }
    }
    Matcher word = WORD.matcher(dialogue);
    while (word.find()) {
      words.add(bare(word.group()));
    }
  }

  /** Returns the stems of a text's content words. */
  static Set<String> stems(String text) {
    Set<String> stems = new LinkedHashSet<>();
    Matcher word = WORD.matcher(text);
    while (word.find()) {
      String bare = bare(word.group());
      if (bare.length() > 1 && !FunctionWords.contains(bare)) {
        stems.add(PorterStemmer.stem(bare));
      }
    }
    return stems;
  }

  /** Returns a word in small letters without its possessive ending. */
  static String bare(String word) {
    String small = word.toLowerCase(Locale.ROOT).replace('’', '\'');
    return small.endsWith("'s") ? small.substring(0, small.length() - 2) : small;
  }

  String text() {
    return text;
  }

  List<Spoken> sentences() {
    return sentences;
  }

  Set<String> speakers() {
    return speakers;
  }

  /** Returns whether the dialogue has a word, in any spelling of its letters. */
  boolean hasWord(String bare) {
    return words.contains(bare);
  }

  /** Returns the words that begin with some letters. */
  boolean hasWordFrom(String start) {
    return words.stream().anyMatch(word -> word.startsWith(start));
  }

  /** Returns how much a stem tells: little if many sentences have it, nothing if none has. */
  double weight(String stem) {
    Integer count = counts.get(stem);
    return count == null ? 0 : 1.0 / (1 + Math.log(count));
  }
}
