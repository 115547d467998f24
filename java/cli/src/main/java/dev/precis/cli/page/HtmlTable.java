package dev.precis.cli.page;

import java.util.List;

/** A table of a page, in a frame that scrolls by itself where the screen is too narrow. */
public final class HtmlTable {
  private final StringBuilder html = new StringBuilder();

  /**
   * Starts a table.
   *
   * @param caption names the table for those who do not see it, and above it
   * @param numbers whether all but the first column are numbers, which are aligned
   * @param columns names of the columns
   */
  public HtmlTable(String caption, boolean numbers, List<String> columns) {
    html.append(
        "<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"%s\">\n<table%s>\n"
            .formatted(Html.text(caption), numbers ? " class=\"numbers\"" : ""));
    html.append("<caption>").append(Html.text(caption)).append("</caption>\n<thead><tr>");
    for (String column : columns) {
      // A header cell without a text would name nothing.
      html.append(
          column.isEmpty() ? "<td></td>" : "<th scope=\"col\">" + Html.text(column) + "</th>");
    }
    html.append("</tr></thead>\n<tbody>\n");
  }

  /** Adds a row; its cells are escaped. */
  public HtmlTable row(String name, List<String> cells) {
    html.append("<tr><th scope=\"row\">").append(Html.text(name)).append("</th>");
    cells.forEach(cell -> html.append("<td>").append(Html.text(cell)).append("</td>"));
    html.append("</tr>\n");
    return this;
  }

  /** Returns the table as HTML. */
  public String html() {
    return html + "</tbody>\n</table>\n</div>\n";
  }
}
