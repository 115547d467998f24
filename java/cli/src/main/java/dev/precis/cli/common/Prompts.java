package dev.precis.cli.common;

import dev.precis.data.DataOptions;
import dev.precis.data.Dialogue;
import dev.precis.data.DialogueReader;
import dev.precis.io.InvalidInputException;
import dev.precis.text.PromptTemplate;
import dev.precis.text.PromptTemplate.Example;
import dev.precis.text.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Makes prompts of dialogues: zero-shot, few-shot, or the dialogues as they are. */
public final class Prompts {
  private final PromptTemplate template;
  private final List<Example> examples;
  private final int shots;

  private Prompts(PromptTemplate template, List<Example> examples, int shots) {
    this.template = template;
    this.examples = examples;
    this.shots = shots;
  }

  /** Takes dialogues as whole prompts. */
  public static Prompts raw() {
    return new Prompts(PromptTemplate.RAW, List.of(), 0);
  }

  /** Makes prompts by a template. */
  public static Prompts of(PromptTemplate template) {
    return new Prompts(template, List.of(), 0);
  }

  /**
   * Makes prompts by a template, with examples before each dialogue.
   *
   * @param shots how many examples
   * @param examples dialogues and summaries
   */
  public static Prompts of(PromptTemplate template, int shots, Path examples, DataOptions options) {
    List<Example> all =
        DialogueReader.read(examples, options).stream()
            .filter(dialogue -> !dialogue.summaries().isEmpty() && !dialogue.raw())
            .map(dialogue -> new Example(dialogue.dialogue(), dialogue.summaries().getFirst()))
            .limit(shots + 1L) // one may be the question itself
            .toList();
    if (all.size() < shots) {
      throw new InvalidInputException(
          "%s has %d dialogues with a summary, fewer than --shots %d"
              .formatted(examples, all.size(), shots));
    }
    return new Prompts(template, all, shots);
  }

  /** Returns the prompt of a dialogue; a dialogue is no example for itself. */
  public String of(Dialogue dialogue) {
    if (dialogue.raw()) {
      return dialogue.dialogue();
    }
    List<Example> others =
        examples.stream()
            .filter(example -> !example.dialogue().equals(dialogue.dialogue()))
            .limit(shots)
            .toList();
    return template.fill(dialogue.dialogue(), others);
  }

  /**
   * Encodes the dialogues' prompts.
   *
   * @param source where the dialogues come from, for the error's sentence
   * @param truncate whether longer prompts are cut; else they are an error
   */
  public List<int[]> encode(
      Tokenizer tokenizer,
      List<Dialogue> dialogues,
      String source,
      int maxSourceLength,
      boolean truncate) {
    List<int[]> sources = new ArrayList<>();
    for (Dialogue dialogue : dialogues) {
      String text = of(dialogue);
      int[] tokens = tokenizer.encode(text);
      if (tokens.length > maxSourceLength) {
        if (!truncate) {
          throw new InvalidInputException(
              "%s: the prompt of '%s' has %d tokens, more than --max-source-length %d: raise that, or use --truncate"
                  .formatted(source, dialogue.id(), tokens.length, maxSourceLength));
        }
        tokens = tokenizer.encode(text, maxSourceLength);
      }
      sources.add(tokens);
    }
    return sources;
  }
}
