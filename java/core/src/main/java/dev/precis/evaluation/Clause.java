package dev.precis.evaluation;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A part of a summary's sentence that says something of one subject.
 *
 * @param speaker the subject, if it is a speaker of the dialogue; else null
 * @param text from the subject to the next one
 * @param begin where it begins in the summary
 * @param asks whether the subject asks, instead of saying something
 */
record Clause(String speaker, String text, int begin, boolean asks) {
  private static final Set<String> ASKING =
      Set.of("ask", "asks", "asked", "wonder", "wonders", "wondered", "inquires", "inquired");

  /** Words before a subject: the first of a sentence, or what joins two clauses. */
  private static final Pattern BEFORE_SUBJECT =
      Pattern.compile(
          "(?is)(.*[,;]|.*\\b(?:and|but|because|that|while|so|if|when|then|whether|why|how|where"
              + "|after|before|since|although|though|where|as|which|what|whom))?\\s*");

  /** Matches after a mention that is not a subject: its end, a possessive or a preposition. */
  private static final Pattern NO_SUBJECT =
      Pattern.compile(
          "(?is)(['’]s?\\b|\\s*(?:[,.;:!?]|$)|\\s+(?:to|of|with|in|on|at|by|about|for)\\b).*");

  private static final String AND = " and";

  /** Returns the clauses of a summary in order. */
  static List<Clause> all(SpokenWords spoken, String summary) {
    List<Clause> clauses = new ArrayList<>();
    int from = 0;
    for (String sentence : SentenceSplitter.split(summary)) {
      int begin = summary.indexOf(sentence, from);
      from = begin + sentence.length();
      split(spoken, sentence, begin, clauses);
    }
    return clauses;
  }

  private static void split(SpokenWords spoken, String sentence, int begin, List<Clause> clauses) {
    List<Integer> starts = new ArrayList<>();
    List<String> subjects = new ArrayList<>();
    for (String speaker : spoken.speakers()) {
      Matcher mention = Pattern.compile(Pattern.quote(speaker)).matcher(sentence);
      while (mention.find()) {
        if (!isJoined(spoken, sentence, mention)
            && BEFORE_SUBJECT.matcher(sentence.substring(0, mention.start())).matches()
            && !NO_SUBJECT.matcher(sentence.substring(mention.end())).matches()) {
          int at = 0;
          while (at < starts.size() && starts.get(at) < mention.start()) {
            at++;
          }
          starts.add(at, mention.start());
          subjects.add(at, speaker);
        }
      }
    }
    if (starts.isEmpty() || starts.getFirst() > 0) {
      starts.addFirst(0);
      subjects.addFirst(null);
    }
    for (int i = 0; i < starts.size(); i++) {
      int end = i + 1 < starts.size() ? starts.get(i + 1) : sentence.length();
      String text = sentence.substring(starts.get(i), end).strip();
      if (!text.isEmpty()) {
        clauses.add(
            new Clause(subjects.get(i), text, begin + starts.get(i), asks(subjects.get(i), text)));
      }
    }
  }

  /** Returns whether a mention is one of two subjects: what both do, neither does alone. */
  private static boolean isJoined(SpokenWords spoken, String sentence, Matcher mention) {
    String before = sentence.substring(0, mention.start()).stripTrailing();
    String after = sentence.substring(mention.end()).stripLeading();
    return before.endsWith(AND)
            && isSpeaker(spoken, before.substring(0, before.length() - AND.length()), true)
        || after.startsWith(AND.strip() + " ")
            && isSpeaker(spoken, after.substring(AND.length()), false);
  }

  private static boolean isSpeaker(SpokenWords spoken, String text, boolean atItsEnd) {
    String bare = text.strip();
    return spoken.speakers().stream()
        .anyMatch(each -> atItsEnd ? bare.endsWith(each) : bare.startsWith(each));
  }

  private static boolean asks(String speaker, String text) {
    if (speaker == null) {
      return false;
    }
    Matcher word = Pattern.compile("\\p{L}+").matcher(text.substring(speaker.length()));
    return word.find() && ASKING.contains(word.group().toLowerCase(java.util.Locale.ROOT));
  }

  /** Returns the stems of what is said, without the speakers' names. */
  Set<String> stems(SpokenWords spoken) {
    String without = text;
    for (String each : spoken.speakers()) {
      without = without.replace(each, " ");
    }
    return SpokenWords.stems(without);
  }
}
