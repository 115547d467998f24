package dev.precis.review.exchange;

import dev.precis.evaluation.FunctionWords;
import dev.precis.evaluation.SourceSentences;
import dev.precis.review.comparison.ComparisonItem;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Hides names, numbers and addresses in English texts, without a model: {@code [NAME1]}, {@code
 * [NUMBER]}, {@code [EMAIL]}, {@code [URL]}, {@code [ADDRESS]}. A name has the same number in the
 * dialogue and the summaries of an item.
 *
 * <p>A word is a name if it is a speaker's, or has a capital letter within a sentence, or begins a
 * sentence and stands in small letters nowhere in the project. That hides too much rather than too
 * little; names in small letters that are no speaker's are not found.
 */
final class TextMask {
  private static final Pattern WORD =
      Pattern.compile(
          "(?<![\\p{L}\\p{N}#\\[])\\p{L}[\\p{L}\\p{N}]*(?:-\\p{L}[\\p{L}\\p{N}]*){0,8}");

  private static final Pattern EMAIL =
      Pattern.compile("[\\w.+-]{1,64}@[\\w-]{1,63}(?:\\.[\\w-]{1,63}){1,6}");
  private static final Pattern URL = Pattern.compile("(?i)\\b(?:https?://|www\\.)\\S+");
  private static final Pattern ADDRESS =
      Pattern.compile(
          "\\b\\d{1,5}[A-Za-z]? (?:\\p{Lu}[\\p{L}'’.-]{0,40} ){1,4}"
              + "(?i:street|st|road|rd|avenue|ave|lane|ln|drive|dr|boulevard|blvd|square|way|court"
              + "|place|terrace|crescent|close|highway)\\b\\.?"
              + "|\\b\\p{L}{2,40}(?:straße|strasse|weg|platz|gasse|allee) \\d{1,5}[a-z]?\\b");

  /** Anything with a digit in it, but no tag such as #Person1#; and numbers in words. */
  private static final Pattern NUMBER =
      Pattern.compile(
          "(?<![\\p{L}\\p{N}#\\[])[+(]?(?:\\p{L}{1,20}-?)?\\p{Nd}"
              + "(?:[\\p{L}\\p{Nd}.,:/()-]{0,40}[\\p{L}\\p{Nd}%])?(?![#\\]])"
              + "|(?i)\\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen"
              + "|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|(?:twen|thir|for|fif|six"
              + "|seven|eigh|nine)ty(?:-\\p{L}{3,5})?|hundred|thousand|million|billion)\\b");

  /** Words with a capital letter that name no person or place. */
  private static final Set<String> NO_NAMES =
      Set.of(
          ("i monday tuesday wednesday thursday friday saturday sunday january february march april"
                  + " may june july august september october november december christmas easter"
                  + " english person speaker user assistant agent customer man woman")
              .split(" "));

  private final Set<String> smallWords = new HashSet<>();
  private final Map<String, String> names = new HashMap<>();

  TextMask(List<ComparisonItem> items) {
    for (ComparisonItem item : items) {
      texts(item).forEach(this::collectSmallWords);
    }
  }

  private static List<String> texts(ComparisonItem item) {
    List<String> texts = new ArrayList<>(List.of(item.dialogue()));
    item.texts().forEach(each -> texts.add(each.text()));
    return texts;
  }

  private void collectSmallWords(String text) {
    Matcher word = WORD.matcher(text);
    while (word.find()) {
      String found = word.group();
      if (found.equals(found.toLowerCase(Locale.ROOT))) {
        smallWords.add(found);
      }
    }
  }

  /** Masks the texts of one item. */
  final class OfItem {
    private final Set<String> speakers = new HashSet<>();
    private final Map<String, String> found = new LinkedHashMap<>();

    private OfItem(ComparisonItem item) {
      for (SourceSentences.Turn turn : SourceSentences.of(item.dialogue()).turns()) {
        Matcher word = WORD.matcher(turn.speaker());
        while (word.find()) {
          if (isPossibleName(word.group())) {
            speakers.add(small(word.group()));
          }
        }
      }
      for (String text : texts(item)) {
        Matcher word = WORD.matcher(text);
        while (word.find()) {
          if (isName(text, word)) {
            found.putIfAbsent(small(word.group()), "[NAME" + (found.size() + 1) + "]");
          }
        }
      }
    }

    private boolean isName(String text, Matcher word) {
      String small = small(word.group());
      if (!isPossibleName(word.group())) {
        return false;
      }
      if (speakers.contains(small)) {
        return true;
      }
      boolean capital = Character.isUpperCase(word.group().codePointAt(0));
      boolean shouted = word.group().equals(word.group().toUpperCase(Locale.ROOT));
      return capital && (!smallWords.contains(small) || !shouted && !begins(text, word.start()));
    }

    /** Returns a text of the item, or about it, without what is to be hidden. */
    String mask(String text) {
      String masked = EMAIL.matcher(text).replaceAll("[EMAIL]");
      masked = URL.matcher(masked).replaceAll("[URL]");
      masked = ADDRESS.matcher(masked).replaceAll("[ADDRESS]");
      masked = NUMBER.matcher(masked).replaceAll("[NUMBER]");
      return WORD.matcher(masked)
          .replaceAll(
              word -> {
                String small = small(word.group());
                String name = found.get(small);
                boolean capital = Character.isUpperCase(word.group().codePointAt(0));
                return Matcher.quoteReplacement(
                    name != null && (capital || speakers.contains(small)) ? name : word.group());
              });
    }
  }

  OfItem of(ComparisonItem item) {
    return new OfItem(item);
  }

  /** Returns the name that stands for an annotator. */
  String annotator(String name) {
    return names.computeIfAbsent(name, any -> "annotator-" + (names.size() + 1));
  }

  private static boolean isPossibleName(String word) {
    String small = small(word);
    return small.length() > 1 && !FunctionWords.contains(small) && !NO_NAMES.contains(small);
  }

  private static String small(String word) {
    return word.toLowerCase(Locale.ROOT);
  }

  /** Returns whether a word is the first of a sentence or of a line. */
  private static boolean begins(String text, int at) {
    int before = at - 1;
    while (before >= 0
        && text.charAt(before) != '\n'
        && (Character.isWhitespace(text.charAt(before))
            || "\"'“‘(*-".indexOf(text.charAt(before)) >= 0)) {
      before--;
    }
    return before < 0 || ".!?:\n".indexOf(text.charAt(before)) >= 0;
  }
}
