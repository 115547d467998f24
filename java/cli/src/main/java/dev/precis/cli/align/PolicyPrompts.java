package dev.precis.cli.align;

import dev.precis.alignment.policy.Prompt;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.options.PromptOptions;
import dev.precis.cli.options.ReadOptions;
import dev.precis.cli.train.RunConfig;
import dev.precis.data.Dialogue;
import dev.precis.data.DialogueReader;
import dev.precis.io.InvalidInputException;
import dev.precis.text.PromptTemplate;
import dev.precis.text.Tokenizer;
import java.util.ArrayList;
import java.util.List;

/**
 * The prompts of a run.
 *
 * @param training what the policy responds to and learns from
 * @param compared what baseline and aligned responses are compared on
 */
record PolicyPrompts(List<Prompt> training, List<Prompt> compared) {
  private static final int MOST_COMPARED = 256;

  /**
   * Reads the prompts.
   *
   * @param evalData null: the last tenth of the data is compared on
   */
  static PolicyPrompts read(
      BaseCommand command,
      Tokenizer tokenizer,
      PromptOptions options,
      ReadOptions.Data data,
      ReadOptions.Data evalData) {
    List<Prompt> all = all(command, tokenizer, options, data);
    if (evalData != null) {
      return new PolicyPrompts(all, all(command, tokenizer, options, evalData));
    }
    int compared = Math.min(MOST_COMPARED, all.size() / 10);
    if (compared == 0) {
      command.note(
          "Fewer than 10 prompts: baseline and aligned responses are compared on the training"
              + " prompts; --eval-data names others.");
      return new PolicyPrompts(all, all);
    }
    int from = all.size() - compared;
    return new PolicyPrompts(all.subList(0, from), all.subList(from, all.size()));
  }

  /**
   * Reads all prompts; those that are too long are left out with a note, or truncated where the
   * options say so.
   */
  static List<Prompt> all(
      BaseCommand command, Tokenizer tokenizer, PromptOptions options, ReadOptions.Data data) {
    PromptTemplate template = options.template();
    List<Prompt> prompts = new ArrayList<>();
    int leftOut = 0;
    for (Dialogue dialogue : DialogueReader.read(RunConfig.regular(data.path()), data.options())) {
      String text = dialogue.raw() ? dialogue.dialogue() : template.fill(dialogue.dialogue());
      int[] tokens = tokenizer.encode(text);
      if (tokens.length > options.maxSourceLength() && options.truncate()) {
        tokens = tokenizer.encode(text, options.maxSourceLength());
      }
      if (tokens.length > options.maxSourceLength()) {
        leftOut++;
        continue;
      }
      prompts.add(new Prompt(dialogue.id(), text, tokens, dialogue.summaries()));
    }
    if (leftOut > 0) {
      command.note(
          "%s: %,d of %,d prompts are left out: longer than %d tokens."
              .formatted(
                  data.given(), leftOut, leftOut + prompts.size(), options.maxSourceLength()));
    }
    if (prompts.isEmpty()) {
      throw new InvalidInputException(
          data.given()
              + " has no prompt that fits --max-source-length "
              + options.maxSourceLength());
    }
    return prompts;
  }
}
