package dev.precis.cli.chart;

import dev.precis.cli.page.Html;
import dev.precis.cli.page.Numbers;
import java.util.List;
import java.util.Locale;
import java.util.stream.DoubleStream;

/**
 * A chart of curves over the same axes, as SVG inside a page. A curve has a color and a pattern of
 * dashes, so that curves are told apart in print too.
 */
public final class LineChart {
  private static final int WIDTH = 400;
  private static final int HEIGHT = 230;
  private static final int TOP = 10;
  private static final int BOTTOM = 40;
  private static final int RIGHT = 16;
  private static final double LETTER = 6.8;
  private static final int DOTTED = 40;
  private static final int COLORS = 8;

  private final String title;
  private final String xLabel;
  private final Axis xAxis;
  private final Axis yAxis;
  private final List<Series> series;

  private LineChart(String title, String xLabel, Axis xAxis, Axis yAxis, List<Series> series) {
    this.title = title;
    this.xLabel = xLabel;
    this.xAxis = xAxis;
    this.yAxis = yAxis;
    this.series = series;
  }

  /**
   * Draws curves over the steps of a run.
   *
   * @param mayBeLogarithmic whether the values have a log axis where they are far apart
   * @param series at least one has a point; those without are left out
   */
  public static LineChart overSteps(String title, boolean mayBeLogarithmic, List<Series> series) {
    return new LineChart(
        title,
        "step",
        Axis.ofSteps(all(series, true)),
        Axis.of(all(series, false), mayBeLogarithmic),
        series);
  }

  /** Draws curves over a quantity. */
  public static LineChart over(String xLabel, String title, List<Series> series) {
    return new LineChart(
        title,
        xLabel,
        Axis.of(all(series, true), false),
        Axis.of(all(series, false), false),
        series);
  }

  private static double[] all(List<Series> series, boolean x) {
    return series.stream()
        .flatMapToDouble(each -> DoubleStream.of(x ? each.x() : each.y()))
        .toArray();
  }

  /** Returns the chart as HTML: a figure with its caption. */
  public String html() {
    StringBuilder html = new StringBuilder("<figure>\n<figcaption>");
    html.append(Html.text(title));
    boolean alone = series.size() == 1;
    String note = note();
    if (!note.isEmpty()) {
      html.append(" <span class=\"note\">").append(Html.text(note)).append("</span>");
    }
    html.append("</figcaption>\n");
    if (!alone) {
      legend(html);
    }
    html.append(
        "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n"
            .formatted(WIDTH, HEIGHT, Html.text(description())));
    frame(html);
    for (int i = 0; i < series.size(); i++) {
      if (series.get(i).size() > 0) {
        curve(html, series.get(i), i % COLORS);
      }
    }
    return html.append("</svg>\n</figure>\n").toString();
  }

  private String note() {
    StringBuilder note = new StringBuilder();
    if (series.size() == 1) {
      note.append(extremes(series.getFirst()));
    }
    if (yAxis.logarithmic()) {
      note.append(note.isEmpty() ? "log axis" : "; log axis");
    }
    if (series.stream().anyMatch(Series::isNoisy)) {
      note.append(note.isEmpty() ? "thick: smoothed" : "; thick: smoothed");
    }
    return note.toString();
  }

  private String extremes(Series curve) {
    int n = curve.size();
    if (n == 1) {
      return "%s at %s %s".formatted(Numbers.of(curve.last()), xLabel, whole(curve.x()[0]));
    }
    int low = 0;
    int high = 0;
    for (int i = 1; i < n; i++) {
      low = curve.y()[i] < curve.y()[low] ? i : low;
      high = curve.y()[i] > curve.y()[high] ? i : high;
    }
    double lowest = curve.y()[low];
    double highest = curve.y()[high];
    if (lowest == highest) {
      return Numbers.of(lowest) + " throughout";
    }
    boolean atEnds =
        Math.min(curve.y()[0], curve.last()) == lowest
            && Math.max(curve.y()[0], curve.last()) == highest;
    return "from %s to %s%s"
        .formatted(
            Numbers.of(curve.y()[0]),
            Numbers.of(curve.last()),
            atEnds ? "" : ", between %s and %s".formatted(Numbers.of(lowest), Numbers.of(highest)));
  }

  private static String whole(double step) {
    return step == Math.rint(step) ? "%,.0f".formatted(step) : Numbers.of(step);
  }

  /** Describes the chart for those who do not see it. */
  private String description() {
    StringBuilder text = new StringBuilder(title);
    for (Series each : series) {
      if (each.size() > 0) {
        text.append(series.size() > 1 ? "; " + each.name() : "");
        text.append(": ").append(extremes(each));
      }
    }
    return text.toString();
  }

  private void legend(StringBuilder html) {
    html.append("<ul class=\"legend\">\n");
    for (int i = 0; i < series.size(); i++) {
      if (series.get(i).size() > 0) {
        html.append(
            "<li><svg viewBox=\"0 0 28 10\" aria-hidden=\"true\"><path class=\"curve c%d\" d=\"M0 5H28\"/></svg> %s <span class=\"note\">%s</span></li>\n"
                .formatted(
                    i % COLORS, Html.text(series.get(i).name()), Numbers.of(series.get(i).last())));
      }
    }
    html.append("</ul>\n");
  }

  private double left() {
    int longest = yAxis.ticks().stream().mapToInt(tick -> tick.label().length()).max().orElse(1);
    return 10 + LETTER * longest;
  }

  private double x(double value) {
    return left() + xAxis.at(value) * (WIDTH - RIGHT - left());
  }

  private double y(double value) {
    return HEIGHT - BOTTOM - yAxis.at(value) * (HEIGHT - BOTTOM - TOP);
  }

  private void frame(StringBuilder html) {
    for (Tick tick : yAxis.ticks()) {
      html.append(
          format(
              "<path class=\"grid\" d=\"M%.1f %.1fH%d\"/><text x=\"%.1f\" y=\"%.1f\""
                  + " text-anchor=\"end\">%s</text>%n",
              left(),
              y(tick.value()),
              WIDTH - RIGHT,
              left() - 5,
              y(tick.value()) + 4,
              tick.label()));
    }
    for (Tick tick : xAxis.ticks()) {
      html.append(
          format(
              "<path class=\"grid\" d=\"M%.1f %dV%d\"/><text x=\"%.1f\" y=\"%d\""
                  + " text-anchor=\"middle\">%s</text>%n",
              x(tick.value()),
              HEIGHT - BOTTOM,
              HEIGHT - BOTTOM + 4,
              x(tick.value()),
              HEIGHT - BOTTOM + 17,
              tick.label()));
    }
    html.append(
        format(
            "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>%n",
            (left() + WIDTH - RIGHT) / 2, HEIGHT - 6, Html.text(xLabel)));
  }

  private void curve(StringBuilder html, Series curve, int color) {
    if (curve.isNoisy()) {
      path(html, curve.thinned(), "curve raw c" + color);
      path(html, curve.smoothed().thinned(), "curve c" + color);
    } else {
      path(html, curve.thinned(), "curve c" + color);
    }
    for (int i = 0; curve.size() <= DOTTED && i < curve.size(); i++) {
      html.append(
          format(
              "<circle class=\"dot c%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"><title>%s %s:"
                  + " %s</title></circle>%n",
              color,
              x(curve.x()[i]),
              y(curve.y()[i]),
              Html.text(xLabel),
              whole(curve.x()[i]),
              Numbers.of(curve.y()[i])));
    }
  }

  private void path(StringBuilder html, Series curve, String kind) {
    html.append("<path class=\"").append(kind).append("\" d=\"");
    for (int i = 0; i < curve.size(); i++) {
      html.append(format("%s%.1f %.1f", i == 0 ? "M" : "L", x(curve.x()[i]), y(curve.y()[i])));
    }
    html.append("\"/>\n");
  }

  private static String format(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }
}
