package dev.precis.data;

import dev.precis.io.InvalidInputException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * Reads preferences from files as {@link DialogueReader} reads them ({@code .jsonl}, {@code .json},
 * {@code .csv}, {@code .parquet}), in their order and as strictly. The prompt is in {@code prompt}
 * (or {@code text}), used as it is, or in {@code dialogue}, which a template is applied to.
 */
public final class PreferenceReader {
  private PreferenceReader() {}

  /**
   * Reads pairs of answers: {@code chosen} and {@code rejected} beside the prompt, perhaps {@code
   * margin}, a number.
   *
   * @throws InvalidInputException if the file cannot be used, a field is missing or empty, or both
   *     answers are the same
   * @throws java.io.UncheckedIOException if it cannot be read
   */
  public static List<PreferencePair> readPairs(Path file) {
    try (Stream<Row> rows = DialogueReader.rows(file, "pair")) {
      return rows.map(Row::toPair).toList();
    }
  }

  /**
   * Reads single answers: {@code completion} and {@code label} (true, false, 1 or 0) beside the
   * prompt.
   *
   * @throws InvalidInputException if the file cannot be used, or a field is missing, empty or of
   *     another type
   * @throws java.io.UncheckedIOException if it cannot be read
   */
  public static List<Feedback> readFeedback(Path file) {
    try (Stream<Row> rows = DialogueReader.rows(file, "answer")) {
      return rows.map(Row::toFeedback).toList();
    }
  }
}
