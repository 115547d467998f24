package dev.precis.cli.chart;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.StringReader;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;
import org.xml.sax.InputSource;

/** Charts as they are on a page, read as XML. */
final class LineChartTest {
  private static final double WIDTH = 400;
  private static final double HEIGHT = 230;

  private static Series series(double... values) {
    return new Series(
        "run", IntStream.rangeClosed(1, values.length).asDoubleStream().toArray(), values);
  }

  private static Document read(LineChart chart) throws Exception {
    return DocumentBuilderFactory.newInstance()
        .newDocumentBuilder()
        .parse(new InputSource(new StringReader(chart.html())));
  }

  private static List<Element> all(Document page, String tag) {
    NodeList found = page.getElementsByTagName(tag);
    return IntStream.range(0, found.getLength()).mapToObj(i -> (Element) found.item(i)).toList();
  }

  private static double number(Element element, String attribute) {
    return Double.parseDouble(element.getAttribute(attribute));
  }

  private static List<String> labels(Document page, String anchor) {
    return all(page, "text").stream()
        .filter(each -> each.getAttribute("text-anchor").equals(anchor))
        .map(Element::getTextContent)
        .toList();
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, 1, -3, 1e-5, 1e-300, Double.MIN_VALUE, 1e300, 12345.678})
  void onePointIsInTheMiddleOfAReadablePlot(double value) throws Exception {
    Document page =
        read(
            LineChart.overSteps(
                "Learning rate",
                true,
                List.of(new Series("run", new double[] {7}, new double[] {value}))));
    List<Element> points = all(page, "circle");
    assertEquals(1, points.size());
    assertEquals(HEIGHT / 2, number(points.getFirst(), "cy"), HEIGHT / 4);
    assertEquals(WIDTH / 2, number(points.getFirst(), "cx"), WIDTH / 4);
    assertTrue(labels(page, "end").size() >= 2, labels(page, "end").toString());
    assertEquals(List.of("6", "7", "8", "step"), labels(page, "middle"));
  }

  @ParameterizedTest
  @CsvSource({"0.5, 0.5", "1e-9, 1.0000000000001e-9", "-1e308, 1e308", "0, 1e-310"})
  void constantsAndExtremesStayInside(double first, double second) throws Exception {
    Document page = read(LineChart.overSteps("Loss", true, List.of(series(first, second, first))));
    assertEquals(3, all(page, "circle").size());
    for (Element point : all(page, "circle")) {
      assertTrue(number(point, "cy") >= 0 && number(point, "cy") <= HEIGHT - 40);
    }
    assertTrue(labels(page, "end").size() >= 2);
  }

  @Test
  void theLearningRateHasDifferentLabels() throws Exception {
    double[] warmup = IntStream.range(0, 50).mapToDouble(i -> 1.41e-5 * i / 49).toArray();
    List<String> labels =
        labels(read(LineChart.overSteps("Rate", false, List.of(series(warmup)))), "end");
    assertEquals(List.of("0", "5e-6", "1e-5"), labels);
  }

  @Test
  void aLogAxisWhereItHelps() throws Exception {
    LineChart wide = LineChart.overSteps("Loss", true, List.of(series(300, 20, 1.5, 0.9)));
    assertTrue(wide.html().contains("log axis"));
    assertTrue(labels(read(wide), "end").containsAll(List.of("1", "10", "100")));
    for (LineChart linear :
        List.of(
            LineChart.overSteps("Loss", true, List.of(series(3, 2, 1))),
            LineChart.overSteps("Loss", true, List.of(series(300, 0, 1))),
            LineChart.overSteps("Loss", false, List.of(series(300, 20, 1))))) {
      assertFalse(linear.html().contains("log axis"));
    }
  }

  @Test
  void curvesOfRunsHaveALegendAndDifferentColors() throws Exception {
    Series empty = new Series("none", new double[0], new double[0]);
    LineChart chart =
        LineChart.overSteps("Loss", true, List.of(series(3, 2), empty, series(4, 1, 0.5)));
    Document page = read(chart);
    assertEquals(2, all(page, "li").size(), "a run without points is left out");
    List<String> kinds =
        all(page, "path").stream()
            .map(each -> each.getAttribute("class"))
            .filter(kind -> kind.startsWith("curve"))
            .distinct()
            .toList();
    assertEquals(List.of("curve c0", "curve c2"), kinds);
  }

  @Test
  void longCurvesAreThinnedAndKeepTheirPeak() throws Exception {
    double[] values = new double[100_000];
    Arrays.setAll(values, i -> Math.sin(i / 1000.0));
    values[54_321] = 50;
    Arrays.setAll(values, i -> i % 2 == 0 ? values[i] : values[i] + 0.01);
    LineChart chart = LineChart.overSteps("Gradient norm", false, List.of(series(values)));
    assertTrue(chart.html().length() < 40_000, "" + chart.html().length());
    String raw =
        all(read(chart), "path").stream()
            .filter(each -> each.getAttribute("class").contains("raw"))
            .map(each -> each.getAttribute("d"))
            .findFirst()
            .orElseThrow();
    List<Double> heights = new ArrayList<>();
    for (String point : raw.substring(1).split("L")) {
      heights.add(Double.parseDouble(point.split(" ")[1]));
    }
    double top = heights.stream().mapToDouble(each -> each).min().orElseThrow();
    assertTrue(top < 25, "the peak is near the top: " + top);
    assertTrue(chart.html().contains("thick: smoothed"));
  }

  @Test
  void smoothingWeighsTheNewestMost() {
    double[] values = new double[200];
    Arrays.fill(values, 100, 200, 1);
    double[] smooth = series(values).smoothed().y();
    assertEquals(0, smooth[99]);
    // Half of the weight is on the last fiftieth, four steps.
    assertEquals(0.5, smooth[103], 1e-3);
    assertEquals(1, smooth[199], 1e-6);
  }

  @Test
  void namesAreEscaped() throws Exception {
    Series bad = new Series("<script>alert(1)</script>", new double[] {1}, new double[] {1});
    LineChart chart = LineChart.overSteps("\"><img src=x>", false, List.of(bad, bad));
    assertFalse(chart.html().contains("<script") || chart.html().contains("<img"));
    assertEquals(2, all(read(chart), "circle").size());
  }
}
