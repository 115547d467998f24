package dev.precis.tools;

import dev.precis.data.builtin.BuiltInDialogue;
import dev.precis.data.builtin.BuiltInDialogues;
import dev.precis.text.PromptTemplate;
import java.util.List;

/** Tokenizers for small models of the built-in dialogues, trained on the training split alone. */
public final class DialogueTokenizers {
  private static final List<String> SPEAKERS =
      List.of("#Person1#", "#Person2#", "#Person3#", "#Person4#");

  private DialogueTokenizers() {}

  /**
   * Returns a trainer that has read the prompts (by the default template) and the summaries. {@code
   * #Person1#} is one token.
   *
   * @param vocabularySize at most so many tokens; the default dialogues fill about 1,360
   */
  public static UnigramTrainer unigram(BuiltInDialogues dialogues, int vocabularySize) {
    UnigramTrainer trainer = new UnigramTrainer(vocabularySize, SPEAKERS);
    for (BuiltInDialogue each : dialogues.train()) {
      trainer.add(PromptTemplate.DEFAULT.fill(each.dialogue()));
      each.summaries().forEach(trainer::add);
    }
    return trainer;
  }

  /**
   * Returns a byte-level trainer, for a classifier, that has read the summaries.
   *
   * @param vocabularySize at most so many tokens
   */
  public static BpeTrainer byteLevel(BuiltInDialogues dialogues, int vocabularySize) {
    BpeTrainer trainer = new BpeTrainer(vocabularySize);
    for (BuiltInDialogue each : dialogues.train()) {
      each.summaries().forEach(trainer::add);
      if (each.rude()) {
        trainer.add(each.politeSummary());
      }
    }
    return trainer;
  }
}
