package dev.precis.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.tensor.DType;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.openjdk.jmh.annotations.Param;

/**
 * Runs every benchmark's check at its smallest shape, and verifies that the check can fail. Nothing
 * is timed.
 */
class BenchmarksTest {
  private static final List<Class<? extends KernelBenchmark<?>>> KERNELS =
      List.of(
          ActivationBenchmark.class,
          ActivationBackwardBenchmark.class,
          AdafactorBenchmark.class,
          AdamBenchmark.class,
          AddBenchmark.class,
          AddBiasBenchmark.class,
          AttentionBenchmark.class,
          AttentionBackwardBenchmark.class,
          AttentionDecodeBenchmark.class,
          BiasGradientBenchmark.class,
          ConvertBenchmark.class,
          DisentangledAttentionBenchmark.class,
          DistillationLossBenchmark.class,
          DropoutBenchmark.class,
          EmbeddingBenchmark.class,
          EmbeddingBackwardBenchmark.class,
          GaeBenchmark.class,
          LayerNormBenchmark.class,
          LayerNormBackwardBenchmark.class,
          LinearCrossEntropyBenchmark.class,
          LogProbabilityBenchmark.class,
          LoraBackwardCompositeBenchmark.class,
          LoraMatmulBenchmark.class,
          MatmulBenchmark.class,
          MatmulPackBenchmark.class,
          PpoLossBenchmark.class,
          ProcessLogitsBenchmark.class,
          RmsNormBenchmark.class,
          RmsNormBackwardBenchmark.class,
          SampleBenchmark.class,
          SgdBenchmark.class,
          SoftmaxBenchmark.class,
          SumOfSquaresBenchmark.class,
          TopKBenchmark.class,
          TransposePackedBenchmark.class,
          WeightGradientBenchmark.class,
          ZeroBenchmark.class);

  /** These benchmarks measure several operations, or none. */
  private static final Set<String> COMPOSITES = Set.of("gae", "lora_backward_composite");

  /** A benchmark's class and its parameters. */
  record Case(Class<? extends MeasuredBenchmark> type, Map<String, String> parameters) {
    KernelBenchmark<?> kernel() throws ReflectiveOperationException {
      KernelBenchmark<?> kernel = (KernelBenchmark<?>) benchmark();
      kernel.mostCopies = 2;
      return kernel;
    }

    MeasuredBenchmark benchmark() throws ReflectiveOperationException {
      MeasuredBenchmark benchmark = type.getDeclaredConstructor().newInstance();
      for (Map.Entry<String, String> each : parameters.entrySet()) {
        Parameters.set(benchmark, each.getKey(), each.getValue());
      }
      return benchmark;
    }

    Case with(String name, String value) {
      Map<String, String> changed = new TreeMap<>(parameters);
      changed.put(name, value);
      return new Case(type, changed);
    }

    @Override
    public String toString() {
      return type.getSimpleName() + parameters;
    }
  }

  /** Returns all combinations of a class's parameters, with the first shape only. */
  private static Stream<Case> cases(
      Class<? extends MeasuredBenchmark> type, List<String> providers) {
    List<Case> all = List.of(new Case(type, Map.of()));
    for (Class<?> c = type; c != Object.class; c = c.getSuperclass()) {
      for (var field : c.getDeclaredFields()) {
        Param param = field.getAnnotation(Param.class);
        if (param != null) {
          List<String> values =
              switch (field.getName()) {
                case "provider" -> providers;
                case "shape" -> List.of(param.value()[0]);
                default -> List.of(param.value());
              };
          all =
              all.stream()
                  .flatMap(before -> values.stream().map(v -> before.with(field.getName(), v)))
                  .toList();
        }
      }
    }
    return all.stream();
  }

  static Stream<Case> kernels() {
    return KERNELS.stream()
        .flatMap(
            type -> {
              List<String> providers = new ArrayList<>(List.of("precis", "java"));
              // The profile torch adds two, of which a process can load one.
              ServiceLoader.load(Provider.class).forEach(p -> providers.add(p.name()));
              providers.remove("idle");
              providers.remove(System.getenv("PRECIS_TORCH") == null ? "torch" : "torch-openblas");
              if (type == LoraMatmulBenchmark.class) {
                providers.add("unfused");
              }
              return cases(type, providers);
            })
        .filter(BenchmarksTest::hasKernels);
  }

  private static boolean hasKernels(Case c) {
    String dtype = c.parameters.getOrDefault("dtype", "float32");
    return Provider.named(c.parameters.get("provider"))
        .dtypes()
        .contains(DType.valueOf(dtype.toUpperCase(Locale.ROOT)));
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void resultIsThatOfTheReference(Case c) throws ReflectiveOperationException {
    KernelBenchmark<?> benchmark = c.kernel();
    benchmark.setUp();
    benchmark.run();
    benchmark.tearDown();
    assertTrue(benchmark.work().amount() > 0);
  }

  static Stream<Case> kernelsThatDoNothing() {
    return KERNELS.stream().flatMap(type -> cases(type, List.of("idle")));
  }

  @ParameterizedTest
  @MethodSource("kernelsThatDoNothing")
  void wrongResultIsRefused(Case c) throws ReflectiveOperationException {
    KernelBenchmark<?> benchmark = c.kernel();
    assertThrows(AssertionError.class, benchmark::setUp);
  }

  static Stream<Case> generation() {
    return cases(T5GenerateBenchmark.class, List.of())
        .map(c -> c.with("size", "tiny").with("shape", "3x9x5"));
  }

  @ParameterizedTest
  @MethodSource("generation")
  void generationIsThatOfTheReference(Case c) throws ReflectiveOperationException {
    T5GenerateBenchmark benchmark = (T5GenerateBenchmark) c.benchmark();
    benchmark.setUp();
    assertEquals(3, benchmark.generate().size());
    benchmark.tearDown();
  }

  static Stream<Case> requests() {
    return cases(T5RequestsBenchmark.class, List.of())
        .map(c -> c.with("size", "tiny").with("shape", "3x9x5").with("dtype", "float32"));
  }

  @ParameterizedTest
  @MethodSource("requests")
  void requestsThatShareABatchGetWhatEachGetsAlone(Case c) throws ReflectiveOperationException {
    T5RequestsBenchmark benchmark = (T5RequestsBenchmark) c.benchmark();
    benchmark.setUp();
    assertEquals(3, benchmark.generate().size());
    benchmark.tearDown();
  }

  static Stream<Case> training() {
    return cases(T5SftStepBenchmark.class, List.of())
        .map(c -> c.with("size", "tiny").with("shape", "3x9x5"));
  }

  @ParameterizedTest
  @MethodSource("training")
  void trainingStartsFromTheReferencesLoss(Case c) throws ReflectiveOperationException {
    T5SftStepBenchmark benchmark = (T5SftStepBenchmark) c.benchmark();
    benchmark.setUp();
    // Dropout makes each step's loss random, so that many are compared with many.
    double early = IntStream.range(0, 8).mapToDouble(i -> benchmark.step()).sum();
    IntStream.range(0, 32).forEach(i -> benchmark.step());
    double late = IntStream.range(0, 8).mapToDouble(i -> benchmark.step()).sum();
    assertTrue(late < early, late + " is not below " + early);
    benchmark.tearDown();
  }

  @Test
  void downcallsAreChecked() throws ReflectiveOperationException {
    Case only = cases(DowncallOverheadBenchmark.class, List.of()).findFirst().orElseThrow();
    DowncallOverheadBenchmark benchmark = (DowncallOverheadBenchmark) only.benchmark();
    benchmark.setUp();
    assertEquals(0, benchmark.downcall());
    benchmark.tearDown();
  }

  @Test
  void missingKernelsAndProvidersAreNamed() throws ReflectiveOperationException {
    Case int8 = new Case(MatmulBenchmark.class, Map.of("provider", "java", "dtype", "int8"));
    KernelBenchmark<?> benchmark = int8.with("shape", "1x8x8").kernel();
    var e = assertThrows(IllegalArgumentException.class, benchmark::setUp);
    assertEquals("java has no kernels for int8; choose another dtype.", e.getMessage());
    Case onGpu = new Case(ConvertBenchmark.class, Map.of("provider", "java", "device", "cuda"));
    e = assertThrows(IllegalArgumentException.class, onGpu.kernel()::setUp);
    assertEquals("java runs on the CPU only; choose device cpu.", e.getMessage());
    Case library = new Case(ConvertBenchmark.class, Map.of("provider", "cublaslt"));
    e = assertThrows(IllegalArgumentException.class, library.kernel()::setUp);
    assertTrue(e.getMessage().startsWith("There is no cuBLASLt"), e.getMessage());
    e = assertThrows(IllegalArgumentException.class, () -> Provider.named("torhc"));
    assertTrue(e.getMessage().contains("torhc"), e.getMessage());
  }

  /** Expects a benchmark for every operation that operations.h lists. */
  @Test
  void everyOperationHasItsBenchmark() throws IOException, ReflectiveOperationException {
    String header = Files.readString(Path.of("../native/src/operations.h"));
    Matcher list =
        Pattern.compile("#define PRECIS_FOR_EACH_OP\\(X\\)((?:.*\\\\\n)*.*)").matcher(header);
    assertTrue(list.find(), "operations.h has no list PRECIS_FOR_EACH_OP");
    Set<String> operations =
        Pattern.compile("X\\((\\w+)\\)")
            .matcher(list.group(1))
            .results()
            .map(match -> match.group(1))
            .collect(Collectors.toCollection(TreeSet::new));
    assertTrue(operations.size() > 30, operations.toString());
    Set<String> benchmarks = new TreeSet<>();
    for (Class<? extends KernelBenchmark<?>> type : KERNELS) {
      benchmarks.add(new Case(type, Map.of()).kernel().stem());
    }
    assertTrue(benchmarks.removeAll(COMPOSITES));
    assertEquals(operations, benchmarks);
  }

  /** A benchmark that the script does not know would never be in the table. */
  @Test
  void everyBenchmarkIsInTheScript() throws IOException {
    String script = Files.readString(Path.of("run"));
    for (Class<?> type : KERNELS) {
      String name = type.getSimpleName().replace("Benchmark", "");
      long mentions = Pattern.compile("\\b" + name + "\\b").matcher(script).results().count();
      assertTrue(mentions >= 2, name + " is not in both the usage and the runs of benchmarks/run.");
    }
  }

  /** A class that is not in this test would go unchecked. */
  @Test
  void everyBenchmarkIsInThisTest() throws IOException, URISyntaxException {
    Set<Class<?>> known =
        Set.of(
            T5GenerateBenchmark.class,
            T5RequestsBenchmark.class,
            T5SftStepBenchmark.class,
            DowncallOverheadBenchmark.class);
    Path classes =
        Path.of(MatmulBenchmark.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    try (var files = Files.list(classes.resolve("dev/precis/benchmarks"))) {
      assertEquals(
          Stream.concat(known.stream(), KERNELS.stream())
              .map(c -> c.getSimpleName() + ".class")
              .collect(Collectors.toSet()),
          files
              .map(file -> file.getFileName().toString())
              .filter(name -> name.endsWith("Benchmark.class"))
              .filter(name -> !name.matches("(Kernel|Measured|Optimizer)Benchmark.class"))
              .collect(Collectors.toSet()));
    }
  }
}
