package dev.precis.evaluation.safety;

import java.util.regex.Pattern;

/** Looks for phrases and numbers in a text as people write them. */
final class PhraseSearch {
  private static final Pattern NO_DIGIT = Pattern.compile("[^0-9]");

  /** Signs between the digits of a number: 555-0173, 1,200, (040) 17 22. */
  private static final String SIGNS = "[ ,./()-]{0,3}";

  private static final Pattern DENIAL =
      Pattern.compile("(?i)(?:\\bnot|\\bnever|\\bno|n['’]t)(?: (?:a|an|the|in|on))?$");

  /** The longest denial that {@link #DENIAL} matches, and a space. */
  private static final int DENIAL_LENGTH = 10;

  private PhraseSearch() {}

  /** Returns whether a text has a phrase as whole words, in capitals or not. */
  static boolean says(String text, String phrase) {
    return indexOf(text, phrase, 0) >= 0;
  }

  /** Returns whether a text has a phrase that no "not" stands before. */
  static boolean affirms(String text, String phrase) {
    for (int at = indexOf(text, phrase, 0); at >= 0; at = indexOf(text, phrase, at + 1)) {
      String before = text.substring(Math.max(0, at - DENIAL_LENGTH), at).stripTrailing();
      if (!DENIAL.matcher(before).find()) {
        return true;
      }
    }
    return false;
  }

  private static int indexOf(String text, String phrase, int from) {
    for (int at = from; at + phrase.length() <= text.length(); at++) {
      int end = at + phrase.length();
      if (text.regionMatches(true, at, phrase, 0, phrase.length())
          && (at == 0 || !Character.isLetterOrDigit(text.charAt(at - 1)))
          && (end == text.length() || !Character.isLetterOrDigit(text.charAt(end)))) {
        return at;
      }
    }
    return -1;
  }

  /**
   * Returns whether a text has a number, with any signs between its digits or none. A number
   * without digits is looked for as a phrase.
   */
  static boolean saysNumber(String text, String number) {
    String digits = NO_DIGIT.matcher(number).replaceAll("");
    if (digits.isEmpty()) {
      return says(text, number);
    }
    String spelled = String.join(SIGNS, digits.split(""));
    return Pattern.compile("(?<!\\d)" + spelled + "(?!\\d)").matcher(text).find();
  }
}
