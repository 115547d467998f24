package dev.precis.generation;

import java.time.Duration;

/** Thrown if a call takes longer than {@link GenerationOptions#timeout} allows. */
public final class GenerationTimeoutException extends RuntimeException {
  GenerationTimeoutException(Duration timeout) {
    super(
        "Generation was not complete after %s seconds, the timeout of the call."
            .formatted(timeout.toMillis() / 1000.0));
  }
}
