package dev.precis.data;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Printable;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Finds the columns of a row that hold the text and its summary: those that the options name, else
 * well-known names in a fixed order. Belongs to one reading of a file and says once what it found.
 */
final class ColumnNames {
  /** The standard names of the text; the first that is present counts. */
  static final List<String> STANDARD = List.of("dialogue", "text", "prompt");

  /** The standard names of the summaries. */
  static final List<String> SUMMARIES = List.of("summary", "summary1", "summary2", "summary3");

  static final List<String> CONVERSATIONS = List.of("messages", "conversations");

  /**
   * Two columns of published data sets.
   *
   * @param raw whether the text is a whole prompt, which no template is applied to
   */
  private record Pair(String text, String target, boolean raw) {}

  private static final List<Pair> PAIRS =
      List.of(
          new Pair("dialogue", "highlights", false),
          new Pair("dialogue", "response", false),
          new Pair("article", "highlights", false),
          new Pair("article", "summary", false),
          new Pair("article", "abstract", false),
          new Pair("document", "summary", false),
          new Pair("conversation", "summary", false),
          new Pair("transcript", "summary", false),
          new Pair("report", "summary", false),
          new Pair("description", "abstract", false),
          new Pair("instruction", "output", true),
          new Pair("instruction", "response", true),
          new Pair("prompt", "completion", true),
          new Pair("prompt", "response", true),
          new Pair("text", "headline", true),
          new Pair("text", "title", true),
          new Pair("source", "target", true),
          new Pair("src", "tgt", true),
          new Pair("inputs", "targets", true),
          new Pair("input_text", "target_text", true),
          new Pair("input", "output", true),
          new Pair("input", "target", true),
          new Pair("question", "answer", true),
          new Pair("query", "response", true));

  private static final Set<String> TEXTS =
      Stream.concat(STANDARD.stream(), PAIRS.stream().map(Pair::text))
          .collect(Collectors.toUnmodifiableSet());

  private static final Set<String> TARGETS =
      Stream.concat(SUMMARIES.stream(), PAIRS.stream().map(Pair::target))
          .collect(Collectors.toUnmodifiableSet());

  /**
   * The columns of a row.
   *
   * @param text the column of the text
   * @param context a second one, which is read after it, or null: Alpaca's {@code input}
   * @param raw whether the text is a whole prompt
   * @param targets the columns of the summaries
   */
  record Choice(String text, String context, boolean raw, List<String> targets) {}

  private final Columns named;
  private final DataListener listener;
  private final Map<String, String> found = new LinkedHashMap<>();
  private final Set<String> said = new LinkedHashSet<>();

  ColumnNames(Columns named, DataListener listener) {
    this.named = named;
    this.listener = listener;
  }

  /** Returns what was read from which column, where that is not the standard one. */
  Map<String, String> found() {
    return found;
  }

  /** Says something once. */
  void note(String sentence) {
    if (said.size() < 20 && said.add(sentence)) {
      listener.note(sentence);
    }
  }

  /** Returns the columns that the options name. */
  Columns named() {
    return named;
  }

  /** Returns true if a column of that name holds texts, in which an empty cell is an empty text. */
  boolean isText(String column) {
    return TEXTS.contains(Row.normal(column))
        || column.equals(named.dialogue())
        || column.equals(named.prompt());
  }

  /** Returns true if a column of that name is read. */
  boolean reads(String column) {
    String normal = Row.normal(column);
    return isText(column)
        || TARGETS.contains(normal)
        || column.equals(named.summary())
        || column.equals(named.chosen())
        || column.equals(named.rejected())
        || normal.equals("chosen")
        || normal.equals("rejected");
  }

  /**
   * Chooses the columns of a row.
   *
   * @param needsSummary whether columns that come with a summary go before others
   * @return null if the row has no text
   * @throws BadRowException if the row lacks a column that an option names
   * @throws InvalidInputException if several columns could be meant
   */
  Choice choose(Row row, boolean needsSummary) {
    Choice choice = chooseText(row, needsSummary);
    if (choice == null) {
      return null;
    }
    if (named.summary() != null) {
      choice =
          new Choice(
              choice.text,
              choice.context,
              choice.raw,
              List.of(required(row, named.summary(), "summary column")));
    }
    remember(row, choice);
    return choice;
  }

  private Choice chooseText(Row row, boolean needsSummary) {
    String explicit = named.dialogue() != null ? named.dialogue() : named.prompt();
    if (explicit != null) {
      boolean raw = named.prompt() != null;
      String column = required(row, explicit, raw ? "prompt column" : "dialogue column");
      return new Choice(column, null, raw, targets(row, column, needsSummary));
    }
    List<String> summaries = SUMMARIES.stream().filter(row::has).toList();
    boolean summarized = named.summary() != null || !summaries.isEmpty();
    for (String standard : STANDARD) {
      boolean complete = summarized || standard.equals("dialogue") || !needsSummary;
      if (row.has(standard) && complete) {
        return new Choice(
            standard,
            null,
            !standard.equals("dialogue"),
            summaries.isEmpty() ? targets(row, standard, needsSummary) : summaries);
      }
    }
    return wellKnown(row, needsSummary);
  }

  /** Tries columns in pairs, then alone. */
  private Choice wellKnown(Row row, boolean needsSummary) {
    Map<String, Pair> complete = new LinkedHashMap<>();
    Map<String, Pair> alone = new LinkedHashMap<>();
    for (Pair pair : PAIRS) {
      String text = row.find(pair.text);
      if (text == null || pair.text.equals("input") && row.find("instruction") != null) {
        continue;
      }
      alone.putIfAbsent(text, pair);
      if (named.summary() != null || row.find(pair.target) != null) {
        complete.putIfAbsent(text, pair);
      }
    }
    for (String standard : STANDARD) {
      String text = row.find(standard);
      if (text != null) {
        Pair pair = new Pair(standard, "summary", !standard.equals("dialogue"));
        alone.putIfAbsent(text, pair);
        if (SUMMARIES.stream().anyMatch(name -> row.find(name) != null)) {
          complete.putIfAbsent(text, pair);
        }
      }
    }
    String conversation =
        CONVERSATIONS.stream().map(row::find).filter(name -> name != null).findFirst().orElse(null);
    if (!complete.isEmpty()) {
      return of(row, only(row, complete), needsSummary);
    }
    if (conversation != null && (needsSummary || alone.isEmpty())) {
      return new Choice(conversation, null, true, List.of());
    }
    return alone.isEmpty() ? null : of(row, only(row, alone), needsSummary);
  }

  /** Returns the only pair, or the one with the dialogue. */
  private static Pair only(Row row, Map<String, Pair> pairs) {
    for (Pair pair : pairs.values()) {
      if (pair.text.equals("dialogue")) {
        return pair;
      }
    }
    if (pairs.size() > 1) {
      throw new InvalidInputException(
          "%s has several columns that could be the text: %s; name one with --dialogue-column (or --prompt-column for whole prompts)"
              .formatted(row.where(), shown(List.copyOf(pairs.keySet()))));
    }
    return pairs.values().iterator().next();
  }

  private Choice of(Row row, Pair pair, boolean needsSummary) {
    String text = row.find(pair.text);
    String context = pair.text.equals("instruction") ? row.find("input") : null;
    return new Choice(text, context, pair.raw, targets(row, text, needsSummary));
  }

  /** Returns the columns of the summaries that go with a text; none where there are none. */
  private static List<String> targets(Row row, String text, boolean needsSummary) {
    List<String> summaries =
        SUMMARIES.stream().map(row::find).filter(name -> name != null).toList();
    if (!summaries.isEmpty()) {
      return summaries;
    }
    String normal = Row.normal(text);
    List<String> partners = new ArrayList<>();
    boolean known = TEXTS.contains(normal);
    for (Pair pair : PAIRS) {
      String target = known && !pair.text.equals(normal) ? null : row.find(pair.target);
      if (target != null && !target.equals(text) && !partners.contains(target)) {
        partners.add(target);
      }
    }
    if (!known && partners.size() > 1 && needsSummary) {
      throw new InvalidInputException(
          "%s has several columns that could be the summary: %s; name one with --summary-column"
              .formatted(row.where(), shown(partners)));
    }
    return partners.isEmpty() ? List.of() : List.of(partners.getFirst());
  }

  /**
   * Returns the column that an option names.
   *
   * @param what the option, for the message
   * @throws BadRowException if the row does not have it
   */
  static String required(Row row, String column, String what) {
    String found = row.find(column);
    if (found == null) {
      throw BadRowException.unreadable(
          "%s has no \"%s\", which is to be the %s; its fields are: %s"
              .formatted(row.where(), Printable.of(column), what, row.fieldNames()));
    }
    return found;
  }

  private void remember(Row row, Choice choice) {
    boolean standard = STANDARD.contains(choice.text) && SUMMARIES.containsAll(choice.targets);
    if (standard && found.isEmpty()) {
      return;
    }
    String text = choice.text + (choice.context == null ? "" : " + " + choice.context);
    String targets = String.join(", ", choice.targets);
    boolean same =
        text.equals(found.put(choice.raw ? "prompt" : "dialogue", text))
            & (targets.isEmpty() || targets.equals(found.put("summary", targets)));
    if (!same) {
      note(
          "%s: \"%s\" is read as the %s%s."
              .formatted(
                  row.file(),
                  Printable.of(text),
                  choice.raw ? "prompt, without a template" : "dialogue",
                  targets.isEmpty() ? "" : ", \"" + Printable.of(targets) + "\" as the summary"));
    }
  }

  /** Returns the columns of a row's summaries; none where there are none. */
  List<String> summaries(Row row) {
    return named.summary() != null
        ? List.of(required(row, named.summary(), "summary column"))
        : SUMMARIES.stream().map(row::find).filter(name -> name != null).toList();
  }

  /** Remembers a column that is not the standard one, and says so. */
  void remember(Row row, String role, String column) {
    if (!column.equals(found.put(role, column))) {
      note("%s: \"%s\" is read as the %s.".formatted(row.file(), Printable.of(column), role));
    }
  }

  private static String shown(List<String> columns) {
    return columns.stream()
        .map(column -> "\"" + Printable.of(column) + "\"")
        .collect(Collectors.joining(" and "));
  }
}
