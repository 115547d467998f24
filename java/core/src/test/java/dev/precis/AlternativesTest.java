package dev.precis;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.generation.GeneratedTokens;
import dev.precis.generation.GenerationCall;
import dev.precis.generation.GenerationOptions;
import dev.precis.generation.GenerationRequest;
import dev.precis.generation.TokenListener;
import dev.precis.generation.TokenRules;
import dev.precis.io.InvalidInputException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The alternatives to a token are the model's most probable ones, and change nothing. */
class AlternativesTest {
  private static final Path TINY = Fixtures.folder("t5-tiny");
  private static final int[] SOURCE = {17, 42, 5, 99, 1};
  private static final GenerationOptions GREEDY =
      GenerationOptions.builder().maxNewTokens(6).minNewTokens(6).build();
  private static T5 t5;

  /** One token, as a listener heard of it. */
  private record Heard(int token, float logProbability, int[] tokens, float[] logProbabilities) {}

  private static final class Ear implements TokenListener {
    final List<Heard> all = new ArrayList<>();
    private int[] tokens = {};
    private float[] logProbabilities = {};

    @Override
    public void alternatives(int source, int sequence, int[] tokens, float[] logProbabilities) {
      this.tokens = tokens;
      this.logProbabilities = logProbabilities;
    }

    @Override
    public void token(int source, int sequence, int token, float logProbability) {
      all.add(new Heard(token, logProbability, tokens, logProbabilities));
      tokens = new int[0];
      logProbabilities = new float[0];
    }
  }

  @BeforeAll
  static void load() {
    t5 = T5.load(TINY, new T5.LoadOptions().threads(1));
  }

  @AfterAll
  static void close() {
    t5.close();
  }

  private static GeneratedTokens generate(GenerationOptions options, TokenListener listener) {
    return t5.submit(GenerationRequest.of(SOURCE, options), listener, null)
        .await()
        .getFirst()
        .getFirst();
  }

  private static TokenRules without(List<Integer> tokens) {
    return new TokenRules(List.of(), 1, 0, List.of(), null, List.of(), null, List.of(), tokens);
  }

  @Test
  void eachIsWhatGreedyDecodingChoosesWithoutThoseBeforeIt() {
    Ear ear = new Ear();
    generate(GREEDY.with().alternatives(5).build(), ear);
    Heard first = ear.all.getFirst();
    assertEquals(first.token(), first.tokens()[0]);
    for (int i = 1; i < 5; i++) {
      List<Integer> before = IntStream.of(first.tokens()).limit(i).boxed().toList();
      GeneratedTokens next = generate(GREEDY.with().tokenRules(without(before)).build(), null);
      assertEquals(first.tokens()[i], next.tokens()[0]);
      assertEquals(first.logProbabilities()[i], next.logProbabilities()[0]);
    }
  }

  @Test
  void theyAreInOrderAndHaveTheChosenTokensProbability() {
    Ear ear = new Ear();
    GenerationOptions sampled = GREEDY.with().sample(true).topK(0).seed(3).build();
    generate(sampled.with().alternatives(20).build(), ear);
    assertEquals(6, ear.all.size());
    int found = 0;
    for (Heard each : ear.all) {
      assertEquals(20, each.tokens().length);
      for (int i = 0; i < 20; i++) {
        assertTrue(i == 0 || each.logProbabilities()[i] <= each.logProbabilities()[i - 1]);
        if (each.tokens()[i] == each.token()) {
          assertEquals(each.logProbability(), each.logProbabilities()[i], 1e-5f);
          found++;
        }
      }
    }
    assertTrue(found > 0, "no sampled token was among the most probable ones");
  }

  @Test
  void theyAreTheModelsWhereRulesChangeTheScores() {
    Ear free = new Ear();
    Ear ruled = new Ear();
    GenerationOptions options = GREEDY.with().alternatives(3).build();
    generate(options, free);
    List<Integer> best = List.of(free.all.getFirst().token());
    generate(options.with().tokenRules(without(best)).build(), ruled);
    assertArrayEquals(free.all.getFirst().tokens(), ruled.all.getFirst().tokens());
    assertArrayEquals(
        free.all.getFirst().logProbabilities(), ruled.all.getFirst().logProbabilities());
    assertEquals(free.all.getFirst().tokens()[1], ruled.all.getFirst().token());
  }

  @Test
  void theyChangeNoTokenOfAnyRow() {
    List<GenerationOptions> kinds =
        List.of(
            GREEDY,
            GREEDY.with().sample(true).seed(5).build(),
            GREEDY.with().repetitionPenalty(2).build());
    List<GeneratedTokens> alone = kinds.stream().map(each -> generate(each, null)).toList();
    Ear ear = new Ear();
    List<GenerationCall> calls = new ArrayList<>();
    for (GenerationOptions each : kinds) {
      calls.add(t5.submit(GenerationRequest.of(SOURCE, each), null, null));
    }
    GenerationOptions wanted = kinds.getFirst().with().alternatives(2).build();
    calls.add(t5.submit(GenerationRequest.of(SOURCE, wanted), ear, null));
    for (int i = 0; i < calls.size(); i++) {
      GeneratedTokens expected = alone.get(i % kinds.size());
      GeneratedTokens got = calls.get(i).await().getFirst().getFirst();
      assertArrayEquals(expected.tokens(), got.tokens());
      assertArrayEquals(expected.logProbabilities(), got.logProbabilities());
    }
    assertTrue(ear.all.stream().allMatch(each -> each.tokens().length == 2));
  }

  @Test
  void noneAreHeardOfUnlessAskedFor() {
    Ear ear = new Ear();
    generate(GREEDY, ear);
    assertTrue(ear.all.stream().allMatch(each -> each.tokens().length == 0));
  }

  @Test
  void tooManyAndThoseOfBeamsAreRefused() {
    GenerationOptions.Builder many = GREEDY.with().alternatives(21);
    assertEquals(
        "alternatives is 21, but must be between 0 and 20.",
        assertThrows(InvalidInputException.class, many::build).getMessage());
    GenerationOptions.Builder beams = GREEDY.with().alternatives(1).numBeams(2);
    assertEquals(
        "alternatives is 1, but must be 0 with num-beams 2: beams are ranked as wholes.",
        assertThrows(InvalidInputException.class, beams::build).getMessage());
  }
}
