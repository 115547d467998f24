package dev.precis.text;

import dev.precis.io.BoundedRegex;
import dev.precis.io.InvalidInputException;
import dev.precis.io.JsonObject;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * A pattern of {@code tokenizer.json}: {@code {"String": ...}}, or {@code {"Regex": ...}} in
 * Oniguruma's syntax.
 *
 * <p>Java's syntax differs in places that give other matches without a word. {@link #translate}
 * takes what means the same in both once it is spelled out, and refuses the rest by name.
 */
final class TextPattern {
  private static final int MAX_LENGTH = 1_000;
  private static final int FLAGS = Pattern.UNICODE_CASE;

  private final String literal; // null: the regex counts
  private final Pattern regex;
  private final String where;

  private TextPattern(String literal, Pattern regex, String where) {
    this.literal = literal;
    this.regex = regex;
    this.where = where;
  }

  /** Reads the {@code pattern} of a part. */
  static TextPattern read(JsonObject part) {
    JsonObject pattern = part.object("pattern");
    boolean literal = pattern.has("String");
    if (literal == pattern.has("Regex")) {
      throw part.wrong("pattern", "an object with either \"String\" or \"Regex\"");
    }
    String text = pattern.text(literal ? "String" : "Regex");
    if (text.isEmpty() || text.length() > MAX_LENGTH) {
      throw new InvalidInputException(
          "%s must have from 1 to %d characters, but has %d"
              .formatted(pattern.where(), MAX_LENGTH, text.length()));
    }
    if (literal) {
      return new TextPattern(text, null, pattern.where());
    }
    Pattern regex;
    try {
      regex = Pattern.compile(translate(text, pattern.where()), FLAGS);
    } catch (PatternSyntaxException e) {
      throw new InvalidInputException(
          "%s is not a regular expression: %s".formatted(pattern.where(), e.getDescription()), e);
    } catch (StackOverflowError e) {
      throw new InvalidInputException(
          pattern.where() + " is nested too deeply; write a simpler expression", e);
    }
    TextPattern made = new TextPattern(null, regex, pattern.where());
    BoundedRegex.findAll(regex, "", pattern.where(), made::refuseEmpty);
    return made;
  }

  private void refuseEmpty(int start, int end) {
    if (start == end) {
      throw new InvalidInputException(
          where + " is a regular expression that matches the empty text; write one that does not");
    }
  }

  /**
   * Returns a text's matches and what is between them.
   *
   * @throws InvalidInputException if a match is empty, or the expression takes too long
   */
  Spans find(String text) {
    Spans spans = new Spans();
    if (literal != null) {
      int at = text.indexOf(literal);
      while (at >= 0) {
        spans.addMatch(at, at + literal.length());
        at = text.indexOf(literal, at + literal.length());
      }
    } else {
      BoundedRegex.findAll(
          regex,
          text,
          where,
          (start, end) -> {
            refuseEmpty(start, end);
            spans.addMatch(start, end);
          });
    }
    spans.finish(text.length());
    return spans;
  }

  /**
   * Spells an Oniguruma expression in Java's syntax. Groups, alternatives, look-around, quantifiers
   * and classes mean the same in both. The shorthands such as {@code \s} and {@code .} are spelled
   * out as classes, since Java's cover other characters.
   *
   * @throws InvalidInputException if something is in it that Java reads otherwise
   */
  static String translate(String regex, String where) {
    StringBuilder out = new StringBuilder();
    int classDepth = 0;
    int boundsEnd = -1; // index of the last } of a quantifier
    for (int i = 0; i < regex.length(); i++) {
      char c = regex.charAt(i);
      if (c == '\\') {
        if (++i == regex.length()) {
          throw unsupported("\\ at its end", where);
        }
        i = escape(regex, i, classDepth > 0, out, where);
      } else if (classDepth > 0) {
        if (c == '[') {
          throw unsupported("[ inside of a class", where);
        }
        if (c == '&' && regex.startsWith("&&", i)) {
          throw unsupported("&&", where);
        }
        classDepth -= c == ']' ? 1 : 0;
        out.append(c);
      } else if (c == '[') {
        classDepth++;
        out.append(c);
        if (regex.startsWith("^", i + 1)) {
          out.append('^');
          i++;
        }
        if (regex.startsWith("]", i + 1)) {
          throw unsupported("[]", where);
        }
      } else if (c == '.') {
        out.append("[^\\n]");
      } else if (c == '^' || c == '$') {
        throw unsupported(String.valueOf(c), where);
      } else if (c == '(' && regex.startsWith("(?", i)) {
        i = group(regex, i, out, where);
      } else if (c == '+' && i > 0 && boundsEnd == i - 1) {
        throw unsupported("}+", where); // a second quantifier there, a possessive one here
      } else {
        boundsEnd = c == '}' ? i : boundsEnd;
        out.append(c);
      }
    }
    return out.toString();
  }

  /** Copies the start of a group that is no plain one; returns the index of its last character. */
  private static int group(String regex, int start, StringBuilder out, String where) {
    for (String kind : new String[] {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:", "(?i)"}) {
      if (regex.startsWith(kind, start)) {
        out.append(kind);
        return start + kind.length() - 1;
      }
    }
    throw unsupported(regex.substring(start, Math.min(regex.length(), start + 4)), where);
  }

  /**
   * Spells out the escape whose letter is at {@code i}; returns the index of its last character.
   */
  private static int escape(String regex, int i, boolean inClass, StringBuilder out, String where) {
    char c = regex.charAt(i);
    String set =
        switch (c) {
          case 's', 'S' ->
              "\\t-\\r\\x20\\x{85}\\xA0\\x{1680}\\x{2000}-\\x{200A}"
                  + "\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}";
          case 'd', 'D' -> "\\p{Nd}";
          case 'w', 'W' -> "\\p{L}\\p{M}\\p{Nd}\\p{Pc}";
          default -> null;
        };
    if (set != null) {
      boolean negated = Character.isUpperCase(c);
      // Java's union of a class with a nested negated one is what the two say.
      out.append(negated ? "[^" : inClass ? "" : "[").append(set);
      out.append(negated || !inClass ? "]" : "");
      return i;
    }
    if (c == 'p' || c == 'P') {
      int end = regex.indexOf('}', i);
      String name = end < i + 3 ? "" : regex.substring(i + 2, end);
      boolean negated = name.startsWith("^") != (c == 'P');
      name = name.startsWith("^") ? name.substring(1) : name;
      if (!name.matches("[LMNPSZC]|L[ulmto]|M[nce]|N[dlo]|P[cdseifo]|S[mcko]|Z[slp]|C[cfosn]")) {
        if (!name.matches("Han|Hiragana|Katakana|Hangul|Latin|Greek|Cyrillic|Arabic|Hebrew|Thai")) {
          throw unsupported("\\" + c + "{" + name + "}", where);
        }
        name = "Is" + name;
      }
      out.append(negated ? "\\P{" : "\\p{").append(name).append('}');
      return end;
    }
    if ("nrtf".indexOf(c) >= 0 || c > ' ' && c < 0x7F && !Character.isLetterOrDigit(c)) {
      out.append('\\').append(c);
      return i;
    }
    if (c == ' ') {
      out.append("\\x20");
      return i;
    }
    throw unsupported("\\" + c, where);
  }

  private static InvalidInputException unsupported(String what, String where) {
    return new InvalidInputException(
        "%s is a regular expression with %s, which is not supported; write it another way"
            .formatted(where, what));
  }
}
