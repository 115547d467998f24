package dev.precis.training;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ScheduleTest {
  /** transformers' get_..._schedule_with_warmup, 4 warm-up steps of 20. */
  @ParameterizedTest
  @CsvSource({
    "LINEAR, 0, 0",
    "LINEAR, 3, 0.75",
    "LINEAR, 4, 1",
    "LINEAR, 12, 0.5",
    "LINEAR, 20, 0",
    "COSINE, 2, 0.5",
    "COSINE, 8, 0.8535533905932737",
    "COSINE, 12, 0.5",
    "COSINE, 20, 0",
    "CONSTANT, 1, 0.25",
    "CONSTANT, 19, 1"
  })
  void factor(Schedule.Shape shape, long done, double want) {
    assertEquals(want, new Schedule(shape, 4, 20).factor(done), 1e-12);
  }
}
