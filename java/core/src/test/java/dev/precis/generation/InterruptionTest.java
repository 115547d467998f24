package dev.precis.generation;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.T5;
import dev.precis.io.InvalidInputException;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Calls that must end early: an interrupt, a timeout, a source that is too long. */
@Timeout(120)
class InterruptionTest {
  /** The encoder takes minutes for so many tokens, most of them in one kernel. */
  private static final int LONG = 200_000;

  private static final GenerationOptions SHORT =
      GenerationOptions.builder().maxNewTokens(12).maxSourceTokens(LONG).build();

  private static int[] source(int length) {
    int[] tokens = new int[length];
    Arrays.setAll(tokens, i -> i + 1 < length ? 3 + i % 300 : 1);
    return tokens;
  }

  private static int[] generate(T5 t5, int[] source, GenerationOptions options) {
    return t5.generateTokens(List.of(source), options, 1, null).getFirst().getFirst().tokens();
  }

  @ParameterizedTest
  @ValueSource(ints = {20_000, LONG})
  void anInterruptEndsTheEncoder(int length) throws Exception {
    try (T5 t5 = T5.load(Fixtures.folder("t5-tiny"))) {
      int[] before = generate(t5, source(40), SHORT);
      AtomicReference<Throwable> failure = new AtomicReference<>();
      AtomicReference<Boolean> interrupted = new AtomicReference<>();
      Thread thread =
          new Thread(
              () -> {
                try {
                  generate(t5, source(length), SHORT);
                } catch (Throwable e) {
                  failure.set(e);
                }
                interrupted.set(Thread.currentThread().isInterrupted());
              });
      thread.start();
      awaitLongOperation(thread);
      long start = System.nanoTime();
      thread.interrupt();
      thread.join();
      double seconds = (System.nanoTime() - start) / 1e9;
      assertTrue(failure.get() instanceof CancellationException, "got " + failure.get());
      assertFalse(interrupted.get(), "the exception stands for the interrupt status");
      // 0.1 s; the machine may be busy with other things.
      assertTrue(seconds < 5, "ended after " + seconds + " s");
      assertArrayEquals(before, generate(t5, source(40), SHORT));
    }
  }

  /** Waits until the call is inside an operation that is watched, rather than about to begin. */
  private static void awaitLongOperation(Thread call) throws InterruptedException {
    while (call.isAlive()
        && Thread.getAllStackTraces().keySet().stream()
            .noneMatch(each -> each.getName().equals("precis-interrupts"))) {
      Thread.sleep(1);
    }
  }

  @Test
  void aTimeoutEndsTheEncoder() {
    GenerationOptions options = SHORT.with().timeout(Duration.ofMillis(300)).build();
    try (T5 t5 = T5.load(Fixtures.folder("t5-tiny"))) {
      int[] before = generate(t5, source(40), SHORT);
      GenerationTimeoutException e =
          assertThrows(GenerationTimeoutException.class, () -> generate(t5, source(LONG), options));
      assertTrue(e.getMessage().contains("0.3 seconds"), e.getMessage());
      assertArrayEquals(
          before, generate(t5, source(40), SHORT.with().timeout(Duration.ofMinutes(10)).build()));
    }
  }

  @Test
  void aTimeoutEndsDecoding() {
    GenerationOptions options =
        GenerationOptions.builder()
            .maxNewTokens(1 << 14)
            .minNewTokens(1 << 14)
            .timeout(Duration.ofMillis(200))
            .build();
    try (T5 t5 = T5.load(Fixtures.folder("t5-tiny"))) {
      assertThrows(GenerationTimeoutException.class, () -> generate(t5, source(40), options));
      assertThrows(
          GenerationTimeoutException.class,
          () -> generate(t5, source(40), options.with().numBeams(2).build()));
      assertEquals(12, generate(t5, source(40), SHORT).length);
    }
  }

  @Test
  void aSourceThatIsTooLongIsRefusedAtOnce() {
    assertEquals(
        GenerationOptions.DEFAULT_MAX_SOURCE_TOKENS, GenerationOptions.DEFAULT.maxSourceTokens());
    assertNull(GenerationOptions.DEFAULT.timeout());
    try (T5 t5 = T5.load(Fixtures.folder("t5-tiny"))) {
      List<int[]> sources = List.of(source(5), source(16_385));
      InvalidInputException e =
          assertThrows(
              InvalidInputException.class,
              () -> t5.generateTokens(sources, GenerationOptions.DEFAULT, 2, null));
      assertTrue(
          e.getMessage().contains("Source 1") && e.getMessage().contains("16384"), e.getMessage());
      GenerationOptions longer =
          GenerationOptions.builder().maxNewTokens(2).maxSourceTokens(3000).build();
      assertEquals(2, generate(t5, source(3000), longer).length);
      assertThrows(InvalidInputException.class, () -> generate(t5, source(3001), longer));
    }
  }
}
