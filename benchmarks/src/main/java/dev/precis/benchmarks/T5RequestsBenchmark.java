package dev.precis.benchmarks;

import dev.precis.T5;
import dev.precis.generation.GeneratedTokens;
import dev.precis.generation.GenerationCall;
import dev.precis.generation.GenerationOptions;
import dev.precis.generation.GenerationRequest;
import dev.precis.tensor.DType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;

/**
 * Requests that share a batch, against the same sequences in one call: what concurrency, adapters
 * and samples of one prompt cost. The weights are random, and no sequence ends early.
 */
// A call takes a tenth of a second to a few seconds.
@OutputTimeUnit(TimeUnit.MILLISECONDS)
public class T5RequestsBenchmark extends MeasuredBenchmark {
  private static final int RANK = 32;

  /** The shape: sequences x source tokens x new tokens. */
  @Param("8x256x64")
  String shape;

  @Param("bfloat16")
  String dtype;

  /**
   * The requests: one call of all sources; as many threads with one source each; as many requests
   * with the same adapter, or each with its own; as many samples of one prompt, or of as many
   * copies of it.
   */
  @Param({"call", "threads", "adapter", "adapters", "samples", "copies"})
  String requests;

  /** The model's size: base, or tiny for tests. */
  @Param("base")
  String size;

  private T5 model;
  private ExecutorService callers;
  private List<int[]> sources;
  private GenerationOptions options;

  /** Makes a checkpoint and adapters, loads them and checks what is generated. */
  @Setup(Level.Trial)
  public void setUp() {
    RandomCheckpoint checkpoint = RandomCheckpoint.ofSize(size);
    checkpoint.use(folder -> model = load(checkpoint, folder));
    callers = Executors.newVirtualThreadPerTaskExecutor();
    SplittableRandom random = new SplittableRandom(1);
    sources =
        IntStream.range(0, size(0))
            .mapToObj(i -> random.ints(size(1), 3, checkpoint.vocabulary()).toArray())
            .toList();
    boolean sampled = requests.equals("samples") || requests.equals("copies");
    options =
        GenerationOptions.builder()
            .maxNewTokens(size(2))
            .minNewTokens(size(2))
            .sample(sampled)
            .topK(0)
            .build();
    verify();
  }

  private T5 load(RandomCheckpoint checkpoint, Path folder) {
    int adapters = requests.equals("adapters") ? size(0) : requests.equals("adapter") ? 1 : 0;
    Map<String, Path> named = new HashMap<>();
    for (int i = 0; i < adapters; i++) {
      Path adapter = folder.resolve("adapter-" + i);
      checkpoint.writeAdapter(adapter, RANK, i);
      named.put("" + i, adapter);
    }
    T5.LoadOptions load =
        new T5.LoadOptions()
            .device(device)
            .dtype(DType.valueOf(dtype.toUpperCase(Locale.ROOT)))
            .threads(threads)
            .maxBatchRows(size(0))
            .namedAdapters(named);
    return T5.load(folder, load);
  }

  /** Checks that no sequence ends early, and that the first and the last are what each is alone. */
  private void verify() {
    List<GeneratedTokens> all = generate();
    check(all.size() == size(0), all.size() + " sequences");
    for (GeneratedTokens each : all) {
      check(each.tokens().length == size(2), each.tokens().length + " tokens");
    }
    if (options.sample()) {
      return; // the tests of generation compare samples
    }
    for (int i : new int[] {0, size(0) - 1}) {
      int[] alone = model.submit(request(i), null, null).await().getFirst().getFirst().tokens();
      check(Arrays.equals(all.get(i).tokens(), alone), "sequence " + i + " differs from one alone");
    }
  }

  private GenerationRequest request(int i) {
    GenerationRequest request = GenerationRequest.of(sources.get(i), options);
    return switch (requests) {
      case "adapter" -> request.withAdapter("0");
      case "adapters" -> request.withAdapter("" + i);
      default -> request;
    };
  }

  /** Generates all sequences. */
  @Benchmark
  public List<GeneratedTokens> generate() {
    return switch (requests) {
      case "call" -> flat(model.generateTokens(sources, options, sources.size(), null));
      case "copies" -> {
        List<int[]> copies = IntStream.range(0, size(0)).mapToObj(i -> sources.getFirst()).toList();
        yield flat(model.generateTokens(copies, options, copies.size(), null));
      }
      case "samples" -> {
        GenerationOptions several = options.with().numReturnSequences(size(0)).build();
        yield flat(model.generateTokens(List.of(sources.getFirst()), several, 1, null));
      }
      case "threads" -> fromThreads();
      case "adapter", "adapters" -> submitted();
      default -> throw new IllegalArgumentException("No requests are called " + requests + ".");
    };
  }

  private static List<GeneratedTokens> flat(List<List<GeneratedTokens>> results) {
    return results.stream().flatMap(List::stream).toList();
  }

  private List<GeneratedTokens> submitted() {
    List<GenerationCall> calls = new ArrayList<>();
    for (int i = 0; i < size(0); i++) {
      calls.add(model.submit(request(i), null, null));
    }
    return calls.stream().map(call -> call.await().getFirst().getFirst()).toList();
  }

  private List<GeneratedTokens> fromThreads() {
    List<Callable<GeneratedTokens>> calls = new ArrayList<>();
    for (int[] source : sources) {
      calls.add(
          () -> model.generateTokens(List.of(source), options, 1, null).getFirst().getFirst());
    }
    List<GeneratedTokens> results = new ArrayList<>();
    try {
      for (Future<GeneratedTokens> each : callers.invokeAll(calls)) {
        results.add(each.resultNow());
      }
    } catch (InterruptedException e) {
      throw new IllegalStateException("The benchmark was interrupted.", e);
    }
    return results;
  }

  /** Closes the model. */
  @TearDown(Level.Trial)
  public void tearDown() {
    if (callers != null) {
      callers.close();
    }
    if (model != null) {
      model.close();
      model = null;
    }
  }

  @Override
  String op() {
    return "t5_requests/" + Parameters.get(this, "requests", "call");
  }

  @Override
  Work work() {
    return Work.counted((double) size(0) * size(2), "tokens/s");
  }
}
