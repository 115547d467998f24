package dev.precis.cli.report;

import dev.precis.cli.page.Html;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Begins a page: what became better, by how much, and at what cost. */
public final class Headline {
  private static final Map<Result.Verdict, String> WORDS =
      Map.of(
          Result.Verdict.BETTER, "<b>Better.</b> ",
          Result.Verdict.WORSE, "<b>Worse.</b> ",
          Result.Verdict.UNCLEAR, "",
          Result.Verdict.LEVEL, "");

  private Headline() {}

  /**
   * Returns the beginning of a page as HTML.
   *
   * @param costs by name
   * @param notices sentences that a reader must not miss
   */
  public static String html(List<Result> results, Map<String, String> costs, List<String> notices) {
    StringBuilder html = new StringBuilder();
    if (!results.isEmpty()) {
      html.append("<ul class=\"results\">\n");
      results.forEach(result -> html.append(item(result)));
      html.append("</ul>\n");
    }
    for (String notice : notices) {
      html.append("<p class=\"warning\">").append(Html.text(notice)).append("</p>\n");
    }
    if (!costs.isEmpty()) {
      html.append("<dl class=\"costs\">\n");
      costs.forEach(
          (name, value) ->
              html.append(
                  "<div><dt>%s</dt><dd>%s</dd></div>\n"
                      .formatted(Html.text(name), Html.text(value))));
      html.append("</dl>\n");
    }
    return html.toString();
  }

  private static String item(Result result) {
    Result.Verdict verdict = result.verdict();
    return "<li class=\"%s\">%s%s.%s</li>\n"
        .formatted(
            verdict.name().toLowerCase(Locale.ROOT),
            WORDS.get(verdict),
            Html.text(result.sentence()),
            result.basis().isEmpty()
                ? ""
                : " <span class=\"basis\">Basis: " + Html.text(result.basis()) + ".</span>");
  }
}
