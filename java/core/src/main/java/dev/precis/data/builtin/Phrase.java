package dev.precis.data.builtin;

import dev.precis.random.SplitMix64;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * A text with choices in it: {@code (a|b)} is one of them, {@code [a]} is there or not, {@code
 * {slot}} and {@code {a slot}} are a value without and with its article, {@code <name>} is a macro.
 */
sealed interface Phrase {
  /** The values that a phrase is filled from. */
  interface Values {
    /** Returns the value of a slot. */
    String slot(String name);

    /** Returns the phrase of a macro. */
    Phrase macro(String name);
  }

  /** Appends one of the texts that the phrase stands for. */
  void write(StringBuilder out, SplitMix64 random, Values values);

  /**
   * Returns one of the texts that the phrase stands for, with spaces and capital letters corrected.
   */
  default String text(SplitMix64 random, Values values) {
    StringBuilder out = new StringBuilder();
    write(out, random, values);
    return tidy(out);
  }

  /** Visits the names of all slots. */
  void slots(Consumer<String> visitor);

  /** Plain text. */
  record Literal(String text) implements Phrase {
    @Override
    public void write(StringBuilder out, SplitMix64 random, Values values) {
      out.append(text);
    }

    @Override
    public void slots(Consumer<String> visitor) {}
  }

  /** One after another. */
  record Sequence(List<Phrase> parts) implements Phrase {
    @Override
    public void write(StringBuilder out, SplitMix64 random, Values values) {
      parts.forEach(part -> part.write(out, random, values));
    }

    @Override
    public void slots(Consumer<String> visitor) {
      parts.forEach(part -> part.slots(visitor));
    }
  }

  /** One of several, all equally likely. */
  record Choice(List<Phrase> options) implements Phrase {
    @Override
    public void write(StringBuilder out, SplitMix64 random, Values values) {
      options.get(random.below(options.size())).write(out, random, values);
    }

    @Override
    public void slots(Consumer<String> visitor) {
      options.forEach(option -> option.slots(visitor));
    }
  }

  /** A value, perhaps with its article. */
  record Slot(String name, boolean article) implements Phrase {
    @Override
    public void write(StringBuilder out, SplitMix64 random, Values values) {
      String value = values.slot(name);
      if (article) {
        out.append(value.matches("(?i)([aeio]|um).*") ? "an " : "a ");
      }
      out.append(value);
    }

    @Override
    public void slots(Consumer<String> visitor) {
      visitor.accept(name);
    }
  }

  /** A phrase that has a name. */
  record Macro(String name) implements Phrase {
    @Override
    public void write(StringBuilder out, SplitMix64 random, Values values) {
      values.macro(name).write(out, random, values);
    }

    @Override
    public void slots(Consumer<String> visitor) {}
  }

  /**
   * Parses a phrase.
   *
   * @throws IllegalArgumentException if a bracket has no other half
   */
  static Phrase parse(String text) {
    Parser parser = new Parser(text);
    Phrase phrase = parser.choice();
    if (parser.at < text.length()) {
      throw new IllegalArgumentException("'%s' has one bracket too many".formatted(text));
    }
    return phrase;
  }

  /**
   * Leaves single spaces, none before punctuation, and a capital letter at the start of sentences.
   */
  private static String tidy(CharSequence text) {
    StringBuilder out = new StringBuilder();
    boolean begins = true;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      int last = out.length() - 1;
      if (c == ' ') {
        if (last >= 0 && out.charAt(last) != ' ') {
          out.append(c);
        }
        continue;
      }
      if (".,?!".indexOf(c) >= 0) {
        if (last >= 0 && out.charAt(last) == ' ') {
          out.setLength(last);
        }
        begins |= c != ',';
        out.append(c);
        continue;
      }
      boolean afterSpace = last < 0 || out.charAt(last) == ' ';
      out.append(begins && afterSpace ? Character.toUpperCase(c) : c);
      begins = false;
    }
    return out.toString().stripTrailing();
  }

  /** Recursive descent. */
  final class Parser {
    private final String text;
    private int at;

    private Parser(String text) {
      this.text = text;
    }

    private Phrase choice() {
      List<Phrase> options = new ArrayList<>();
      do {
        options.add(sequence());
      } while (skip('|'));
      return options.size() == 1 ? options.getFirst() : new Choice(options);
    }

    private Phrase sequence() {
      List<Phrase> parts = new ArrayList<>();
      while (at < text.length() && ")]|".indexOf(text.charAt(at)) < 0) {
        if (skip('(')) {
          parts.add(choice());
          expect(')');
        } else if (skip('[')) {
          parts.add(new Choice(List.of(new Literal(""), choice())));
          expect(']');
        } else if (skip('{')) {
          String name = until('}');
          boolean article = name.startsWith("a ");
          parts.add(new Slot(article ? name.substring(2) : name, article));
        } else if (skip('<')) {
          parts.add(new Macro(until('>')));
        } else {
          int start = at;
          while (at < text.length() && "()[]{}<>|".indexOf(text.charAt(at)) < 0) {
            at++;
          }
          if (start == at) {
            throw new IllegalArgumentException("'%s' has one bracket too many".formatted(text));
          }
          parts.add(new Literal(text.substring(start, at)));
        }
      }
      return new Sequence(parts);
    }

    private boolean skip(char c) {
      boolean there = at < text.length() && text.charAt(at) == c;
      at += there ? 1 : 0;
      return there;
    }

    private void expect(char c) {
      if (!skip(c)) {
        throw new IllegalArgumentException("'%s' has no %s where one is due".formatted(text, c));
      }
    }

    private String until(char end) {
      int start = at;
      at = text.indexOf(end, at) + 1;
      if (at == 0) {
        throw new IllegalArgumentException("'%s' has no %s where one is due".formatted(text, end));
      }
      return text.substring(start, at - 1);
    }
  }
}
