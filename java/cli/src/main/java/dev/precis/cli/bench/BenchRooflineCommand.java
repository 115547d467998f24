package dev.precis.cli.bench;

import dev.precis.cli.bench.MachineRates.Subject;
import dev.precis.cli.bench.RooflineMode.Sizes;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.ProcFile;
import dev.precis.cli.common.Version;
import dev.precis.device.DeviceInfo;
import dev.precis.device.DeviceOptions;
import dev.precis.io.AtomicFile;
import dev.precis.io.Json;
import dev.precis.ops.Ops;
import dev.precis.tensor.DType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

@Command(
    name = "roofline",
    header = "Measures this machine's ceilings, and how near to them the engine comes.",
    description = {
      "Measures the bandwidth of memory and the rate of float32, bfloat16 and int8 arithmetic by"
          + " every instruction set that the processor has, on one thread and on all.",
      "Then times generation (batch 1 and 8, in bfloat16, or float32 by --dtype, and in int8, and"
          + " batch 1 in int4), a step of LoRA and a step of PPO on a model of random weights:"
          + " base, or mini with --quick. For each it prints the floor, which is the time that its"
          + " operations and bytes need at these ceilings, the median time, the share (floor over"
          + " time), and the same for each part of it. The ceilings are measured again between the"
          + " runs, and their medians count, because a shared machine's change.",
      "The time of a part is that of its operations in runs of their own; java is what is left of"
          + " the run, negative where the noise is larger. A share above 100 %% means that the"
          + " machine was busier while a ceiling was measured.",
      "docs/roofline.md has the formulas. The machine should be idle."
    },
    footer = {
      "",
      "Examples:",
      "  precis bench roofline --quick               a small model, under a minute",
      "  precis bench roofline --threads 2 --json before.json",
      "  benchmarks/compare before.json after.json   what a change has brought"
    })
public final class BenchRooflineCommand extends BaseCommand {
  private static final int QUICK_SOURCE = 64;
  private static final int QUICK_TARGET = 16;
  private static final long QUICK_ARRAY = 64 << 20;
  private static final double QUICK_SECONDS = 0.02;
  private static final double SECONDS = 0.1;
  private static final RandomRewardModel.Shape QUICK_REWARD =
      new RandomRewardModel.Shape(128, 2, 2, 512);
  private static final int LARGE_BATCH = 8;
  private static final int MINI_BATCH = 4;
  private static final int RANK = 32;

  @Mixin private BenchModel.Size size = new BenchModel.Size();

  @Option(
      names = "--quick",
      description = {
        "Takes under a minute: a mini model, sources of 64 and targets of 16 tokens, a small reward"
            + " model, short measurements. Options that are given still count."
      })
  private boolean quick;

  @Option(
      names = "--json",
      paramLabel = "FILE",
      description = "Also writes everything that was measured, every sample, into this file.")
  private Path json;

  @Mixin private BenchOptions.SourceTokens source = new BenchOptions.SourceTokens();
  @Mixin private BenchOptions.NewTokens target = new BenchOptions.NewTokens();
  @Mixin private BenchOptions.Repeats repeats = new BenchOptions.Repeats();

  @Override
  public Integer call() {
    RandomT5.Size shape = size.of(this, quick ? RandomT5.Size.MINI : RandomT5.Size.BASE);
    if (common().loadsQuantized()) {
      throw usage("bench roofline measures int8 beside: --dtype must be float32 or bfloat16");
    }
    DType dtype = given("--dtype") ? common().trainingType() : DType.BFLOAT16;
    if (common().asksForGpu()) {
      throw usage(
          "bench roofline measures the processor: leave --device out; scripts/gpu-check measures a"
              + " GPU");
    }
    if (json != null) {
      // Said before minutes have passed.
      Path folder = json.toAbsolutePath().getParent();
      if (Files.isDirectory(json) || folder == null || !Files.isDirectory(folder)) {
        throw usage("--json must name a file in a folder that exists, not " + json);
      }
    }
    int sourceTokens = unlessQuick("--source", source.source(this), QUICK_SOURCE);
    int targetTokens = unlessQuick("--new", target.newTokens(this), QUICK_TARGET);
    int runs = repeats.repeats(this);
    DeviceInfo info;
    try (Ops ops = Ops.open(new DeviceOptions().device("cpu").threads(common().threads()))) {
      info = ops.device().info();
    }
    MachineRates rates =
        new MachineRates(info.threads(), info.cores(), quick ? QUICK_SECONDS : SECONDS);
    note("Measuring the ceilings");
    rates.measureAll(quick ? QUICK_ARRAY : Long.MAX_VALUE);
    Sizes one = new Sizes(1, sourceTokens, targetTokens, RANK, MINI_BATCH);
    Sizes many = new Sizes(LARGE_BATCH, sourceTokens, targetTokens, RANK, MINI_BATCH);
    RandomRewardModel.Shape reward = quick ? QUICK_REWARD : RandomRewardModel.Shape.BASE;
    int threads = info.threads();
    long seed = common().seed();
    List<RooflineResult> results = new ArrayList<>();
    try (RandomT5 model = new RandomT5(shape)) {
      List<Supplier<RooflineMode>> modes =
          List.of(
              () -> RooflineMode.generation(model, dtype, one, threads, seed),
              () -> RooflineMode.generation(model, dtype, many, threads, seed),
              () -> RooflineMode.generation(model, DType.INT8, one, threads, seed),
              () -> RooflineMode.generation(model, DType.INT8, many, threads, seed),
              () -> RooflineMode.generation(model, DType.INT4, one, threads, seed),
              () -> RooflineMode.lora(model, dtype, many, threads, seed),
              () -> RooflineMode.ppo(model, dtype, many, reward, threads, seed));
      for (Supplier<RooflineMode> each : modes) {
        try (RooflineMode mode = each.get()) {
          results.add(measure(mode, rates, runs));
        }
      }
    }
    List<String> lines = new ArrayList<>();
    lines.add(
        "%s, %s, %d thread%s"
            .formatted(cpu(), info.isa(), info.threads(), info.threads() == 1 ? "" : "s"));
    printCeilings(lines, rates);
    results.forEach(result -> result.print(lines, rates));
    if (json != null) {
      ObjectNode root = Json.mapper().createObjectNode();
      root.put("mode", "roofline");
      root.put("engine", "precis " + Version.number());
      root.put("cpu", cpu());
      root.put("isa", info.isa());
      root.put("threads", info.threads());
      root.put("cores", info.cores());
      root.put("size", shape.name().toLowerCase(Locale.ROOT));
      root.put("quick", quick);
      root.put("peak_mb", ProcFile.bytes("/proc/self/status", "VmHWM") >> 20);
      writeCeilings(root.putArray("ceilings"), rates);
      ArrayNode modes = root.putArray("modes");
      results.forEach(result -> result.write(modes.addObject(), rates));
      AtomicFile.writeText(
          json, Json.mapper().writerWithDefaultPrettyPrinter().writeValueAsString(root) + "\n");
    }
    lines.forEach(terminal()::println);
    return DONE;
  }

  /** Returns an option's value, or the quick mode's where it was not given. */
  private int unlessQuick(String option, int value, int quickValue) {
    return quick && !given(option) ? quickValue : value;
  }

  private RooflineResult measure(RooflineMode mode, MachineRates rates, int runs) {
    RooflineResult result = new RooflineResult(mode);
    note("Timing " + result.title());
    Runnable ceilings =
        () ->
            rates.measure(
                mode.dtype(), mode.dtype().activations(), mode.readBytes(), mode.updateBytes());
    mode.seconds(-1);
    for (int run = 0; run < runs; run++) {
      ceilings.run();
      result.addRun(mode.seconds(2 * run));
      ceilings.run();
      result.addProfile(mode.profile(2 * run + 1));
    }
    ceilings.run();
    return result;
  }

  private static String cpu() {
    return ProcFile.value("/proc/cpuinfo", "model name").orElse(System.getProperty("os.arch"));
  }

  private static void printCeilings(List<String> lines, MachineRates rates) {
    lines.add("");
    lines.add(
        String.format(
            "%-9s %7s %-13s %-28s %10s %14s",
            "kind", "threads", "set", "instruction", "array", ""));
    for (Map.Entry<Subject, List<Double>> each : rates.samples().entrySet()) {
      Subject subject = each.getKey();
      boolean memory = subject.loop().touchesMemory();
      lines.add(
          String.format(
              Locale.ROOT,
              "%-9s %7d %-13s %-28s %10s %8.1f %s",
              subject.loop().kind(),
              subject.threads(),
              subject.loop().set(),
              subject.loop().instruction(),
              memory ? bytes(subject.footprint()) : "",
              MachineRates.median(each.getValue()) / 1e9,
              memory ? "GB/s" : "Gop/s"));
    }
  }

  private static String bytes(long bytes) {
    return bytes < 1 << 20
        ? (bytes >> 10) + " KB"
        : String.format(Locale.ROOT, "%.1f MB", bytes / (double) (1 << 20));
  }

  private static void writeCeilings(ArrayNode list, MachineRates rates) {
    rates
        .samples()
        .forEach(
            (subject, samples) -> {
              ObjectNode node = list.addObject();
              node.put("threads", subject.threads());
              node.put("kind", subject.loop().kind());
              node.put("set", subject.loop().set());
              node.put("instruction", subject.loop().instruction());
              node.put("footprint", subject.footprint());
              node.put("rate", MachineRates.median(samples));
              node.put("unit", subject.loop().touchesMemory() ? "bytes/s" : "operations/s");
              ArrayNode values = node.putArray("samples");
              samples.forEach(values::add);
            });
  }
}
