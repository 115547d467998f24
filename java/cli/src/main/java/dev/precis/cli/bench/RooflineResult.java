package dev.precis.cli.bench;

import dev.precis.cli.bench.RooflineMode.Sizes;
import dev.precis.ops.OpTimer;
import dev.precis.t5.T5Work.Amount;
import dev.precis.t5.T5Work.Part;
import dev.precis.tensor.DType;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** The measurements of a mode, and its floor. */
final class RooflineResult {
  /** The rest of a run's time when its operations are taken off. */
  static final String JAVA = "java";

  /**
   * A part of a run.
   *
   * @param seconds median of the timed operations; for Java, what is left of the run
   * @param floor the shortest time that its work can take; 0 where none is known
   * @param multiplications multiply-adds by the formulas
   * @param counted multiply-adds of the operations that ran
   * @param bytes by the formulas
   */
  record PartResult(
      String name,
      double seconds,
      double floor,
      double multiplications,
      double counted,
      double bytes) {}

  private final String name;
  private final DType dtype;
  private final Sizes sizes;
  private final Map<Part, Amount> work;
  private final long readBytes;
  private final long updateBytes;
  private final List<Double> samples = new ArrayList<>();
  private final Map<Part, List<OpTimer.Total>> totals = new EnumMap<>(Part.class);

  RooflineResult(RooflineMode mode) {
    name = mode.name();
    dtype = mode.dtype();
    sizes = mode.sizes();
    work = mode.work();
    readBytes = mode.readBytes();
    updateBytes = mode.updateBytes();
  }

  void addRun(double seconds) {
    samples.add(seconds);
  }

  void addProfile(Map<Part, OpTimer.Total> parts) {
    parts.forEach(
        (part, total) -> totals.computeIfAbsent(part, any -> new ArrayList<>()).add(total));
  }

  /** Returns a title such as {@code generate int8, batch 8}. */
  String title() {
    return "%s %s, batch %d".formatted(name, text(dtype), sizes.batch());
  }

  /** Returns the median time of a run. */
  double seconds() {
    return MachineRates.median(samples);
  }

  /** Returns the parts in a fixed order, those without operations left out; Java is last. */
  List<PartResult> parts(MachineRates rates) {
    List<PartResult> parts = new ArrayList<>();
    double timed = 0;
    for (Part part : Part.values()) {
      List<OpTimer.Total> each = totals.get(part);
      if (each == null) {
        continue;
      }
      double seconds = MachineRates.median(each.stream().map(OpTimer.Total::seconds).toList());
      timed += seconds;
      Amount amount = work.getOrDefault(part, new Amount(0, 0));
      parts.add(
          new PartResult(
              part.name().toLowerCase(Locale.ROOT),
              seconds,
              floor(part, amount, rates),
              amount.multiplications(),
              each.getFirst().multiplications(),
              amount.bytes()));
    }
    parts.add(new PartResult(JAVA, seconds() - timed, 0, 0, 0, 0));
    return parts;
  }

  /** Returns the larger of the times that the arithmetic and the bytes of a part need. */
  private double floor(Part part, Amount amount, MachineRates rates) {
    boolean products = part != Part.ATTENTION && part != Part.KV_READS;
    double rate = rates.arithmeticRate(products ? dtype : dtype.activations());
    double bandwidth =
        part == Part.UPDATE && updateBytes > 0
            ? rates.bandwidth("update", updateBytes)
            : rates.bandwidth("read", readBytes);
    return Math.max(2 * amount.multiplications() / rate, amount.bytes() / bandwidth);
  }

  /** Returns the shortest time of a run: its parts come one after the other. */
  static double floor(List<PartResult> parts) {
    return parts.stream().mapToDouble(PartResult::floor).sum();
  }

  static String text(DType dtype) {
    return dtype.name().toLowerCase(Locale.ROOT);
  }

  /** Adds the lines of the table for people. */
  void print(List<String> lines, MachineRates rates) {
    List<PartResult> parts = parts(rates);
    double floor = floor(parts);
    lines.add("");
    lines.add(
        String.format(
            Locale.ROOT,
            "%s: %.4f s, floor %.4f s, share %.0f %%",
            title(),
            seconds(),
            floor,
            100 * floor / seconds()));
    lines.add(
        String.format("  %-18s %10s %10s %7s %7s", "part", "seconds", "floor", "share", "of run"));
    for (PartResult part : parts) {
      lines.add(
          String.format(
              Locale.ROOT,
              "  %-18s %10.5f %10s %7s %6.0f%%",
              part.name.replace('_', ' '),
              part.seconds,
              part.floor == 0 ? "" : String.format(Locale.ROOT, "%.5f", part.floor),
              part.floor == 0
                  ? ""
                  : String.format(Locale.ROOT, "%.0f%%", 100 * part.floor / part.seconds),
              100 * part.seconds / seconds()));
    }
  }

  /** Writes the result into an object. */
  void write(ObjectNode json, MachineRates rates) {
    List<PartResult> parts = parts(rates);
    json.put("name", title());
    json.put("mode", name);
    json.put("dtype", text(dtype));
    json.put("batch", sizes.batch());
    json.put("source", sizes.source());
    json.put("target", sizes.target());
    if (!name.equals("generate")) {
      json.put("rank", sizes.rank());
    }
    if (name.equals("ppo")) {
      json.put("minibatch", sizes.miniBatch());
    }
    json.put("seconds", seconds());
    json.put("floor", floor(parts));
    json.put("share", floor(parts) / seconds());
    ArrayNode runs = json.putArray("samples");
    samples.forEach(runs::add);
    ArrayNode list = json.putArray("parts");
    for (PartResult part : parts) {
      ObjectNode node = list.addObject();
      Map<String, Double> numbers = new LinkedHashMap<>();
      numbers.put("seconds", part.seconds);
      numbers.put("floor", part.floor);
      numbers.put("multiplications", part.multiplications);
      numbers.put("counted", part.counted);
      numbers.put("bytes", part.bytes);
      node.put("part", part.name);
      numbers.forEach(node::put);
    }
  }
}
