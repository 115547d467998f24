package dev.precis.evaluation;

import dev.precis.evaluation.Fact.Kind;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Looks up names: words with a capital letter that are not merely first, and tags of speakers. */
final class NameFacts {
  private static final Pattern NAME =
      Pattern.compile("#[^#\\s]{1,40}#|\\p{Lu}[\\p{L}\\p{N}]*(?:['’.&-]\\p{L}+){0,8}");

  /** Words of a name that need not be said: its bearer may be called without them. */
  private static final Pattern TITLE = Pattern.compile("(?i)mr|mrs|ms|miss|dr|prof|sir|madam|st");

  /** Letters that two forms of a name have in common: China and Chinese, Mike and Michael. */
  private static final int COMMON_START = 4;

  private NameFacts() {}

  static void find(SpokenWords spoken, String summary, List<Fact> facts) {
    Matcher name = NAME.matcher(summary);
    while (name.find()) {
      String text = name.group();
      if (text.startsWith("#")) {
        boolean there = spoken.text().contains(text);
        facts.add(fact(text, name.start(), there));
        continue;
      }
      String bare = SpokenWords.bare(text);
      boolean plain =
          bare.length() < 2
              || FunctionWords.contains(bare)
              || TITLE.matcher(bare).matches()
              || NumberFacts.isNumberWord(bare)
              || begins(summary, name.start()) && !isKnownName(spoken, text);
      if (!plain) {
        facts.add(fact(text, name.start(), isSaid(spoken, bare)));
      }
    }
  }

  private static Fact fact(String text, int begin, boolean supported) {
    return new Fact(
        Kind.NAME,
        text,
        begin,
        supported,
        supported ? "" : "The dialogue never names " + text + ".");
  }

  /** Returns whether a word is the first of a sentence, where every word has a capital letter. */
  private static boolean begins(String summary, int at) {
    int before = at - 1;
    while (before >= 0
        && (Character.isWhitespace(summary.charAt(before))
            || "\"'“(".indexOf(summary.charAt(before)) >= 0)) {
      before--;
    }
    return before < 0 || ".!?:".indexOf(summary.charAt(before)) >= 0;
  }

  /** Returns whether the dialogue has the word with its capital letter and never without. */
  private static boolean isKnownName(SpokenWords spoken, String text) {
    return spoken.text().contains(text)
        && !spoken.text().contains(text.substring(0, 1).toLowerCase() + text.substring(1));
  }

  private static boolean isSaid(SpokenWords spoken, String bare) {
    for (String part : bare.split("[-&.']")) {
      if (part.length() > 1
          && !spoken.hasWord(part)
          && !(part.length() >= COMMON_START
              && spoken.hasWordFrom(part.substring(0, COMMON_START)))) {
        return spoken.hasWord(bare);
      }
    }
    return true;
  }
}
