package dev.precis;

import static dev.precis.Generated.assertSame;
import static dev.precis.Generated.source;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.generation.BatchLoad;
import dev.precis.generation.GeneratedTokens;
import dev.precis.generation.GenerationCall;
import dev.precis.generation.GenerationOptions;
import dev.precis.generation.GenerationOptions.Draft;
import dev.precis.generation.GenerationRequest;
import dev.precis.generation.TokenListener;
import dev.precis.generation.TokenRules;
import dev.precis.generation.TokenRules.LengthDecay;
import dev.precis.generation.TokenRules.SequenceBias;
import dev.precis.io.InvalidInputException;
import dev.precis.tensor.DType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Decoding with drafts gives the tokens and the numbers of decoding without them, bit by bit. */
@Timeout(600)
class DraftTest {
  private static final Path TINY = Fixtures.folder("t5-tiny");
  private static final Map<String, Path> ADAPTERS =
      Map.of("a", Fixtures.folder("t5-tiny-lora-after20"), "b", Fixtures.folder("t5-tiny-lora"));
  private static final int KINDS = 9;

  private static T5.LoadOptions options() {
    return new T5.LoadOptions().threads(1);
  }

  /** The kinds of options that requests have. */
  private static GenerationOptions options(int kind, int maxNewTokens) {
    GenerationOptions.Builder options = GenerationOptions.builder().maxNewTokens(maxNewTokens);
    switch (kind % KINDS) {
      case 0 -> options.minNewTokens(Math.min(7, maxNewTokens));
      case 1 -> options.sample(true).seed(kind).topK(0);
      case 2 -> options.sample(true).seed(7).topK(4).topP(0.9f).temperature(0.3f);
      case 3 -> options.repetitionPenalty(1.2f);
      case 4 -> options.noRepeatNgramSize(4).minNewTokens(maxNewTokens);
      case 5 -> options.sample(true).seed(kind).numReturnSequences(3).temperature(0.2f);
      case 6 -> options.tokenRules(rules());
      case 7 -> options.alternatives(3).minNewTokens(maxNewTokens);
      default -> options.sample(true).seed(3).temperature(0.4f).tokenRules(rules()).alternatives(2);
    }
    return options.build();
  }

  private static TokenRules rules() {
    return new TokenRules(
        List.of(new SequenceBias(List.of(30, 31), 2)),
        1.3f,
        0,
        List.of(List.of(5, 6)),
        11,
        List.of(1),
        new LengthDecay(5, 1.01),
        List.of(9),
        List.of());
  }

  private static GenerationOptions drafting(GenerationOptions options) {
    return options.with().draft(Draft.LOOKUP).build();
  }

  /** A source that says what the model will: before it, and after the first token. */
  private static int[] copied(T5 t5, int[] source, GenerationOptions options) {
    int[] said =
        t5.generateTokens(List.of(source), options, 1, null).getFirst().getFirst().tokens();
    return IntStream.concat(Arrays.stream(said).filter(each -> each != 1), Arrays.stream(source))
        .toArray();
  }

  /** Returns the counters after the step that is running. */
  private static BatchLoad load(T5 t5) {
    t5.device();
    return t5.batchLoad();
  }

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"FLOAT32", "BFLOAT16", "INT8", "INT4"})
  void tokensAndScoresAreThoseOfPlainDecoding(DType dtype) {
    Random random = new Random(11);
    try (T5 t5 = T5.load(TINY, options().dtype(dtype))) {
      for (int i = 0; i < 6 * KINDS; i++) {
        GenerationOptions plain = options(i, 1 + random.nextInt(50));
        List<int[]> sources = new ArrayList<>();
        for (int n = 1 + random.nextInt(3); n > 0; n--) {
          int[] source = source(random);
          sources.add(random.nextBoolean() ? source : copied(t5, source, plain));
        }
        int batch = 1 + random.nextInt(3);
        assertSame(
            t5.generateTokens(sources, plain, batch, null),
            t5.generateTokens(sources, drafting(plain), batch, null),
            i + " " + plain);
      }
      BatchLoad load = load(t5);
      assertTrue(load.accepted() > 100, load.toString());
      assertTrue(load.drafted() - load.accepted() > 100, load.toString());
    }
  }

  @Test
  void draftsThatAreRightSaveSteps() {
    // Four tokens that follow one another in turn, whatever the model says.
    List<SequenceBias> loop =
        List.of(
            new SequenceBias(List.of(50), 10),
            new SequenceBias(List.of(50, 51), 1000),
            new SequenceBias(List.of(51, 52), 1000),
            new SequenceBias(List.of(52, 53), 1000),
            new SequenceBias(List.of(53, 50), 1000));
    int random = steps(GenerationOptions.DEFAULT, source(new Random(1)));
    assertTrue(random < 50, "a random model's 60 tokens, which repeat soon, took " + random);
    int looping =
        steps(
            GenerationOptions.DEFAULT.with().tokenRules(biased(loop)).build(),
            source(new Random(2)));
    assertTrue(looping <= 20, "60 tokens took " + looping);
  }

  /** Returns the steps of 60 tokens with drafts. */
  private static int steps(GenerationOptions options, int[] source) {
    GenerationOptions plain = options.with().maxNewTokens(60).minNewTokens(60).build();
    try (T5 t5 = T5.load(TINY, options())) {
      var expected = t5.generateTokens(List.of(source), plain, 1, null);
      BatchLoad before = load(t5);
      assertEquals(60, before.steps());
      assertEquals(0, before.drafted());
      assertSame(
          expected, t5.generateTokens(List.of(source), drafting(plain), 1, null), "drafting");
      BatchLoad after = load(t5);
      assertEquals(120, after.tokens());
      assertEquals(120 - after.steps(), after.accepted());
      return Math.toIntExact(after.steps() - before.steps());
    }
  }

  @Test
  void draftsThatFailAreFew() {
    GenerationOptions plain =
        GenerationOptions.builder()
            .maxNewTokens(200)
            .minNewTokens(200)
            .sample(true)
            .topK(0)
            .temperature(5)
            .build();
    // A source with nearly every token, so that there is nearly always a draft.
    int[] source = IntStream.range(0, 801).map(i -> i == 800 ? 1 : 3 + i / 2).toArray();
    try (T5 t5 = T5.load(TINY, options())) {
      var expected = t5.generateTokens(List.of(source), plain, 1, null);
      assertSame(
          expected, t5.generateTokens(List.of(source), drafting(plain), 1, null), "drafting");
      BatchLoad load = load(t5);
      assertEquals(400, load.tokens());
      assertEquals(400 - load.accepted(), load.steps());
      assertTrue(
          load.drafted() - load.accepted() <= 2 + 200 / 8 + 4 * load.accepted(), load.toString());
    }
  }

  @Test
  void everyLimitCutsADraft() {
    int[] source = source(new Random(4));
    try (T5 t5 = T5.load(TINY, options())) {
      for (int limit = 1; limit <= 40; limit++) {
        GenerationOptions plain =
            GenerationOptions.builder().maxNewTokens(limit).minNewTokens(limit).build();
        List<int[]> sources = List.of(copied(t5, source, plain));
        var got = t5.generateTokens(sources, drafting(plain), 1, null);
        assertEquals(limit, got.getFirst().getFirst().tokens().length);
        assertSame(t5.generateTokens(sources, plain, 1, null), got, "limit " + limit);
      }
      assertTrue(load(t5).accepted() > 40);
    }
  }

  /** The end token comes in a step that accepts draft tokens before it. */
  @Test
  void anEndTokenEndsADraft() {
    int[] loop = {50, 51, 52, 53, 50, 51, 52, 53, 50, 51, 52, 53, 50, 51, 52, 53};
    for (int end = 2; end < loop.length; end++) {
      List<SequenceBias> script = new ArrayList<>();
      for (int i = 0; i < end; i++) {
        script.add(new SequenceBias(prefix(loop, i + 1), 100f * (2 << i)));
      }
      List<Integer> last = new ArrayList<>(prefix(loop, end));
      last.add(1);
      script.add(new SequenceBias(last, 100f * (2 << end)));
      GenerationOptions plain =
          GenerationOptions.builder().maxNewTokens(30).tokenRules(biased(script)).build();
      List<int[]> source = List.of(new int[] {50, 51, 52, 53, 50, 51, 52, 53, 1});
      try (T5 t5 = T5.load(TINY, options())) {
        var expected = t5.generateTokens(source, plain, 1, null);
        assertEquals(end + 1, expected.getFirst().getFirst().tokens().length);
        assertTrue(expected.getFirst().getFirst().finished());
        assertSame(expected, t5.generateTokens(source, drafting(plain), 1, null), "end " + end);
        assertTrue(end < 4 || load(t5).accepted() > 0);
      }
    }
  }

  private static List<Integer> prefix(int[] tokens, int count) {
    return Arrays.stream(tokens, 0, count).boxed().toList();
  }

  private static TokenRules biased(List<SequenceBias> biases) {
    return new TokenRules(biases, 1, 0, List.of(), null, List.of(), null, List.of(), List.of());
  }

  /** Rules may leave no token behind a draft that plain decoding never follows. */
  @Test
  void aDraftWithNoTokenBehindItIsNoError() {
    try (T5 t5 = T5.load(TINY, options())) {
      int never = 60;
      List<List<Integer>> bad = new ArrayList<>();
      bad.add(List.of(never));
      for (int token = 0; token < t5.config().vocabSize(); token++) {
        bad.add(List.of(never, token));
      }
      TokenRules rules =
          new TokenRules(
              List.of(new SequenceBias(List.of(50, 51), 1000)),
              1,
              0,
              bad,
              50,
              List.of(),
              null,
              List.of(),
              List.of());
      GenerationOptions plain =
          GenerationOptions.builder().maxNewTokens(9).minNewTokens(9).tokenRules(rules).build();
      List<int[]> sources = List.of(new int[] {50, 51, never, 70, 1}, new int[] {80, 1});
      for (int batch = 1; batch <= 2; batch++) {
        assertSame(
            t5.generateTokens(sources, plain, batch, null),
            t5.generateTokens(sources, drafting(plain), batch, null),
            "batch " + batch);
      }
    }
  }

  private record Heard(int sequence, int token, float logProbability, List<Integer> alternatives) {}

  private static List<Heard> heard(T5 t5, GenerationRequest request) {
    List<Heard> all = new ArrayList<>();
    t5.submit(
            request,
            new TokenListener() {
              private List<Integer> alternatives = List.of();

              @Override
              public void alternatives(int source, int sequence, int[] tokens, float[] scores) {
                alternatives = Arrays.stream(tokens).boxed().toList();
              }

              @Override
              public void token(int source, int sequence, int token, float logProbability) {
                all.add(new Heard(sequence, token, logProbability, alternatives));
              }
            },
            null)
        .await();
    return all;
  }

  @Test
  void listenersHearTheSame() {
    Random random = new Random(8);
    try (T5 t5 = T5.load(TINY, options())) {
      for (int kind : new int[] {0, 2, 7, 8}) {
        GenerationOptions plain = options(kind, 37);
        int[] source = copied(t5, source(random), plain);
        List<Heard> expected = heard(t5, GenerationRequest.of(source, plain));
        assertEquals(expected, heard(t5, GenerationRequest.of(source, drafting(plain))));
      }
      assertTrue(load(t5).accepted() > 10);
    }
  }

  @Test
  void mixedRequestsGetWhatEachGetsAlone() throws Exception {
    Random random = new Random(5);
    String[] adapters = {null, "a", "b"};
    List<GenerationRequest> requests = new ArrayList<>();
    List<List<List<GeneratedTokens>>> expected = new ArrayList<>();
    try (T5 t5 = T5.load(TINY, options().namedAdapters(ADAPTERS))) {
      for (int i = 0; i < 300; i++) {
        GenerationOptions plain = options(random.nextInt(KINDS), 1 + random.nextInt(30));
        GenerationRequest request =
            GenerationRequest.of(copied(t5, source(random), plain), plain)
                .withFirstSource(random.nextInt(2))
                .withAdapter(adapters[random.nextInt(3)]);
        expected.add(t5.submit(request, null, null).await());
        requests.add(request);
      }
    }
    for (int rows : new int[] {2, 3, 8}) {
      try (T5 t5 =
              T5.load(
                  TINY,
                  options().namedAdapters(ADAPTERS).maxBatchRows(rows).maxCacheBytes(1 << 20));
          ExecutorService pool = Executors.newVirtualThreadPerTaskExecutor()) {
        List<Future<?>> all = new ArrayList<>();
        for (int i = 0; i < requests.size(); i++) {
          int number = i;
          GenerationRequest plain = requests.get(i);
          GenerationRequest request =
              i % 5 == 0
                  ? plain
                  : GenerationRequest.of(plain.sources(), drafting(plain.options()))
                      .withFirstSource(plain.firstSource())
                      .withAdapter(plain.adapter());
          all.add(
              pool.submit(
                  () -> {
                    if (number % 20 == 7) {
                      cancel(t5, request, number);
                    } else {
                      assertSame(
                          expected.get(number),
                          t5.submit(request, null, null).await(),
                          number + " " + request.options());
                    }
                    return null;
                  }));
        }
        for (Future<?> each : all) {
          each.get();
        }
        BatchLoad load = load(t5);
        assertTrue(load.accepted() > 100, load.toString());
        assertTrue(load.drafted() > load.accepted(), load.toString());
        assertEquals(0, load.rows(), load.toString());
      }
    }
  }

  /** Cancels a request that would take minutes, at once or in the middle of a draft. */
  private static void cancel(T5 t5, GenerationRequest request, int number) {
    GenerationOptions endless =
        GenerationOptions.builder()
            .maxNewTokens(1 << 14)
            .minNewTokens(1 << 14)
            .draft(Draft.LOOKUP)
            .build();
    GenerationCall[] call = new GenerationCall[1];
    int[] tokens = {0};
    call[0] =
        t5.submit(
            GenerationRequest.of(request.sources(), endless).withAdapter(request.adapter()),
            (source, sequence, token, logProbability) -> {
              if (++tokens[0] == number % 13) {
                call[0].cancel();
              }
            },
            null);
    if (number % 13 == 0) {
      call[0].close();
    }
    assertThrows(CancellationException.class, call[0]::await);
  }

  @Test
  void beamsHaveNoDrafts() {
    GenerationOptions.Builder builder = GenerationOptions.builder().numBeams(4).draft(Draft.LOOKUP);
    assertEquals(
        "draft is lookup, but must be none with num-beams 4: a draft continues one sequence.",
        assertThrows(InvalidInputException.class, builder::build).getMessage());
  }
}
