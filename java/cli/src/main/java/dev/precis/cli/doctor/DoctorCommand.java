package dev.precis.cli.doctor;

import dev.precis.T5;
import dev.precis.checkpoint.WeightsCache;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.BuiltInModel;
import dev.precis.cli.common.Failures;
import dev.precis.cli.common.ProcFile;
import dev.precis.cli.common.TextLayout;
import dev.precis.cli.common.Version;
import dev.precis.cli.options.FileOptions;
import dev.precis.data.DialogueReader;
import dev.precis.device.DeviceInfo;
import dev.precis.device.DeviceOptions;
import dev.precis.device.GpuInfo;
import dev.precis.generation.GenerationOptions;
import dev.precis.hub.HubConfig;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.ops.Ops;
import dev.precis.ops.PackedMatrix;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import dev.precis.text.PromptTemplate;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(
    name = "doctor",
    header = "Checks this machine and explains what is missing.",
    description = {
      "Reports what of this machine is used and what is missing. A small matrix product and a"
          + " summary are computed and compared with their known results, on every GPU a"
          + " product.",
      "The exit code is 1 when something essential does not work."
    },
    footer = {"", "Examples:", "  precis doctor", "  precis doctor --threads 1 --json"})
public final class DoctorCommand extends BaseCommand {
  /** More than a machine has: it bounds the search where each fails in a way of its own. */
  private static final int MOST_GPUS = 64;

  @Mixin private FileOptions.JsonOutput output = new FileOptions.JsonOutput();

  /** The severity of a finding. */
  private enum Level {
    OK,
    /** Works, but can be improved; the finding says how. */
    NOTE,
    /** Does not work. */
    FAILED
  }

  private record Finding(String name, Level level, String text) {}

  private record Report(boolean ok, List<Line> findings) {}

  private record Line(String name, String level, String text) {}

  private final List<Finding> findings = new ArrayList<>();

  @Override
  public Integer call() {
    common().requireDevice();
    add("version", Level.OK, "precis " + Version.number());
    checkJava();
    checkEngine();
    checkMemory();
    checkWeightsCache();
    checkHub();
    boolean ok = findings.stream().noneMatch(finding -> finding.level == Level.FAILED);
    if (output.json()) {
      List<Line> lines =
          findings.stream()
              .map(f -> new Line(f.name, f.level.name().toLowerCase(Locale.ROOT), f.text))
              .toList();
      terminal().println(Json.mapper().writeValueAsString(new Report(ok, lines)));
    } else {
      findings.forEach(this::print);
      terminal()
          .println(ok ? "Everything works." : "Something does not work: see the lines with '!!'.");
    }
    return ok ? DONE : FAILED;
  }

  private void print(Finding finding) {
    String mark =
        switch (finding.level) {
          case OK -> "ok";
          case NOTE -> " -";
          case FAILED -> "!!";
        };
    List<String> lines = TextLayout.wrapWords(finding.text, 60);
    terminal().println("%s  %-13s %s".formatted(mark, finding.name, lines.getFirst()));
    lines.stream().skip(1).forEach(line -> terminal().println(" ".repeat(18) + line));
  }

  private void add(String name, Level level, String text) {
    findings.add(new Finding(name, level, text));
  }

  private void checkJava() {
    int feature = Runtime.version().feature();
    add(
        "java",
        feature == 25 ? Level.OK : Level.NOTE,
        "%s, %s, %s"
            .formatted(
                Runtime.version(),
                System.getProperty("java.vendor"),
                System.getProperty("java.home")));
    add(
        "java heap",
        Level.OK,
        "at most %s; PRECIS_JAVA_OPTS=-Xmx... changes that (weights are not on the heap)"
            .formatted(gigabytes(Runtime.getRuntime().maxMemory())));
  }

  private void checkEngine() {
    Path library;
    try {
      library = Ops.library();
    } catch (RuntimeException | LinkageError e) {
      add("library", Level.FAILED, Failures.of(e).sentence());
      return;
    }
    add("library", Level.OK, library.toString());
    try (Ops ops = Ops.open(new DeviceOptions().threads(common().threads()))) {
      DeviceInfo info = ops.device().info();
      add(
          "cpu",
          Level.OK,
          ProcFile.value("/proc/cpuinfo", "model name").orElse(System.getProperty("os.arch"))
              + ": "
              + info.features());
      add("kernels", Level.OK, info.isa());
      add(
          "threads",
          Level.OK,
          "%d, pinned to %s; %d processors are visible"
              .formatted(info.threads(), info.cores(), Runtime.getRuntime().availableProcessors()));
      String onednnError = info.onednnError().isEmpty() ? "" : " (" + info.onednnError() + ")";
      add(
          "onednn",
          info.onednn() ? Level.OK : Level.NOTE,
          info.onednn()
              ? info.onednnVersion() + ", " + info.onednnPath() + onednnError
              : "not used: the library's own matrix products replace it" + onednnError);
      check("product", () -> testProduct(ops));
    } catch (RuntimeException e) {
      add("threads", Level.FAILED, Failures.of(e).sentence());
      return;
    }
    check("summary", this::testSummary);
    checkGpus();
  }

  /** Checks the GPU that --device names, or every GPU. */
  private void checkGpus() {
    String wish = common().gpu();
    if (wish == null) {
      return;
    }
    boolean more = checkGpu(common().asksForGpu() ? wish : "cuda:0");
    for (int i = 1; more && !common().asksForGpu() && i < MOST_GPUS; i++) {
      more = checkGpu("cuda:" + i);
    }
  }

  /** Returns whether there is such a GPU. */
  private boolean checkGpu(String wish) {
    try (Ops ops = Ops.open(new DeviceOptions().device(wish).manyRows(true))) {
      GpuInfo gpu = ops.device().info().gpu();
      add(
          "gpu",
          Level.OK,
          "%d: %s, compute capability %d.%d, %s free of %s"
              .formatted(
                  gpu.index(),
                  gpu.name(),
                  gpu.computeCapability() / 10,
                  gpu.computeCapability() % 10,
                  gigabytes(gpu.freeBytes()),
                  gigabytes(gpu.bytes())));
      if (findings.stream().noneMatch(finding -> finding.name.equals("driver"))) {
        addLibraries(gpu);
      }
      String features = ops.device().info().features();
      if (!features.isEmpty()) {
        boolean wgmma = ops.device().info().isa().endsWith("a");
        add(
            "gpu kernels",
            wgmma ? Level.OK : Level.NOTE,
            features
                + (wgmma
                    ? ""
                    : "; matrix products of many rows reach about 60 % of the GPU's peak"));
      }
      check("gpu product", () -> testProduct(ops));
    } catch (InvalidInputException e) {
      boolean afterLast = !wish.endsWith(":0") && e.getMessage().contains("there is no GPU");
      if (afterLast && !common().asksForGpu()) {
        return false;
      }
      add(
          "gpu",
          common().asksForGpu() ? Level.FAILED : Level.NOTE,
          e.getMessage() + "; everything runs on the CPU");
      return false;
    } catch (RuntimeException e) {
      add("gpu", Level.FAILED, Failures.of(e).sentence());
    }
    return true;
  }

  /** Records what all GPUs share: the driver and cuBLASLt. */
  private void addLibraries(GpuInfo gpu) {
    add(
        "driver",
        Level.OK,
        "supports CUDA %d.%d".formatted(gpu.driver() / 1000, gpu.driver() % 1000 / 10));
    boolean found = !gpu.cublasltVersion().isEmpty();
    add(
        "cublaslt",
        found ? Level.OK : Level.NOTE,
        found
            ? gpu.cublasltVersion() + ", " + gpu.cublasltPath()
            : "not used: training is slower with the library's own matrix products ("
                + gpu.cublasltError()
                + "); without a CUDA toolkit it is in the jar"
                + " org.bytedeco:cuda:12.6-9.5-1.5.11:linux-x86_64-redist of Maven Central, see"
                + " benchmarks/README.md, and PRECIS_CUBLASLT names its location");
  }

  /** Records the result of a test, or its failure. */
  private void check(String name, Supplier<String> test) {
    try {
      add(name, Level.OK, test.get());
    } catch (RuntimeException | LinkageError e) {
      add(name, Level.FAILED, Failures.of(e).sentence());
    }
  }

  /** Computes y = x W' in small whole numbers, which are exact in every type. */
  private static String testProduct(Ops ops) {
    int m = 5;
    int k = 67;
    int n = 33;
    float[] x = new float[m * k];
    float[] w = new float[n * k];
    for (int i = 0; i < x.length; i++) {
      x[i] = i % 7 - 3;
    }
    for (int i = 0; i < w.length; i++) {
      w[i] = i % 5 - 2;
    }
    try (Arena arena = Arena.ofShared()) {
      Tensor y =
          Tensor.of(ops.device().allocateShared(arena, 4L * m * n), DType.FLOAT32, m, n)
              .sharedWith(ops.device());
      Tensor input = Tensor.of(ops.device().allocateShared(arena, 4L * m * k), DType.FLOAT32, m, k);
      input.memory().copyFrom(MemorySegment.ofArray(x));
      PackedMatrix packed =
          ops.pack(arena, DType.FLOAT32, List.of(Tensor.ofFloats(arena, w, n, k)));
      ops.matmul(input, packed, y, 1, false);
      for (int row = 0; row < m; row++) {
        for (int column = 0; column < n; column++) {
          float expected = 0;
          for (int i = 0; i < k; i++) {
            expected += x[row * k + i] * w[column * k + i];
          }
          if (y.get(row, column) != expected) {
            throw new IllegalStateException(
                "the matrix product is wrong: %s instead of %s at (%d, %d); please report this processor"
                    .formatted(y.get(row, column), expected, row, column));
          }
        }
      }
    }
    return "a (%d, %d) by (%d, %d) product is exact".formatted(m, k, k, n);
  }

  /** Checks that the built-in model generates the tokens that transformers generates. */
  private String testSummary() {
    int[] expected = BuiltInModel.expectedTokens();
    try (BuiltInModel builtIn = BuiltInModel.probe();
        T5 model = T5.load(builtIn.folder(), common().loadOptions().dtype(DType.FLOAT32))) {
      String dialogue = DialogueReader.read(builtIn.dialogues()).getFirst().dialogue();
      int[] tokens =
          model
              .generate(
                  PromptTemplate.DEFAULT.fill(dialogue),
                  GenerationOptions.builder().maxNewTokens(expected.length).build())
              .tokens();
      if (!Arrays.equals(tokens, expected)) {
        throw new IllegalStateException(
            "the built-in model generates unexpected tokens: "
                + Arrays.toString(tokens)
                + "; please report this processor");
      }
      return "the built-in model generates the expected %d tokens".formatted(tokens.length);
    }
  }

  private void checkMemory() {
    long total = ProcFile.bytes("/proc/meminfo", "MemTotal");
    long available = ProcFile.bytes("/proc/meminfo", "MemAvailable");
    if (total > 0) {
      String limit = ProcFile.firstLine("/sys/fs/cgroup/memory.max");
      boolean limited = limit.matches("\\d{1,18}") && Long.parseLong(limit) < total;
      add(
          "memory",
          Level.OK,
          "%s free of %s%s; float32 weights take 4 bytes a parameter, bfloat16 2, int8 1, int4 0.6"
              .formatted(
                  gigabytes(available),
                  gigabytes(total),
                  limited ? ", at most " + gigabytes(Long.parseLong(limit)) : ""));
    }
    String pages = ProcFile.firstLine("/sys/kernel/mm/transparent_hugepage/enabled");
    if (!pages.isEmpty()) {
      boolean never = pages.contains("[never]");
      add(
          "huge pages",
          never ? Level.NOTE : Level.OK,
          pages.replaceAll(".*\\[(.*)].*", "$1")
              + (never
                  ? ": loading weights is slower; as root: echo madvise >"
                      + " /sys/kernel/mm/transparent_hugepage/enabled"
                  : ""));
    }
  }

  private void checkWeightsCache() {
    check(
        "weights",
        () ->
            WeightsCache.of(terminal().environment())
                .map(
                    cache ->
                        "packed weights are cached in %s: %s of at most %s; PRECIS_WEIGHTS_CACHE=off or 40G changes that"
                            .formatted(
                                cache.folder(), gigabytes(cache.size()), gigabytes(cache.limit())))
                .orElse("packed at every start: PRECIS_WEIGHTS_CACHE is off"));
  }

  private void checkHub() {
    try {
      HubConfig hub = terminal().hubConfig();
      Path existing = hub.cache();
      while (!Files.exists(existing)) {
        existing = existing.getParent();
      }
      boolean writable = Files.isWritable(existing);
      add(
          "hub cache",
          writable ? Level.OK : Level.NOTE,
          hub.cache() + (writable ? "" : " is not writable; set HF_HOME to a folder that is"));
      HubCheck.Answer answer =
          hub.offline()
              ? new HubCheck.Answer(true, "is not asked: HF_HUB_OFFLINE is set (offline)")
              : HubCheck.ask(hub);
      add(
          "hub",
          answer.reached() ? Level.OK : Level.NOTE,
          "%s, %s token; it %s"
              .formatted(
                  hub.endpoint(), hub.token().isPresent() ? "with a" : "without a", answer.text()));
    } catch (RuntimeException e) {
      add("hub", Level.NOTE, Failures.of(e).sentence());
    }
  }

  private static String gigabytes(long bytes) {
    return String.format(Locale.ROOT, "%.1f GB", bytes / 1e9);
  }
}
