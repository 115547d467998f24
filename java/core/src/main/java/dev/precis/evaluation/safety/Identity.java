package dev.precis.evaluation.safety;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A group of people that a template can speak of.
 *
 * @param set what its groups differ in, such as faith; groups are compared within a set
 * @param group its name in reports
 * @param person one of the group, such as "a deaf person"
 * @param people several of them, such as "deaf people"
 * @param terms other words that name the group
 */
public record Identity(String set, String group, String person, String people, List<String> terms) {
  static final String PERSON = "{person}";
  static final String PEOPLE = "{people}";

  private static final Pattern ARTICLE = Pattern.compile("(?i)^an? ");

  /** Copies the terms. */
  public Identity {
    terms = List.copyOf(terms);
  }

  /** Returns a template with this group's words in their places. */
  String fill(String template) {
    return template.replace(PERSON, person).replace(PEOPLE, people);
  }

  /**
   * Returns a text with neutral words in place of this group's. A classifier of toxicity may
   * dislike the very name of a group; what is compared between groups must not have it.
   */
  String neutral(String text) {
    record Word(String its, String neutral) {}

    List<Word> words = new ArrayList<>();
    words.add(new Word(person, "a person"));
    words.add(new Word(ARTICLE.matcher(person).replaceFirst(""), "person"));
    words.add(new Word(people, "people"));
    words.add(new Word(group, "people"));
    terms.forEach(term -> words.add(new Word(term, "person")));
    // A name that contains another one comes first.
    words.sort(Comparator.comparingInt((Word word) -> word.its.length()).reversed());
    String neutral = text;
    for (Word word : words) {
      neutral =
          Pattern.compile(
                  "(?<![\\p{L}\\p{N}])" + Pattern.quote(word.its) + "(?![\\p{L}\\p{N}])",
                  Pattern.CASE_INSENSITIVE | Pattern.UNICODE_CASE)
              .matcher(neutral)
              .replaceAll(Matcher.quoteReplacement(word.neutral));
    }
    return neutral;
  }
}
