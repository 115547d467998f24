package dev.precis.alignment.preference;

import dev.precis.data.BadRowException;
import dev.precis.data.DataOptions;
import dev.precis.data.PreferencePair;
import dev.precis.data.PreferenceReader;
import dev.precis.io.InvalidInputException;
import dev.precis.text.PromptTemplate;
import dev.precis.text.Tokenizer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/**
 * Tokenizes preference data into examples.
 *
 * @param template of the model's input for dialogues; prompts are read as they are
 * @param maxSourceLength maximum tokens of a prompt; longer ones are skipped or truncated
 * @param maxTargetLength maximum tokens of a completion, likewise
 * @param truncate truncate what is too long instead of skipping it
 */
public record PreferenceExampleReader(
    Tokenizer tokenizer,
    PromptTemplate template,
    int maxSourceLength,
    int maxTargetLength,
    boolean truncate) {

  /**
   * Examples of a file.
   *
   * @param leftOut number of examples that were too long
   */
  public record Examples<T>(List<T> examples, int leftOut) {}

  /**
   * Reads pairs as {@link PreferenceReader} does. A pair whose completions are the same tokens is a
   * bad row.
   *
   * @throws InvalidInputException also where no pair is short enough
   */
  public Examples<PreferenceExample> readPairs(Path file, DataOptions options) {
    int[] leftOut = {0};
    List<PreferenceExample> examples =
        PreferenceReader.readPairs(
            file,
            options,
            pair -> {
              int[] source = source(pair.text(), pair.raw());
              int[] chosen = tokens(pair.chosen(), maxTargetLength);
              int[] rejected = tokens(pair.rejected(), maxTargetLength);
              if (source == null || chosen == null || rejected == null) {
                leftOut[0]++;
                return null;
              }
              if (Arrays.equals(chosen, rejected)) {
                throw sameTokens(pair, chosen.length);
              }
              return new PreferenceExample(source, chosen, rejected);
            });
    return checked(file, examples, leftOut[0]);
  }

  private BadRowException sameTokens(PreferencePair pair, int tokens) {
    return BadRowException.unusable(
        "%s: \"chosen\" and \"rejected\" are the same %d tokens, so that nothing is preferred%s"
            .formatted(
                pair.where(),
                tokens,
                truncate ? ": raise --max-target-length where they were cut" : ""));
  }

  /**
   * Reads completions with feedback as {@link PreferenceReader} does.
   *
   * @throws InvalidInputException also where none is short enough
   */
  public Examples<FeedbackExample> readFeedback(Path file, DataOptions options) {
    int[] leftOut = {0};
    List<FeedbackExample> examples =
        PreferenceReader.readFeedback(
            file,
            options,
            feedback -> {
              int[] source = source(feedback.text(), feedback.raw());
              int[] completion = tokens(feedback.completion(), maxTargetLength);
              if (source == null || completion == null) {
                leftOut[0]++;
                return null;
              }
              return new FeedbackExample(source, completion, feedback.good());
            });
    return checked(file, examples, leftOut[0]);
  }

  private int[] source(String text, boolean raw) {
    return tokens(raw ? text : template.fill(text), maxSourceLength);
  }

  /** Returns the tokens, truncated if the options say so; null if they are too many. */
  private int[] tokens(String text, int most) {
    int[] all = tokenizer.encode(text);
    if (all.length <= most) {
      return all;
    }
    return truncate ? tokenizer.encode(text, most) : null;
  }

  private <T> Examples<T> checked(Path file, List<T> examples, int leftOut) {
    if (examples.isEmpty()) {
      throw new InvalidInputException(
          file
              + ": every prompt is longer than "
              + maxSourceLength
              + " tokens or its answer longer than "
              + maxTargetLength
              + ": raise --max-source-length or --max-target-length, or cut with --truncate");
    }
    return new Examples<>(examples, leftOut);
  }
}
