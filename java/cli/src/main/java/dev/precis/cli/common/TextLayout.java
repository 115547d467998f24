package dev.precis.cli.common;

import java.util.ArrayList;
import java.util.List;

/** Lays text out in columns of plain characters. */
public final class TextLayout {
  private TextLayout() {}

  /**
   * Returns a text in lines of at most {@code width} characters, broken at spaces where there are
   * any.
   */
  public static List<String> wrap(String text, int width) {
    List<String> lines = new ArrayList<>();
    String rest = text.strip();
    while (rest.length() > width) {
      int space = rest.lastIndexOf(' ', width);
      int end = space > 0 ? space : width;
      lines.add(rest.substring(0, end).stripTrailing());
      rest = rest.substring(end).stripLeading();
    }
    lines.add(rest);
    return lines;
  }

  /** Returns a text in lines that are broken at spaces alone: a longer word stays whole. */
  public static List<String> wrapWords(String text, int width) {
    List<String> lines = new ArrayList<>();
    StringBuilder line = new StringBuilder();
    for (String word : text.strip().split(" +")) {
      if (!line.isEmpty() && line.length() + 1 + word.length() > width) {
        lines.add(line.toString());
        line.setLength(0);
      }
      line.append(line.isEmpty() ? "" : " ").append(word);
    }
    lines.add(line.toString());
    return lines;
  }

  /** Returns a line of the given width that begins with a title. */
  public static String title(String text, int width) {
    String title = "-- " + text + " ";
    return title + "-".repeat(Math.max(0, width - title.length()));
  }

  /** Returns a text in lines of at most {@code width} characters, to the right of its name. */
  public static List<String> hanging(String name, int nameWidth, String text, int width) {
    List<String> lines = new ArrayList<>();
    for (String part : wrap(text, width)) {
      String left = lines.isEmpty() ? name : "";
      int spaces = Math.max(1, nameWidth - left.length());
      lines.add((left + " ".repeat(spaces) + part).stripTrailing());
    }
    return lines;
  }

  /** Returns two columns with a bar between them. */
  public static String sideBySide(List<String> left, List<String> right, int width) {
    StringBuilder page = new StringBuilder();
    for (int i = 0; i < Math.max(left.size(), right.size()); i++) {
      String l = i < left.size() ? left.get(i) : "";
      String r = i < right.size() ? right.get(i) : "";
      page.append((l + " ".repeat(Math.max(0, width - l.length())) + " | " + r).stripTrailing());
      page.append('\n');
    }
    return page.toString();
  }
}
