package dev.precis;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.generation.GeneratedTokens;
import dev.precis.generation.GenerationCall;
import dev.precis.generation.GenerationOptions;
import dev.precis.generation.GenerationRequest;
import dev.precis.generation.TooManyRequestsException;
import dev.precis.io.InvalidInputException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CancellationException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Requests that a program submits and holds: tokens, cancellation, refusal, adapters by name. */
@Timeout(120)
class RequestsTest {
  private static final Path TINY = Fixtures.folder("t5-tiny");
  private static final Path ADAPTER = Fixtures.folder("t5-tiny-lora-after20");
  private static final String PROMPT = "Summarize: Tom and Ann talk about the weather.";
  private static final GenerationOptions SHORT =
      GenerationOptions.builder().maxNewTokens(12).build();

  /** Takes minutes. */
  private static final GenerationOptions ENDLESS =
      GenerationOptions.builder().maxNewTokens(1 << 14).minNewTokens(1 << 14).build();

  private static GeneratedTokens first(GenerationCall call) {
    return call.await().getFirst().getFirst();
  }

  @Test
  void listenersReceiveWhatTheResultHas() {
    try (T5 t5 = T5.load(TINY)) {
      int[] source = t5.tokenizer().encode(PROMPT);
      List<Integer> tokens = new ArrayList<>();
      List<Float> logProbabilities = new ArrayList<>();
      List<GeneratedTokens> results = new ArrayList<>();
      Thread caller = Thread.currentThread();
      GenerationCall call =
          t5.submit(
              GenerationRequest.of(source, SHORT),
              (index, sequence, token, logProbability) -> {
                assertEquals(caller, Thread.currentThread());
                tokens.add(token);
                logProbabilities.add(logProbability);
              },
              (index, all) -> results.addAll(all));
      GeneratedTokens result = first(call);
      assertTrue(call.isDone());
      assertEquals(1, results.size());
      assertArrayEquals(result.tokens(), tokens.stream().mapToInt(each -> each).toArray());
      assertArrayEquals(result.tokens(), t5.generate(PROMPT, SHORT).tokens());
      float score = 0;
      for (int i = 0; i < result.logProbabilities().length; i++) {
        assertEquals(logProbabilities.get(i), result.logProbabilities()[i]);
        score += logProbabilities.get(i);
      }
      assertEquals(result.score(), score);
      assertEquals(result, first(call), "a second one who waits gets the same");
    }
  }

  @Test
  void aRequestThatIsCancelledEnds() {
    try (T5 t5 = T5.load(TINY)) {
      int[] source = t5.tokenizer().encode(PROMPT);
      int[] expected = first(t5.submit(GenerationRequest.of(source, SHORT), null, null)).tokens();
      GenerationCall[] running = new GenerationCall[1];
      running[0] =
          t5.submit(
              GenerationRequest.of(source, ENDLESS),
              (index, sequence, token, logProbability) -> running[0].cancel(),
              null);
      assertThrows(CancellationException.class, running[0]::await);
      try (GenerationCall closed = t5.submit(GenerationRequest.of(source, ENDLESS), null, null)) {
        assertFalse(closed.isDone());
      }
      assertArrayEquals(expected, t5.generate(PROMPT, SHORT).tokens());
      assertEquals(0, t5.batchLoad().waiting());
    }
  }

  @Test
  void requestsBeyondTheBoundAreRefused() {
    try (T5 t5 = T5.load(TINY, new T5.LoadOptions().maxBatchRows(1).maxWaitingRequests(2))) {
      int[] source = t5.tokenizer().encode(PROMPT);
      List<GenerationCall> calls = new ArrayList<>();
      try {
        // One runs, or is about to; two wait.
        TooManyRequestsException e =
            assertThrows(
                TooManyRequestsException.class,
                () -> {
                  for (int i = 0; i < 4; i++) {
                    calls.add(t5.submit(GenerationRequest.of(source, ENDLESS), null, null));
                  }
                });
        assertTrue(e.getMessage().startsWith("2 requests wait"), e.getMessage());
        assertTrue(calls.size() == 2 || calls.size() == 3, calls.size() + " were accepted");
      } finally {
        calls.forEach(GenerationCall::cancel);
      }
      assertEquals(
          12, first(t5.submit(GenerationRequest.of(source, SHORT), null, null)).tokens().length);
    }
    assertThrows(InvalidInputException.class, () -> new T5.LoadOptions().maxWaitingRequests(0));
    assertThrows(InvalidInputException.class, () -> new T5.LoadOptions().maxBatchRows(0));
  }

  @Test
  void aRequestChoosesItsAdapterByName() {
    GenerationOptions options = SHORT;
    float base;
    float adapted;
    try (T5 t5 = T5.load(TINY);
        T5 with = T5.load(TINY, new T5.LoadOptions().adapters(List.of(ADAPTER)))) {
      base = t5.generate(PROMPT, options).score();
      adapted = with.generate(PROMPT, options).score();
    }
    assertNotEquals(base, adapted);
    try (T5 t5 = T5.load(TINY, new T5.LoadOptions().namedAdapters(Map.of("tuned", ADAPTER)))) {
      GenerationRequest request = GenerationRequest.of(t5.tokenizer().encode(PROMPT), options);
      assertEquals(adapted, first(t5.submit(request.withAdapter("tuned"), null, null)).score());
      assertEquals(base, first(t5.submit(request, null, null)).score());
      t5.addAdapter("other", ADAPTER);
      assertEquals(Set.of("other", "tuned"), t5.adapters());
      assertEquals(adapted, first(t5.submit(request.withAdapter("other"), null, null)).score());
      t5.removeAdapter("tuned");
      InvalidInputException e =
          assertThrows(
              InvalidInputException.class,
              () -> t5.submit(request.withAdapter("tuned"), null, null));
      assertTrue(e.getMessage().contains("no adapter of the name tuned"), e.getMessage());
      assertThrows(InvalidInputException.class, () -> t5.removeAdapter("tuned"));
      assertThrows(InvalidInputException.class, () -> t5.addAdapter("other", ADAPTER));
      assertThrows(InvalidInputException.class, () -> t5.addAdapter("bad", TINY));
      assertEquals(base, first(t5.submit(request, null, null)).score());
    }
  }

  @Test
  void aClosedModelRefusesRequests() {
    T5 t5 = T5.load(TINY);
    int[] source = t5.tokenizer().encode(PROMPT);
    GenerationCall accepted = t5.submit(GenerationRequest.of(source, SHORT), null, null);
    t5.close();
    assertEquals(12, first(accepted).tokens().length, "accepted before");
    assertThrows(
        IllegalStateException.class,
        () -> t5.submit(GenerationRequest.of(source, SHORT), null, null));
  }
}
