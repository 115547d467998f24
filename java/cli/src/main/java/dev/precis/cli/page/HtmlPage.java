package dev.precis.cli.page;

import dev.precis.io.FileDigest;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import tools.jackson.databind.node.ObjectNode;

/**
 * An HTML page in one file. It loads nothing, and its content security policy lets nothing run or
 * style it but its own script and style sheet, by their hashes.
 */
public final class HtmlPage {
  private final String title;
  private final StringBuilder body = new StringBuilder();

  /** Starts a page with a title, which is also its heading. */
  public HtmlPage(String title) {
    this.title = title;
  }

  /** Adds HTML in which all text from elsewhere is escaped. */
  public HtmlPage add(CharSequence html) {
    body.append(html);
    return this;
  }

  /** Adds a section with a heading; nothing for empty HTML. */
  public HtmlPage section(String heading, CharSequence html) {
    if (!html.isEmpty()) {
      body.append("<section>\n<h2>").append(Html.text(heading)).append("</h2>\n");
      body.append(html).append("</section>\n");
    }
    return this;
  }

  /** Adds a section that is folded; nothing for empty HTML. */
  public HtmlPage folded(String heading, CharSequence html) {
    return add(foldedHtml(heading, html));
  }

  /** Returns HTML that is folded under its heading; empty for empty HTML. */
  public static String foldedHtml(String heading, CharSequence html) {
    return html.isEmpty()
        ? ""
        : "<details><summary>%s</summary>\n%s</details>\n".formatted(Html.text(heading), html);
  }

  /** Adds a table of options, folded. */
  public HtmlPage options(ObjectNode options) {
    HtmlTable table = new HtmlTable("Options", false, List.of("option", "value"));
    FlatOptions.of(options).forEach((name, value) -> table.row(name, List.of(value)));
    return folded("Options", table.html());
  }

  /** Returns the page. */
  public String render() {
    String style = resource("report.css");
    String script = resource("report.js");
    return """
    <!doctype html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src '%s'; \
    style-src '%s'; img-src data:; base-uri 'none'; form-action 'none'">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>%s</title>
    <link rel="icon" href="data:,">
    <style>%s</style>
    </head>
    <body>
    <main>
    <h1>%s</h1>
    %s</main>
    <script>%s</script>
    </body>
    </html>
    """
        .formatted(
            hash(script), hash(style), Html.text(title), style, Html.text(title), body, script);
  }

  private static String hash(String text) {
    return "sha256-" + Base64.getEncoder().encodeToString(FileDigest.sha256().add(text).bytes());
  }

  private static String resource(String name) {
    try (InputStream in = HtmlPage.class.getResourceAsStream(name)) {
      if (in == null) {
        throw new IllegalStateException("The program lacks its own file " + name);
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
