package dev.precis.cli.card;

import dev.precis.io.Printable;
import java.util.List;
import java.util.stream.Collectors;

/** Text as Markdown, in which nothing that a file says can become a link, a picture or HTML. */
final class Markdown {
  private static final String SPECIAL = "\\`*_{}[]()<>#+!|~&$";

  private final StringBuilder text = new StringBuilder();

  /** Escapes a text; it becomes one line. */
  static String escape(String text) {
    StringBuilder escaped = new StringBuilder();
    Printable.line(text)
        .codePoints()
        .forEach(
            c -> {
              if (SPECIAL.indexOf(c) >= 0) {
                escaped.append('\\');
              }
              escaped.appendCodePoint(c);
            });
    return escaped.toString();
  }

  /** Shows a text as code. */
  static String code(String text) {
    String line = Printable.line(text).replace("|", "\\|");
    int run = 0;
    int longest = 0;
    for (int i = 0; i < line.length(); i++) {
      run = line.charAt(i) == '`' ? run + 1 : 0;
      longest = Math.max(longest, run);
    }
    String fence = "`".repeat(longest + 1);
    String space = line.startsWith("`") || line.endsWith("`") || line.isEmpty() ? " " : "";
    return fence + space + line + space + fence;
  }

  Markdown heading(int level, String escaped) {
    text.append("#".repeat(level)).append(' ').append(escaped).append("\n\n");
    return this;
  }

  Markdown paragraph(String escaped) {
    text.append(escaped).append("\n\n");
    return this;
  }

  /** Adds a list; nothing for an empty one. */
  Markdown list(List<String> escaped) {
    escaped.forEach(each -> text.append("- ").append(each).append('\n'));
    text.append(escaped.isEmpty() ? "" : "\n");
    return this;
  }

  /** Adds a table of escaped cells. */
  Markdown table(List<String> head, List<List<String>> rows) {
    row(head);
    row(head.stream().map(each -> "---").toList());
    rows.forEach(this::row);
    text.append('\n');
    return this;
  }

  private void row(List<String> cells) {
    text.append(cells.stream().collect(Collectors.joining(" | ", "| ", " |\n")));
  }

  /** Adds a table of names and values that opens on demand. */
  Markdown folded(String summary, List<List<String>> rows) {
    text.append("<details><summary>").append(summary).append("</summary>\n\n");
    table(List.of("option", "value"), rows);
    text.append("</details>\n\n");
    return this;
  }

  @Override
  public String toString() {
    return text.toString().stripTrailing() + "\n";
  }
}
