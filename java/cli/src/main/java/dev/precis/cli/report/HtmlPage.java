package dev.precis.cli.report;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import tools.jackson.databind.node.ObjectNode;

/** One HTML page with charts that loads nothing from elsewhere when it is opened. */
public final class HtmlPage {
  private static final String UPLOT = "/META-INF/resources/webjars/uplot/1.6.30/dist/";

  private HtmlPage() {}

  /**
   * Renders a page.
   *
   * @param curves for each chart its title, steps and values
   * @param sections HTML in which all text from elsewhere is escaped
   * @param config shown as it is
   */
  public static String render(
      String title, ObjectNode curves, CharSequence sections, ObjectNode config) {
    return resource("/dev/precis/cli/report.html")
        .replace("<!--TITLE-->", escaped(title))
        .replace("/*STYLE*/", resource(UPLOT + "uPlot.min.css"))
        .replace("/*UPLOT*/", resource(UPLOT + "uPlot.iife.min.js"))
        .replace("/*DATA*/", inScript(curves.toString()))
        .replace("<!--SECTIONS-->", sections)
        .replace("<!--CONFIG-->", escaped(config.toPrettyString()));
  }

  /** Escapes JSON so that no tag in it can end the script that it stands in. */
  private static String inScript(String json) {
    return json.replace("<", "\\u003c");
  }

  /** Escapes text so that no tag can begin in it. */
  public static String escaped(String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
  }

  /** Returns a cell of a table with a text, whose line ends are kept. */
  public static String cell(String text) {
    return "<td>" + escaped(text).replace("\n", "<br>") + "</td>";
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
