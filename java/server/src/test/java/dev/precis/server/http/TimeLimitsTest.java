package dev.precis.server.http;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.server.http.TimeLimits.TimeLimitException;
import java.time.Duration;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class TimeLimitsTest {
  private static final Duration SHORT = Duration.ofMillis(20);
  private static final Duration LONG = Duration.ofMinutes(1);

  private final TimeLimits clock = new TimeLimits();
  private boolean written;

  @AfterEach
  void close() {
    clock.close();
  }

  /** Blocks until it is interrupted, at most for a time. */
  private static void block(Duration most) {
    try {
      assertFalse(new CountDownLatch(1).await(most.toMillis(), TimeUnit.MILLISECONDS));
    } catch (InterruptedException e) {
      throw (CancellationException) new CancellationException().initCause(e);
    }
  }

  /** A write that the limit of its request interrupts closes the connection without a word. */
  @Test
  void theLimitOfARequestWaitsForItsWrite() {
    TimeLimitException e =
        assertThrows(
            TimeLimitException.class,
            () ->
                clock.within(
                    SHORT,
                    "request",
                    () -> {
                      clock.within(
                          LONG,
                          "write",
                          () -> {
                            block(Duration.ofMillis(200));
                            written = true;
                          });
                      clock.within(LONG, "write", () -> block(SHORT));
                      block(LONG);
                    }));
    assertTrue(written);
    assertEquals("request", e.getMessage());
    assertFalse(Thread.interrupted());
  }

  @Test
  void theLimitOfAWriteEndsItWithinARequest() {
    TimeLimitException e =
        assertThrows(
            TimeLimitException.class,
            () ->
                clock.within(
                    LONG, "request", () -> clock.within(SHORT, "write", () -> block(LONG))));
    assertEquals("write", e.getMessage());
    assertInstanceOf(CancellationException.class, e.getCause());
    assertFalse(Thread.interrupted());
  }

  @Test
  void workThatEndsInTimeIsNotInterrupted() {
    assertEquals(3, clock.<Integer>within(LONG, "request", () -> 3));
    clock.within(SHORT, "request", () -> clock.within(SHORT, "write", () -> {}));
    block(Duration.ofMillis(60));
  }
}
