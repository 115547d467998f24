package dev.precis.evaluation;

import java.util.HashMap;
import java.util.Map;
import java.util.function.Predicate;

/**
 * Strips the suffix of an English word: "generously" becomes "gener".
 *
 * <p>Porter: An algorithm for suffix stripping (Program 14(3), 1980), with the changes that NLTK
 * makes by default and that rouge_score therefore has. They are: a dozen irregular words, words of
 * one or two letters stay, "ies" and "ied" of four-letter words become "ie", step 1c looks at one
 * letter only, step 2 has "bli", "fulli" and "logi" and continues after "alli", and a word of a
 * vowel and a consonant counts as short.
 *
 * <p>A word is [C](VC)^m[V], where C is a run of consonants and V one of vowels; m is its measure.
 * A y is a vowel after a consonant.
 */
final class PorterStemmer {
  private static final Map<String, String> IRREGULAR = irregular();

  private static final Rule[] STEP_1A = {
    new Rule("sses", "ss"), new Rule("ies", "i"), new Rule("ss", "ss"), new Rule("s", ""),
  };

  private static final Rule[] STEP_2 = {
    measured("ational", "ate"),
    measured("tional", "tion"),
    measured("enci", "ence"),
    measured("anci", "ance"),
    measured("izer", "ize"),
    measured("bli", "ble"),
    measured("alli", "al"),
    measured("entli", "ent"),
    measured("eli", "e"),
    measured("ousli", "ous"),
    measured("ization", "ize"),
    measured("ation", "ate"),
    measured("ator", "ate"),
    measured("alism", "al"),
    measured("iveness", "ive"),
    measured("fulness", "ful"),
    measured("ousness", "ous"),
    measured("aliti", "al"),
    measured("iviti", "ive"),
    measured("biliti", "ble"),
    measured("fulli", "ful"),
    // The l is counted as the stem's, so that "geologi" is treated as "archaeologi" is.
    new Rule("logi", "log", stem -> measure(stem + "l") > 0),
  };

  private static final Rule[] STEP_3 = {
    measured("icate", "ic"),
    measured("ative", ""),
    measured("alize", "al"),
    measured("iciti", "ic"),
    measured("ical", "ic"),
    measured("ful", ""),
    measured("ness", ""),
  };

  private static final Rule[] STEP_4 = {
    dropped("al"),
    dropped("ance"),
    dropped("ence"),
    dropped("er"),
    dropped("ic"),
    dropped("able"),
    dropped("ible"),
    dropped("ant"),
    dropped("ement"),
    dropped("ment"),
    dropped("ent"),
    new Rule("ion", "", stem -> measure(stem) > 1 && (stem.endsWith("s") || stem.endsWith("t"))),
    dropped("ou"),
    dropped("ism"),
    dropped("ate"),
    dropped("iti"),
    dropped("ous"),
    dropped("ive"),
    dropped("ize"),
  };

  private PorterStemmer() {}

  /** A suffix, its replacement, and the condition on the stem before it. */
  private record Rule(String suffix, String replacement, Predicate<String> condition) {
    Rule(String suffix, String replacement) {
      this(suffix, replacement, stem -> true);
    }
  }

  private static Rule measured(String suffix, String replacement) {
    return new Rule(suffix, replacement, stem -> measure(stem) > 0);
  }

  private static Rule dropped(String suffix) {
    return new Rule(suffix, "", stem -> measure(stem) > 1);
  }

  private static Map<String, String> irregular() {
    Map<String, String> stems = new HashMap<>();
    stems.put("skies", "sky");
    stems.put("dying", "die");
    stems.put("lying", "lie");
    stems.put("tying", "tie");
    stems.put("innings", "inning");
    stems.put("outings", "outing");
    stems.put("cannings", "canning");
    for (String itself :
        new String[] {
          "sky", "news", "inning", "outing", "canning", "howe", "proceed", "exceed", "succeed"
        }) {
      stems.put(itself, itself);
    }
    return stems;
  }

  /**
   * Returns the stem of a word.
   *
   * @param word in lower case
   */
  static String stem(String word) {
    String irregular = IRREGULAR.get(word);
    if (irregular != null) {
      return irregular;
    }
    if (word.length() <= 2) {
      return word;
    }
    String stem = step2(step1c(step1b(step1a(word))));
    return step5b(step5a(apply(STEP_4, apply(STEP_3, stem))));
  }

  /** Strips plurals. */
  private static String step1a(String word) {
    if (word.endsWith("ies") && word.length() == 4) {
      return cut(word, 3) + "ie";
    }
    return apply(STEP_1A, word);
  }

  /** Strips past tenses and participles. */
  private static String step1b(String word) {
    if (word.endsWith("ied")) {
      return cut(word, 3) + (word.length() == 4 ? "ie" : "i");
    }
    if (word.endsWith("eed")) {
      return measure(cut(word, 3)) > 0 ? cut(word, 1) : word;
    }
    String stem;
    if (word.endsWith("ed") && hasVowel(cut(word, 2))) {
      stem = cut(word, 2);
    } else if (word.endsWith("ing") && hasVowel(cut(word, 3))) {
      stem = cut(word, 3);
    } else {
      return word;
    }
    if (stem.endsWith("at") || stem.endsWith("bl") || stem.endsWith("iz")) {
      return stem + "e";
    }
    char last = stem.charAt(stem.length() - 1);
    if (endsInDoubleConsonant(stem)) {
      return last == 'l' || last == 's' || last == 'z' ? stem : cut(stem, 1);
    }
    return measure(stem) == 1 && isShort(stem) ? stem + "e" : stem;
  }

  private static String step1c(String word) {
    boolean afterConsonant = word.endsWith("y") && word.length() > 2;
    afterConsonant = afterConsonant && consonants(word)[word.length() - 2];
    return afterConsonant ? cut(word, 1) + "i" : word;
  }

  private static String step2(String word) {
    boolean goesOn = word.endsWith("alli") && measure(cut(word, 4)) > 0;
    return apply(STEP_2, goesOn ? cut(word, 2) : word);
  }

  private static String step5a(String word) {
    if (!word.endsWith("e")) {
      return word;
    }
    String stem = cut(word, 1);
    int measure = measure(stem);
    return measure > 1 || measure == 1 && !isShort(stem) ? stem : word;
  }

  private static String step5b(String word) {
    return word.endsWith("ll") && measure(cut(word, 1)) > 1 ? cut(word, 1) : word;
  }

  /** Applies the first rule whose suffix the word has. */
  private static String apply(Rule[] rules, String word) {
    for (Rule rule : rules) {
      if (word.endsWith(rule.suffix)) {
        String stem = cut(word, rule.suffix.length());
        return rule.condition.test(stem) ? stem + rule.replacement : word;
      }
    }
    return word;
  }

  private static String cut(String word, int letters) {
    return word.substring(0, word.length() - letters);
  }

  /** Returns true for each letter that is a consonant. */
  private static boolean[] consonants(String word) {
    boolean[] consonants = new boolean[word.length()];
    for (int i = 0; i < consonants.length; i++) {
      consonants[i] =
          switch (word.charAt(i)) {
            case 'a', 'e', 'i', 'o', 'u' -> false;
            case 'y' -> i == 0 || !consonants[i - 1];
            default -> true;
          };
    }
    return consonants;
  }

  /** Returns the number of consonant runs after a vowel: m of [C](VC)^m[V]. */
  private static int measure(String word) {
    boolean[] consonants = consonants(word);
    int measure = 0;
    for (int i = 1; i < consonants.length; i++) {
      if (consonants[i] && !consonants[i - 1]) {
        measure++;
      }
    }
    return measure;
  }

  private static boolean hasVowel(String word) {
    for (boolean consonant : consonants(word)) {
      if (!consonant) {
        return true;
      }
    }
    return false;
  }

  private static boolean endsInDoubleConsonant(String word) {
    int last = word.length() - 1;
    return last >= 1 && word.charAt(last) == word.charAt(last - 1) && consonants(word)[last];
  }

  /**
   * Returns true for Porter's *o, as in "hop": consonant, vowel, consonant but w, x or y; or NLTK's
   * "at".
   */
  private static boolean isShort(String word) {
    boolean[] c = consonants(word);
    int n = c.length;
    if (n == 2) {
      return !c[0] && c[1];
    }
    return n >= 3 && c[n - 3] && !c[n - 2] && c[n - 1] && "wxy".indexOf(word.charAt(n - 1)) < 0;
  }
}
