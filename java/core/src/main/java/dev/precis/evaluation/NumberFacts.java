package dev.precis.evaluation;

import dev.precis.evaluation.Fact.Kind;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Looks up numbers, in digits or in words: "1,200" is "twelve hundred", "half past three" is 3:30,
 * and 4 pm is 16:00. One and two are left out where they are words: they count what nobody counted.
 */
final class NumberFacts {
  private static final Pattern TOKEN =
      Pattern.compile(
          "\\d{1,3}(?:,\\d{3}){1,6}(?:\\.\\d+)?|\\d+(?:[.:]\\d+)?|[\\p{L}]+(?:['’]\\p{L}+)?|\\S");
  private static final Pattern TAG = Pattern.compile("#[^#\\s]{1,40}#");
  private static final Map<String, Integer> UNITS = new HashMap<>();
  private static final Map<String, Integer> TENS = new HashMap<>();
  private static final Map<String, Long> SCALES =
      Map.of("hundred", 100L, "thousand", 1000L, "million", 1000000L, "billion", 1000000000L);

  static {
    String[] units =
        ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
                + " fifteen sixteen seventeen eighteen nineteen")
            .split(" ");
    for (int i = 0; i < units.length; i++) {
      UNITS.put(units[i], i);
    }
    String[] ordinals =
        ("third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth"
                + " fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth")
            .split(" ");
    for (int i = 0; i < ordinals.length; i++) {
      UNITS.put(ordinals[i], i + 3);
    }
    String[] tens = "twenty thirty forty fifty sixty seventy eighty ninety".split(" ");
    for (int i = 0; i < tens.length; i++) {
      TENS.put(tens[i], 10 * (i + 2));
      TENS.put(tens[i].replaceAll("y$", "ieth"), 10 * (i + 2));
    }
  }

  /**
   * A number of a text; an hour and its minutes are one of them, in minutes of half a day.
   *
   * @param otherwise what a time may be instead: "five thirty" is 530 too; else NaN
   */
  private record Number(
      double value, boolean isTime, double otherwise, String text, int begin, boolean inDigits) {

    static Number time(double minutes, String text, int begin, boolean inDigits) {
      return new Number(minutes, true, Double.NaN, text, begin, inDigits);
    }

    static Number count(double value, String text, int begin, boolean inDigits) {
      return new Number(value, false, Double.NaN, text, begin, inDigits);
    }
  }

  private record Token(String text, int begin) {
    boolean isDigits() {
      return Character.isDigit(text.charAt(0));
    }
  }

  private NumberFacts() {}

  /** Returns whether a word is a number. */
  static boolean isNumberWord(String word) {
    return UNITS.containsKey(word) || TENS.containsKey(word) || SCALES.containsKey(word);
  }

  static void find(String dialogue, String summary, List<Fact> facts) {
    Set<Double> values = new HashSet<>();
    Set<Double> times = new HashSet<>();
    for (Number said : numbers(dialogue)) {
      (said.isTime() ? times : values).add(said.value());
      if (!Double.isNaN(said.otherwise())) { // which equals itself in a set
        values.add(said.otherwise());
      }
      if (!said.isTime() && said.value() >= 1 && said.value() <= 12) {
        times.add(said.value() % 12 * 60); // "at four" is a time too
      }
    }
    for (Number number : numbers(summary)) {
      if (!number.inDigits() && !number.isTime() && number.value() <= 2) {
        continue;
      }
      boolean said =
          number.isTime()
              ? times.contains(number.value()) || values.contains(number.otherwise())
              : values.contains(number.value())
                  || times.contains(number.value() % 12 * 60) && number.value() <= 24;
      facts.add(
          new Fact(
              Kind.NUMBER,
              number.text(),
              number.begin(),
              said,
              said ? "" : "The dialogue never says " + number.text() + "."));
    }
  }

  private static List<Number> numbers(String text) {
    List<Token> tokens = new ArrayList<>();
    // The tags of speakers have numbers that count nothing.
    Matcher matcher =
        TOKEN.matcher(TAG.matcher(text).replaceAll(tag -> " ".repeat(tag.group().length())));
    while (matcher.find()) {
      tokens.add(new Token(matcher.group().toLowerCase(Locale.ROOT), matcher.start()));
    }
    List<Number> numbers = new ArrayList<>();
    for (int i = 0; i < tokens.size(); ) {
      i = read(text, tokens, i, numbers);
    }
    return numbers;
  }

  /** Reads a number that begins with a token, if one does, and returns the token behind it. */
  private static int read(String text, List<Token> tokens, int at, List<Number> numbers) {
    Token first = tokens.get(at);
    String word = first.text();
    if (word.equals("noon") || word.equals("midday") || word.equals("midnight")) {
      numbers.add(Number.time(0, word, first.begin(), false));
      return at + 1;
    }
    if (word.equals("dozen")) {
      numbers.add(Number.count(12, word, first.begin(), false));
      return at + 1;
    }
    if (word.equals("half") || word.equals("quarter")) {
      int end = relativeTime(text, tokens, at, word.equals("half") ? 30 : 15, at + 1, numbers);
      return end > 0 ? end : at + 1;
    }
    if (first.isDigits()) {
      return digits(text, tokens, at, numbers);
    }
    if (!UNITS.containsKey(word) && !TENS.containsKey(word)) {
      return at + 1;
    }
    double[] value = new double[1];
    int end = words(tokens, at, value);
    int minutes = (int) value[0];
    int relative = value[0] < 60 ? relativeTime(text, tokens, at, minutes, end, numbers) : 0;
    if (relative > 0) {
      return relative;
    }
    String its = text.substring(first.begin(), endOf(tokens.get(end - 1)));
    int clock = clock(tokens, end);
    if (clock > 0 && value[0] <= 12) {
      numbers.add(Number.time(value[0] % 12 * 60, its, first.begin(), false));
      return clock;
    }
    // "five thirty" is a time, and may be read as one.
    if (value[0] >= 1 && value[0] <= 12 && end < tokens.size()) {
      double[] more = new double[1];
      String next = tokens.get(end).text();
      if (TENS.containsKey(next) || UNITS.getOrDefault(next, 0) >= 10) {
        int after = words(tokens, end, more);
        if (more[0] < 60) {
          double time = value[0] % 12 * 60 + more[0];
          double otherwise = 100 * value[0] + more[0];
          numbers.add(new Number(time, true, otherwise, its, first.begin(), false));
          return after;
        }
      }
    }
    // "nineteen ninety" is a year.
    if (value[0] >= 13
        && value[0] <= 20
        && end < tokens.size()
        && TENS.containsKey(tokens.get(end).text())) {
      double[] more = new double[1];
      int after = words(tokens, end, more);
      numbers.add(Number.count(100 * value[0] + more[0], its, first.begin(), false));
      return after;
    }
    numbers.add(Number.count(value[0], its, first.begin(), false));
    return end;
  }

  /** Reads "ten to five" or "half past three"; returns 0 where it is neither. */
  private static int relativeTime(
      String text, List<Token> tokens, int begin, int minutes, int at, List<Number> numbers) {
    if (at + 1 >= tokens.size()) {
      return 0;
    }
    String way = tokens.get(at).text();
    boolean past = way.equals("past") || way.equals("after");
    if (!past && !way.equals("to")) {
      return 0;
    }
    Token hour = tokens.get(at + 1);
    int its =
        hour.isDigits() && hour.text().matches("\\d{1,2}")
            ? Integer.parseInt(hour.text())
            : UNITS.getOrDefault(hour.text(), 0);
    if (its < 1 || its > 12) {
      return 0;
    }
    double value = Math.floorMod(its * 60 + (past ? minutes : -minutes), 720);
    int from = tokens.get(begin).begin();
    numbers.add(Number.time(value, text.substring(from, endOf(hour)), from, false));
    return at + 2;
  }

  private static int endOf(Token token) {
    return token.begin() + token.text().length();
  }

  /** Returns the token behind "o'clock", "am" or "p.m.", or 0. */
  private static int clock(List<Token> tokens, int at) {
    if (at >= tokens.size()) {
      return 0;
    }
    String next = tokens.get(at).text().replace('’', '\'');
    if (next.equals("o'clock") || next.equals("am") || next.equals("pm")) {
      return at + 1;
    }
    boolean dotted =
        (next.equals("a") || next.equals("p"))
            && at + 2 < tokens.size()
            && tokens.get(at + 1).text().equals(".")
            && tokens.get(at + 2).text().equals("m");
    return dotted ? at + 3 : 0;
  }

  private static int digits(String text, List<Token> tokens, int at, List<Number> numbers) {
    Token token = tokens.get(at);
    String its = token.text();
    int colon = its.indexOf(':');
    int clock = clock(tokens, at + 1);
    if (colon > 0) {
      double hour = Double.parseDouble(its.substring(0, colon));
      double minutes = Double.parseDouble(its.substring(colon + 1));
      numbers.add(Number.time(hour % 12 * 60 + minutes, its, token.begin(), true));
      return Math.max(clock, at + 1);
    }
    double value = Double.parseDouble(its.replace(",", ""));
    if (clock > 0 && value <= 24) {
      int whole = (int) value;
      double minutes = Math.round((value - whole) * 100);
      numbers.add(Number.time(whole % 12 * 60 + minutes, its, token.begin(), true));
      return clock;
    }
    int end = at + 1;
    if (end < tokens.size() && SCALES.containsKey(tokens.get(end).text())) {
      value *= SCALES.get(tokens.get(end).text());
      end++;
    }
    numbers.add(Number.count(value, its, token.begin(), true));
    return end;
  }

  /** Reads "two hundred and fifty-three" and returns the token behind it. */
  private static int words(List<Token> tokens, int at, double[] value) {
    double total = 0;
    double current = 0;
    boolean unit = false;
    int i = at;
    while (i < tokens.size()) {
      String word = tokens.get(i).text();
      boolean joined = (word.equals("-") || word.equals("and")) && i > at && i + 1 < tokens.size();
      if (joined && continues(tokens.get(i - 1).text(), word, tokens.get(i + 1).text())) {
        i++;
        continue;
      }
      if (SCALES.containsKey(word)) {
        long scale = SCALES.get(word);
        if (scale == 100) {
          current = Math.max(current, 1) * 100;
        } else {
          total += Math.max(current, 1) * scale;
          current = 0;
        }
        unit = false;
      } else if (TENS.containsKey(word) && current % 100 == 0 && !unit) {
        current += TENS.get(word);
      } else if (UNITS.containsKey(word)
          && !unit
          && (current % 100 == 0 || current % 10 == 0 && UNITS.get(word) < 10)) {
        current += UNITS.get(word);
        unit = true;
      } else {
        break;
      }
      i++;
    }
    value[0] = total + current;
    return Math.max(i, at + 1);
  }

  private static boolean continues(String before, String joint, String after) {
    boolean number = UNITS.containsKey(after) || TENS.containsKey(after);
    return number && (joint.equals("-") ? TENS.containsKey(before) : SCALES.containsKey(before));
  }
}
