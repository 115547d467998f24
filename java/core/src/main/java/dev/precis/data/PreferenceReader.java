package dev.precis.data;

import dev.precis.io.InvalidInputException;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Function;

/**
 * Reads preferences from files as {@link DialogueReader} reads them, in their order. The prompt is
 * in {@code prompt} (or {@code text}), used as it is, or in {@code dialogue}, which a template is
 * applied to.
 *
 * <p>TRL's formats are read too: prompt and answers may be lists of messages, and without a prompt
 * both answers are whole conversations, as messages, as hh-rlhf's transcripts or as texts, which
 * begin with the same prompt.
 */
public final class PreferenceReader {
  private PreferenceReader() {}

  /**
   * Reads pairs of answers: {@code chosen} and {@code rejected} beside the prompt, perhaps {@code
   * margin}, a number, or {@code score_chosen} and {@code score_rejected}, whose difference is the
   * margin.
   *
   * @throws InvalidInputException if the file cannot be used, a field is missing or empty, or both
   *     answers are the same
   * @throws java.io.UncheckedIOException if it cannot be read
   */
  public static List<PreferencePair> readPairs(Path file) {
    return readPairs(file, DataOptions.STRICT, Function.identity());
  }

  /**
   * Reads pairs and makes something of each.
   *
   * @param toItem may throw a {@link BadRowException} too; null leaves a pair out
   * @throws InvalidInputException if the data cannot be used
   * @throws java.io.UncheckedIOException if it cannot be read
   */
  public static <T> List<T> readPairs(
      Path data, DataOptions options, Function<PreferencePair, T> toItem) {
    return DataRows.read(data, "pair", options, (row, reader) -> toItem.apply(reader.pair(row)));
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
    return readFeedback(file, DataOptions.STRICT, Function.identity());
  }

  /** Reads single answers and makes something of each; see {@link #readPairs}. */
  public static <T> List<T> readFeedback(
      Path data, DataOptions options, Function<Feedback, T> toItem) {
    return DataRows.read(
        data, "answer", options, (row, reader) -> toItem.apply(reader.feedback(row)));
  }
}
