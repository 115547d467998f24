package dev.precis;

import static dev.precis.Generated.assertSame;
import static dev.precis.Generated.source;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.generation.BatchLoad;
import dev.precis.generation.GeneratedTokens;
import dev.precis.generation.GenerationCall;
import dev.precis.generation.GenerationOptions;
import dev.precis.generation.GenerationRequest;
import dev.precis.generation.TokenRules;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Requests of many threads share a batch, and each gets what it gets alone. */
@Timeout(600)
class BatchingTest {
  private static final Path TINY = Fixtures.folder("t5-tiny");
  private static final Map<String, Path> ADAPTERS =
      Map.of("a", Fixtures.folder("t5-tiny-lora-after20"), "b", Fixtures.folder("t5-tiny-lora"));
  private static final int REQUESTS = 1000;

  /** Takes minutes. */
  private static final GenerationOptions ENDLESS =
      GenerationOptions.builder().maxNewTokens(1 << 14).minNewTokens(1 << 14).build();

  /** One thread: many tests share a machine, and the threads of a tiny product wait a lot. */
  private static T5.LoadOptions options() {
    return new T5.LoadOptions().threads(1);
  }

  /** The kinds of options that requests have. */
  private static GenerationOptions options(int kind) {
    GenerationOptions.Builder options = GenerationOptions.builder().maxNewTokens(4 + kind % 13);
    switch (kind % 7) {
      case 0 -> options.minNewTokens(4);
      case 1 -> options.sample(true).seed(kind).topK(0);
      case 2 -> options.sample(true).seed(7).topK(20).topP(0.9f).temperature(1.5f);
      case 3 -> options.repetitionPenalty(1.5f).noRepeatNgramSize(2);
      case 4 -> options.sample(true).seed(kind).numReturnSequences(3).temperature(0.7f);
      case 5 -> options.numBeams(3).numReturnSequences(2);
      default ->
          options.tokenRules(
              new TokenRules(
                  List.of(),
                  1.3f,
                  0,
                  List.of(List.of(5, 6)),
                  null,
                  List.of(),
                  null,
                  List.of(9),
                  List.of()));
    }
    return options.build();
  }

  private static List<GenerationRequest> requests() {
    Random random = new Random(5);
    List<int[]> sources = new ArrayList<>();
    for (int i = 0; i < 11; i++) {
      sources.add(source(random));
    }
    List<GenerationRequest> all = new ArrayList<>();
    String[] adapters = {null, "a", "b"};
    for (int i = 0; i < REQUESTS; i++) {
      List<int[]> own = new ArrayList<>();
      for (int n = i % 10 == 0 ? 3 : 1; n > 0; n--) {
        own.add(sources.get(random.nextInt(sources.size())));
      }
      all.add(
          GenerationRequest.of(own, options(random.nextInt(7 * 13)))
              .withBatchSize(1 + random.nextInt(3))
              .withFirstSource(random.nextInt(2))
              .withAdapter(adapters[random.nextInt(3)]));
    }
    return all;
  }

  /** Returns a request as text, to compare requests by. */
  private static String key(GenerationRequest request) {
    return request.sources().stream().map(Arrays::toString).toList()
        + " "
        + request.options()
        + request.firstSource()
        + request.adapter();
  }

  /** Returns the results of each request alone, in a model without any other. */
  private static Map<String, List<List<GeneratedTokens>>> alone(List<GenerationRequest> requests) {
    Map<String, List<List<GeneratedTokens>>> all = new ConcurrentHashMap<>();
    try (T5 t5 = T5.load(TINY, options().namedAdapters(ADAPTERS))) {
      for (GenerationRequest each : requests) {
        all.computeIfAbsent(key(each), key -> t5.submit(each.withBatchSize(1), null, null).await());
      }
    }
    return all;
  }

  @Test
  void allStepsButTheFirstAreReplayed() {
    int steps = 24;
    GenerationOptions options =
        GenerationOptions.builder().maxNewTokens(steps).minNewTokens(steps).build();
    List<int[]> source = List.of(source(new Random(1)));
    try (T5 t5 = T5.load(TINY, options())) {
      int[] first = t5.generateTokens(source, options, 1, null).getFirst().getFirst().tokens();
      assertEquals(steps - 1, t5.device().replays());
      assertArrayEquals(
          first, t5.generateTokens(source, options, 1, null).getFirst().getFirst().tokens());
      assertEquals(2 * steps - 1, t5.device().replays());
    }
  }

  /** A step that chooses tokens and one that leaves it to the host are not of one kind. */
  @Test
  void rowsThatTheHostChangesComeAndGo() {
    List<Integer> kinds = List.of(4, 6, 2, 6, 2, 4, 6, 0, 2);
    List<GenerationRequest> requests = new ArrayList<>();
    for (int i = 0; i < kinds.size(); i++) {
      // One row each; the first outlasts the others, which take the second place in turn.
      GenerationOptions options =
          options(kinds.get(i))
              .with()
              .numReturnSequences(1)
              .maxNewTokens(i == 0 ? 60 : 5)
              .minNewTokens(i == 0 ? 60 : 5)
              .build();
      requests.add(GenerationRequest.of(source(new Random(i)), options));
    }
    Map<String, List<List<GeneratedTokens>>> expected = alone(requests);
    try (T5 t5 = T5.load(TINY, options().maxBatchRows(2))) {
      List<GenerationCall> calls = new ArrayList<>();
      for (GenerationRequest each : requests) {
        calls.add(t5.submit(each, null, null));
      }
      for (int i = 0; i < calls.size(); i++) {
        assertSame(expected.get(key(requests.get(i))), calls.get(i).await(), "request " + i);
      }
    }
  }

  @Test
  void aThousandMixedRequestsGetWhatEachGetsAlone() throws Exception {
    List<GenerationRequest> requests = requests();
    Map<String, List<List<GeneratedTokens>>> expected = alone(requests);
    AtomicInteger cancelled = new AtomicInteger();
    try (T5 t5 = T5.load(TINY, options().namedAdapters(ADAPTERS).maxCacheBytes(1 << 20));
        ExecutorService pool = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<?>> all = new ArrayList<>();
      for (int i = 0; i < requests.size(); i++) {
        GenerationRequest request = requests.get(i);
        int number = i;
        all.add(
            pool.submit(
                () -> {
                  if (number % 20 == 7) {
                    cancel(t5, request, number);
                    cancelled.incrementAndGet();
                  } else if (number % 3 == 0) {
                    assertSame(expected.get(key(request)), streamed(t5, request), key(request));
                  } else {
                    assertSame(
                        expected.get(key(request)),
                        t5.submit(request, null, null).await(),
                        key(request));
                  }
                  return null;
                }));
      }
      for (Future<?> each : all) {
        each.get();
      }
      assertEquals(REQUESTS / 20, cancelled.get());
      assertEmpty(t5);
    }
  }

  /** Waits for the step after which callers that have their results are forgotten. */
  private static void assertEmpty(T5 t5) throws InterruptedException {
    BatchLoad load = t5.batchLoad();
    for (int i = 0; i < 1000 && load.waiting() + load.running() + load.rows() > 0; i++) {
      Thread.sleep(10);
      load = t5.batchLoad();
    }
    assertEquals(0, load.waiting() + load.running() + load.rows(), load.toString());
  }

  /** Cancels a request that would take minutes: at once, by a listener, or by an interrupt. */
  private static void cancel(T5 t5, GenerationRequest request, int number) {
    GenerationRequest endless =
        GenerationRequest.of(request.sources(), ENDLESS).withAdapter(request.adapter());
    GenerationCall[] call = new GenerationCall[1];
    Thread caller = Thread.currentThread();
    call[0] =
        t5.submit(
            endless,
            (source, sequence, token, logProbability) -> {
              if (number % 3 == 1) {
                call[0].cancel();
              } else if (number % 3 == 2) {
                caller.interrupt();
              }
            },
            null);
    if (number % 3 == 0) {
      call[0].close();
    }
    assertThrows(CancellationException.class, call[0]::await);
  }

  /** Generates and makes sure that the listeners received the tokens of the results. */
  private static List<List<GeneratedTokens>> streamed(T5 t5, GenerationRequest request) {
    Map<String, List<Integer>> tokens = new ConcurrentHashMap<>();
    List<Integer> done = new ArrayList<>();
    List<List<GeneratedTokens>> results =
        t5.submit(
                request,
                (source, sequence, token, logProbability) ->
                    tokens
                        .computeIfAbsent(source + " " + sequence, key -> new ArrayList<>())
                        .add(token),
                (source, all) -> done.add(source))
            .await();
    assertEquals(request.sources().size(), done.size());
    for (int i = 0; request.options().numBeams() == 1 && i < results.size(); i++) {
      for (int j = 0; j < results.get(i).size(); j++) {
        assertArrayEquals(
            results.get(i).get(j).tokens(),
            tokens.get(i + " " + j).stream().mapToInt(each -> each).toArray());
      }
    }
    return results;
  }

  @Test
  void aCallerWithManySourcesDoesNotStarveOthers() throws Exception {
    GenerationOptions options =
        GenerationOptions.builder().maxNewTokens(30).minNewTokens(30).build();
    Random random = new Random(1);
    List<int[]> many = new ArrayList<>();
    for (int i = 0; i < 400; i++) {
      many.add(source(random));
    }
    try (T5 t5 = T5.load(TINY, options().maxBatchRows(8))) {
      GenerationCall large =
          t5.submit(GenerationRequest.of(many, options), null, (source, all) -> {});
      GenerationCall small = t5.submit(GenerationRequest.of(many.getFirst(), options), null, null);
      small.await();
      assertTrue(!large.isDone(), "the single source has waited for four hundred");
      assertEquals(400, large.await().size());
    }
  }

  @Test
  void samplesOfAPromptAreEncodedOnce() {
    int[] source = source(new Random(3));
    GenerationOptions one =
        GenerationOptions.builder().maxNewTokens(9).sample(true).topK(0).seed(4).build();
    try (T5 t5 = T5.load(TINY, options())) {
      List<GeneratedTokens> together =
          t5.generateTokens(List.of(source), one.with().numReturnSequences(20).build(), 1, null)
              .getFirst();
      // Fewer rows than samples: the encoding stays until the last one.
      try (T5 narrow = T5.load(TINY, options().maxBatchRows(3))) {
        GenerationCall other = narrow.submit(GenerationRequest.of(source, ENDLESS), null, null);
        List<GeneratedTokens> few =
            narrow
                .submit(
                    GenerationRequest.of(source, one.with().numReturnSequences(20).build()),
                    null,
                    null)
                .await()
                .getFirst();
        other.cancel();
        assertSame(List.of(together), List.of(few), "few rows");
      }
      assertTrue(
          together.stream().map(each -> Arrays.toString(each.tokens())).distinct().count() > 10);
    }
  }

  @Test
  void memoryIsNoLimitToASingleRequest() throws ExecutionException, InterruptedException {
    Random random = new Random(9);
    // Samples wait for memory while those before them have finished, and keep their source.
    GenerationOptions options =
        GenerationOptions.builder().maxNewTokens(20).sample(true).numReturnSequences(3).build();
    List<int[]> sources = List.of(source(random), source(random), source(random));
    try (T5 t5 = T5.load(TINY, options());
        T5 small = T5.load(TINY, options().maxCacheBytes(1));
        ExecutorService pool = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<List<List<GeneratedTokens>>>> all = new ArrayList<>();
      for (int i = 0; i < 6; i++) {
        all.add(pool.submit(() -> small.generateTokens(sources, options, 3, null)));
      }
      List<List<GeneratedTokens>> expected = t5.generateTokens(sources, options, 3, null);
      for (Future<List<List<GeneratedTokens>>> each : all) {
        assertSame(expected, each.get(), "one after another");
      }
    }
  }
}
