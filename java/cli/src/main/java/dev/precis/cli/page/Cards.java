package dev.precis.cli.page;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * Examples as cards, a few at a time, with a search, a filter and pages; the script of the page
 * drives them. Without scripts, and in print, the first ones are there.
 *
 * @param remark a sentence above the cards
 * @param elsewhere a sentence that says where all examples are, for readers without scripts
 * @param together how many are shown at a time
 */
public record Cards(String remark, String elsewhere, int together, List<Card> cards) {
  /**
   * An example.
   *
   * @param title names it
   * @param note what is measured of it, in a few words; empty for nothing
   * @param tags what the filter finds it by
   * @param source the text that was summarized, which is folded; empty for none
   * @param entries what became of it
   */
  public record Card(
      String title, String note, List<String> tags, String source, List<Entry> entries) {}

  /**
   * A text of an example.
   *
   * @param name whose text it is
   * @param note what is measured of it; empty for nothing
   * @param html the text; all of it from elsewhere is escaped
   */
  public record Entry(String name, String note, String html) {
    /** Returns an entry with a text without marks. */
    public static Entry plain(String name, String note, String text) {
      return new Entry(name, note, Html.text(text));
    }
  }

  /** Returns the cards as HTML. */
  public String html() {
    List<String> tags = tags();
    StringBuilder html = new StringBuilder("<div data-cards=\"" + together + "\">\n");
    if (!remark.isEmpty()) {
      html.append("<p>").append(Html.text(remark)).append("</p>\n");
    }
    bar(html, tags);
    for (int i = 0; i < cards.size(); i++) {
      card(html, cards.get(i), tags, i >= together);
    }
    if (cards.size() > together) {
      html.append(
          "<noscript><p>%s</p></noscript>\n"
              .formatted(
                  Html.text(
                      "%d more examples are hidden, because this browser runs no scripts; %s"
                          .formatted(cards.size() - together, elsewhere))));
    }
    return html.append("</div>\n").toString();
  }

  private List<String> tags() {
    Set<String> tags = new LinkedHashSet<>();
    cards.forEach(card -> tags.addAll(card.tags));
    return new ArrayList<>(tags);
  }

  private static void bar(StringBuilder html, List<String> tags) {
    html.append(
        """
        <div class="bar" hidden>
        <label>Search <input type="search"></label>
        <label>Show <select>
        <option value="">all examples</option>
        """);
    for (int i = 0; i < tags.size(); i++) {
      html.append("<option value=\"%d\">%s</option>\n".formatted(i, Html.text(tags.get(i))));
    }
    html.append(
        """
        </select></label>
        <button type="button">Previous</button>
        <button type="button">Next</button>
        <output></output>
        </div>
        """);
  }

  private static void card(StringBuilder html, Card card, List<String> tags, boolean hidden) {
    List<String> places = card.tags.stream().map(tag -> "" + tags.indexOf(tag)).toList();
    html.append(
        "<article data-tags=\"%s\"%s>\n<h3>%s</h3>\n"
            .formatted(String.join(" ", places), hidden ? " hidden" : "", Html.text(card.title)));
    if (!card.note.isEmpty()) {
      html.append("<p class=\"note\">").append(Html.text(card.note)).append("</p>\n");
    }
    if (!card.source.isEmpty()) {
      html.append(
          "<details><summary>The dialogue</summary>\n<p class=\"text\" dir=\"auto\">%s</p></details>\n"
              .formatted(Html.text(card.source)));
    }
    html.append("<dl>\n");
    for (Entry entry : card.entries) {
      html.append("<div><dt>").append(Html.text(entry.name));
      if (!entry.note.isEmpty()) {
        html.append(" <span class=\"note\">").append(Html.text(entry.note)).append("</span>");
      }
      html.append(
          "</dt>\n<dd class=\"text\" dir=\"auto\">%s</dd></div>\n"
              .formatted(entry.html.isBlank() ? "<i>(empty)</i>" : entry.html));
    }
    html.append("</dl>\n</article>\n");
  }
}
