package dev.precis.tools;

import dev.precis.evaluation.SampleMoments;
import dev.precis.io.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Reads what {@code benchmarks/alignment-race} leaves, and makes a table and a plot of it.
 *
 * <p>Usage:
 *
 * <ul>
 *   <li>{@code AlignmentRace header}: prints the first line of the CSV
 *   <li>{@code AlignmentRace samples DIALOGUES RESULTS}: prints dialogues with the sampled
 *       summaries in the place of people's; empty ones are left out
 *   <li>{@code AlignmentRace row ALGORITHM SEED RUN}: prints the line of a run
 *   <li>{@code AlignmentRace report CSV SVG}: prints a table in Markdown and writes the plot
 * </ul>
 */
public final class AlignmentRace {
  /**
   * A measured number of a run: its name in the CSV, which has two columns where it is measured
   * before alignment too, its head in the table, and its digits there.
   */
  private enum Measure {
    SAMPLED_REWARD("sampled_reward", true, "reward of samples", 3),
    REWARD("reward", true, "reward", 3),
    TOXICITY("toxicity", true, "toxicity", 4),
    ROUGE_1("rouge1", true, "ROUGE-1", 3),
    ROUGE_L("rougeL", true, "ROUGE-L", 3),
    KL("kl_per_token", false, "KL, nats a token", 3),
    SECONDS("cpu_seconds", false, "CPU seconds", 0);

    final String name;
    final boolean compares;
    final String head;
    final int digits;

    Measure(String name, boolean compares, String head, int digits) {
      this.name = name;
      this.compares = compares;
      this.head = head;
      this.digits = digits;
    }

    String column(boolean before) {
      return compares ? name + (before ? "_before" : "_after") : name;
    }
  }

  private static final List<String> COLUMNS =
      Stream.concat(
              Stream.of("algorithm", "seed"),
              Arrays.stream(Measure.values())
                  .flatMap(each -> Stream.of(each.column(true), each.column(false)).distinct()))
          .toList();

  /**
   * The 97.5 % quantiles of Student's t distribution, of 1 degree of freedom and more; those of
   * above 30 are taken for 30's, which makes an interval wider by 4 % at most.
   */
  private static final double[] STUDENT = {
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042
  };

  /** A mean and half of its 95 % interval, NaN of a single value. */
  private record Estimate(double mean, double half) {
    static Estimate of(double[] values) {
      if (values.length < 2) {
        return new Estimate(SampleMoments.mean(values), Double.NaN);
      }
      double quantile = STUDENT[Math.min(values.length - 1, STUDENT.length) - 1];
      return new Estimate(
          SampleMoments.mean(values),
          quantile * SampleMoments.deviation(values) / Math.sqrt(values.length));
    }

    String text(int digits) {
      String number = "%." + digits + "f";
      return Double.isNaN(half)
          ? number.formatted(mean)
          : (number + " ± " + number).formatted(mean, half);
    }
  }

  /** The runs of one algorithm: the values of each column. */
  private record Runs(String algorithm, Map<String, double[]> columns) {
    Estimate of(Measure measure, boolean before) {
      return Estimate.of(columns.get(measure.column(before)));
    }

    Estimate change(Measure measure) {
      double[] before = columns.get(measure.column(true));
      double[] after = columns.get(measure.column(false));
      double[] change = new double[after.length];
      for (int i = 0; i < change.length; i++) {
        change[i] = after[i] - before[i];
      }
      return Estimate.of(change);
    }
  }

  private AlignmentRace() {}

  public static void main(String[] args) throws IOException {
    Locale.setDefault(Locale.ROOT);
    switch (args.length == 0 ? "" : args[0]) {
      case "header" -> System.out.println(String.join(",", COLUMNS));
      case "samples" -> samples(Path.of(args[1]), Path.of(args[2]));
      case "row" -> System.out.println(row(args[1], args[2], Path.of(args[3])));
      case "report" -> report(Path.of(args[1]), Path.of(args[2]));
      default -> throw new IllegalArgumentException("header, samples, row or report?");
    }
  }

  private static void samples(Path dialogues, Path results) throws IOException {
    Map<String, String> summaries = new LinkedHashMap<>();
    for (String line : Files.readAllLines(results)) {
      JsonNode result = Json.mapper().readTree(line);
      summaries.put(result.path("id").asString(), result.path("summary").asString());
    }
    for (String line : Files.readAllLines(dialogues)) {
      JsonNode dialogue = Json.mapper().readTree(line);
      String summary = summaries.get(dialogue.path("id").asString());
      if (summary == null || summary.isBlank()) {
        continue;
      }
      ObjectNode row = Json.mapper().createObjectNode();
      row.put("id", dialogue.path("id").asString());
      row.put("dialogue", dialogue.path("dialogue").asString());
      row.put("summary", summary);
      System.out.println(row);
    }
  }

  static String row(String algorithm, String seed, Path run) throws IOException {
    List<String> values = new ArrayList<>(List.of(algorithm, seed));
    add(values, run.resolve("samples/evaluation.json"), List.of("reward"));
    add(
        values,
        run.resolve("evaluation/evaluation.json"),
        List.of("reward", "toxicity", "rouge1", "rougeL"));
    JsonNode losses = read(run.resolve("divergence/evaluation.json")).path("candidates");
    double divergence =
        mean(losses.path(0).path("scores"), "token_loss")
            - mean(losses.path(1).path("scores"), "token_loss");
    values.add("%.6f".formatted(divergence));
    // The last line is "real user system", as Bash prints it, after the notes of the commands.
    Path file = run.resolveSibling(run.getFileName() + ".time");
    String[] times = Files.readAllLines(file).getLast().split(" ");
    double seconds = Double.parseDouble(times[1]) + Double.parseDouble(times[2]);
    values.add("%.1f".formatted(seconds));
    return String.join(",", values);
  }

  /** Appends measures of an evaluation, each before and after alignment. */
  private static void add(List<String> values, Path evaluation, List<String> names)
      throws IOException {
    JsonNode candidates = read(evaluation).path("candidates");
    for (String name : names) {
      for (int when = 0; when < 2; when++) {
        JsonNode scores = candidates.path(when).path("scores");
        double value =
            name.equals("reward")
                ? 1 - mean(scores, "toxicity") + 2 * mean(scores, "rouge1")
                : mean(scores, name);
        values.add("%.6f".formatted(value));
      }
    }
  }

  private static JsonNode read(Path file) throws IOException {
    return Json.mapper().readTree(Files.readString(file));
  }

  private static double mean(JsonNode scores, String name) {
    return scores.path(name).path("mean").asDouble();
  }

  // ------------------------------------------------------------------ the report

  private static void report(Path csv, Path svg) throws IOException {
    List<String> lines = Files.readAllLines(csv);
    System.out.print(table(lines));
    Files.writeString(svg, plot(runs(lines)));
  }

  /** Returns the table of a CSV: means over the seeds, and half of their 95 % intervals. */
  static String table(List<String> csv) {
    StringBuilder table = new StringBuilder("| algorithm | runs |");
    for (Measure measure : Measure.values()) {
      table.append(' ').append(measure.head).append(measure.compares ? " (change) |" : " |");
    }
    table.append("\n|---|---|").repeat("---|", Measure.values().length).append('\n');
    for (Runs runs : runs(csv)) {
      table.append("| ").append(runs.algorithm).append(" | ");
      table.append(runs.columns.get("seed").length).append(" |");
      for (Measure measure : Measure.values()) {
        table.append(' ').append(runs.of(measure, false).text(measure.digits));
        if (measure.compares) {
          table.append(" (").append(runs.change(measure).text(measure.digits)).append(')');
        }
        table.append(" |");
      }
      table.append('\n');
    }
    return table.toString();
  }

  private static List<Runs> runs(List<String> lines) {
    List<String> names = List.of(lines.getFirst().split(","));
    Map<String, List<double[]>> rows = new LinkedHashMap<>();
    for (String line : lines.subList(1, lines.size())) {
      String[] fields = line.split(",");
      double[] values = new double[fields.length];
      for (int i = 1; i < fields.length; i++) {
        values[i] = Double.parseDouble(fields[i]);
      }
      rows.computeIfAbsent(fields[0], name -> new ArrayList<>()).add(values);
    }
    List<Runs> all = new ArrayList<>();
    rows.forEach(
        (algorithm, values) -> {
          Map<String, double[]> columns = new LinkedHashMap<>();
          for (int i = 1; i < names.size(); i++) {
            int column = i;
            columns.put(names.get(i), values.stream().mapToDouble(each -> each[column]).toArray());
          }
          all.add(new Runs(algorithm, columns));
        });
    return all;
  }

  /** Two plots side by side: the reward and ROUGE-1 against the divergence, with 95 % intervals. */
  private static String plot(List<Runs> all) {
    StringBuilder svg =
        new StringBuilder(
            """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 400" font-family="sans-serif" font-size="12">
            <title>The reward and ROUGE-1 of each algorithm against its KL divergence, with 95 % intervals</title>
            <rect width="900" height="400" fill="white"/>
            """);
    panel(svg, all, Measure.SAMPLED_REWARD, 60);
    panel(svg, all, Measure.ROUGE_1, 510);
    return svg.append("</svg>\n").toString();
  }

  private static void panel(StringBuilder svg, List<Runs> all, Measure measure, int left) {
    int width = 360;
    int top = 40;
    int height = 300;
    Range x = Range.of(all, Measure.KL, false);
    Range y = Range.of(all, measure, true);
    text(
        svg,
        left + width / 2.0,
        20,
        "middle",
        measure.head + (measure == Measure.SAMPLED_REWARD ? "" : ", greedy decoding"));
    text(svg, left + width / 2.0, top + height + 45, "middle", "KL divergence, nats a token");
    svg.append(
        "<path d=\"M%d %dV%dH%d\" fill=\"none\" stroke=\"black\"/>%n"
            .formatted(left, top, top + height, left + width));
    for (int i = 0; i <= 4; i++) {
      double across = left + width * i / 4.0;
      double down = top + height - height * i / 4.0;
      text(svg, across, top + height + 18, "middle", "%.2f".formatted(x.at(i / 4.0)));
      text(svg, left - 6, down + 4, "end", "%.3f".formatted(y.at(i / 4.0)));
    }
    double before = top + height - height * y.place(all.getFirst().of(measure, true).mean);
    svg.append(
        "<path d=\"M%d %.1fH%d\" stroke=\"gray\" stroke-dasharray=\"4 4\"/>%n"
            .formatted(left, before, left + width));
    text(svg, left + width, before - 5, "end", "before alignment");
    for (int i = 0; i < all.size(); i++) {
      Estimate kl = all.get(i).of(Measure.KL, false);
      Estimate value = all.get(i).of(measure, false);
      String color = "hsl(%d 75%% 38%%)".formatted(i * 360 / all.size());
      double across = left + width * x.place(kl.mean);
      double down = top + height - height * y.place(value.mean);
      if (!Double.isNaN(value.half)) {
        svg.append(
            "<path d=\"M%.1f %.1fH%.1fM%.1f %.1fV%.1f\" stroke=\"%s\"/>%n"
                .formatted(
                    left + width * x.place(kl.mean - kl.half),
                    down,
                    left + width * x.place(kl.mean + kl.half),
                    across,
                    top + height - height * y.place(value.mean - value.half),
                    top + height - height * y.place(value.mean + value.half),
                    color));
      }
      svg.append(
          "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"/>%n".formatted(across, down, color));
      svg.append(
          "<text x=\"%.1f\" y=\"%.1f\" fill=\"%s\">%s</text>%n"
              .formatted(across + 6, down - 5, color, all.get(i).algorithm));
    }
  }

  private static void text(StringBuilder svg, double x, double y, String anchor, String text) {
    svg.append(
        "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>%n".formatted(x, y, anchor, text));
  }

  /** The part of an axis that is shown: all intervals, and a tenth more at each end. */
  private record Range(double low, double high) {
    static Range of(List<Runs> all, Measure measure, boolean before) {
      double low = Double.POSITIVE_INFINITY;
      double high = Double.NEGATIVE_INFINITY;
      for (Runs runs : all) {
        Estimate after = runs.of(measure, false);
        double half = Double.isNaN(after.half) ? 0 : after.half;
        low = Math.min(low, after.mean - half);
        high = Math.max(high, after.mean + half);
        if (before) {
          double start = runs.of(measure, true).mean;
          low = Math.min(low, start);
          high = Math.max(high, start);
        }
      }
      double margin = Math.max((high - low) / 10, 1e-3);
      return new Range(low - margin, high + margin);
    }

    double place(double value) {
      return (value - low) / (high - low);
    }

    double at(double place) {
      return low + place * (high - low);
    }
  }
}
