package dev.precis.cli.options;

import dev.precis.cli.common.JudgeSettings;
import picocli.CommandLine.Option;

/** Holds {@code --judge} and the options that say how it is asked. */
public final class JudgeOptions {
  @Option(
      names = "--judge",
      paramLabel = "M",
      description = {
        "A model that says how far a text supports a claim, in place of --reward-model: a"
            + " classifier for natural language inference (RoBERTa, XLM-RoBERTa, BERT, DistilBERT,"
            + " ELECTRA, DeBERTa), a T5's encoder with a head (HHEM), or a T5 that answers with a"
            + " word (MiniCheck, UniEval, SteamSHP)."
      })
  private String judge;

  @Option(
      names = "--judge-label",
      paramLabel = "NAME",
      description =
          "The label of a classifier that means \"supported\" (default: entailment, or the only"
              + " one).")
  private String label;

  @Option(
      names = "--judge-prompt",
      paramLabel = "P",
      description =
          "The prompt of a T5: minicheck, unieval, steamshp or hhem, or a text with {prompt} (the"
              + " source) and {completion} (the claim) in it.")
  private String prompt;

  @Option(
      names = "--judge-answers",
      paramLabel = "A/B",
      description =
          "The words that a T5 answers with, the wanted one first (default: those of the prompt)."
              + " With one word, its probability is among all tokens.")
  private String answers;

  @Option(
      names = "--judge-rule",
      paramLabel = "RULE",
      defaultValue = "consistency",
      description = {
        "consistency: the source is cut into chunks, the best chunk counts for each sentence, and"
            + " the score is the mean over the sentences, as AlignScore has it.",
        "pair: source and text are compared once, as they are (default: ${DEFAULT-VALUE})."
      })
  private String rule;

  @Option(
      names = "--judge-chunk",
      paramLabel = "WORDS",
      defaultValue = "350",
      description = "Words of a chunk of the source (default: ${DEFAULT-VALUE}).")
  private int chunkWords;

  /** Returns the model as given; null where none was. */
  public String judge() {
    return judge;
  }

  /** Returns how it is asked. */
  public JudgeSettings settings() {
    return new JudgeSettings(label, prompt, answers);
  }

  /** Returns {@code consistency} or {@code pair}, or what else was given. */
  public String rule() {
    return rule;
  }

  /** Returns the words of a chunk. */
  public int chunkWords() {
    return chunkWords;
  }
}
