package dev.precis.training;

import dev.precis.data.DataOptions;
import dev.precis.data.Dialogue;
import dev.precis.data.DialogueReader;
import dev.precis.io.InvalidInputException;
import dev.precis.text.PromptTemplate;
import dev.precis.text.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * Tokenizes dialogues and their summaries into examples.
 *
 * @param template of the model's input
 * @param maxSourceLength maximum tokens of a source; longer dialogues are skipped or truncated
 * @param maxTargetLength maximum tokens of a summary, likewise
 * @param truncate truncate what is too long instead of skipping it
 * @param allReferences make an example of each reference summary, not only of the first
 */
public record ExampleReader(
    Tokenizer tokenizer,
    PromptTemplate template,
    int maxSourceLength,
    int maxTargetLength,
    boolean truncate,
    boolean allReferences) {

  /**
   * Examples of a file.
   *
   * @param leftOut number of pairs of a dialogue and a summary that were too long
   */
  public record Examples(List<Example> examples, int leftOut) {}

  /**
   * Reads a file as {@link DialogueReader} does; the first bad row ends the reading.
   *
   * @throws InvalidInputException where a dialogue has no summary, or none is short enough
   */
  public Examples read(Path file) {
    return read(file, DataOptions.STRICT);
  }

  /**
   * Reads a file or folder as {@link DialogueReader#streamSummarized} does.
   *
   * @throws InvalidInputException where no row can be used, or none is short enough
   */
  public Examples read(Path file, DataOptions options) {
    List<Example> examples = new ArrayList<>();
    int leftOut = 0;
    try (Stream<Dialogue> dialogues = DialogueReader.streamSummarized(file, options)) {
      for (Dialogue dialogue : (Iterable<Dialogue>) dialogues::iterator) {
        String prompt = dialogue.raw() ? dialogue.dialogue() : template.fill(dialogue.dialogue());
        int[] source = tokenizer.encode(prompt);
        int references = allReferences ? dialogue.summaries().size() : 1;
        for (String summary : dialogue.summaries().subList(0, references)) {
          int[] target = tokenizer.encode(summary);
          boolean fits = source.length <= maxSourceLength && target.length <= maxTargetLength;
          if (!fits && !truncate) {
            leftOut++;
            continue;
          }
          examples.add(
              fits
                  ? new Example(source, target)
                  : new Example(
                      tokenizer.encode(prompt, maxSourceLength),
                      tokenizer.encode(summary, maxTargetLength)));
        }
      }
    }
    if (examples.isEmpty()) {
      throw tooLong(file);
    }
    return new Examples(examples, leftOut);
  }

  /**
   * Reads dialogues with all their references, for an evaluation that generates. Those whose source
   * is too long are left out.
   *
   * @param limit most dialogues; 0: all
   * @throws InvalidInputException where no row can be used, or none is short enough
   */
  public List<RougeEvaluation.Source> readSources(Path file, DataOptions options, int limit) {
    List<RougeEvaluation.Source> sources = new ArrayList<>();
    for (Dialogue dialogue : DialogueReader.readReferences(file, options)) {
      String prompt = dialogue.raw() ? dialogue.dialogue() : template.fill(dialogue.dialogue());
      int[] source = tokenizer.encode(prompt);
      if (source.length > maxSourceLength && truncate) {
        source = tokenizer.encode(prompt, maxSourceLength);
      }
      if (source.length <= maxSourceLength) {
        sources.add(new RougeEvaluation.Source(source, dialogue.summaries()));
      }
      if (sources.size() == limit) {
        break;
      }
    }
    if (sources.isEmpty()) {
      throw tooLong(file);
    }
    return sources;
  }

  private InvalidInputException tooLong(Path file) {
    return new InvalidInputException(
        file
            + ": every dialogue is longer than "
            + maxSourceLength
            + " tokens or its summary longer than "
            + maxTargetLength
            + ": raise --max-source-length or --max-target-length, or cut with --truncate");
  }
}
