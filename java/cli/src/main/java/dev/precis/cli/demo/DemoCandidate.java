package dev.precis.cli.demo;

import dev.precis.T5;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.Progress;
import dev.precis.data.builtin.BuiltInDialogue;
import dev.precis.data.builtin.BuiltInDialogues;
import dev.precis.evaluation.Rouge;
import dev.precis.generation.GeneratedTokens;
import dev.precis.generation.GenerationOptions;
import dev.precis.text.PromptTemplate;
import java.util.ArrayList;
import java.util.List;

/** A model's summaries of the test dialogues, and their scores. */
record DemoCandidate(
    String name, List<String> summaries, double[] rouge1, double[] rougeL, double[] toxicity) {
  static final int MAX_NEW_TOKENS = 60;

  /**
   * Beam search without repeated trigrams, as summaries are usually decoded. Where a model as small
   * as this one is unsure, greedy decoding takes a wrong turn early and then repeats itself.
   */
  static final GenerationOptions DECODING =
      GenerationOptions.builder()
          .maxNewTokens(MAX_NEW_TOKENS)
          .numBeams(4)
          .noRepeatNgramSize(3)
          .build();

  private static final int BATCH = 32;

  /** Returns whether the model was aligned, after it was fine-tuned. */
  boolean aligned() {
    return name.contains("+");
  }

  /** The prompt of a dialogue. */
  static String prompt(BuiltInDialogue dialogue) {
    return PromptTemplate.DEFAULT.fill(dialogue.dialogue());
  }

  /** Summarizes all test dialogues and scores the summaries against the best reference. */
  static DemoCandidate evaluate(
      BaseCommand command, String name, T5 t5, BuiltInDialogues data, DemoAlignment alignment) {
    List<int[]> sources = data.test().stream().map(d -> t5.tokenizer().encode(prompt(d))).toList();
    List<String> summaries = new ArrayList<>();
    try (Progress progress = new Progress(command.terminal(), command.common().quiet())) {
      progress.show("%s: summarizing %d dialogues".formatted(name, sources.size()));
      for (List<GeneratedTokens> each : t5.generateTokens(sources, DECODING, BATCH, null)) {
        summaries.add(t5.decode(each.getFirst()).text());
      }
    }
    Rouge rouge = Rouge.of(Rouge.Preset.STEMMER);
    double[] rouge1 = new double[summaries.size()];
    double[] rougeL = new double[summaries.size()];
    for (int i = 0; i < rouge1.length; i++) {
      Rouge.Scores scores =
          rouge.score(summaries.get(i), data.test().get(i).summaries(), Rouge.MultiReference.MAX);
      rouge1[i] = scores.rouge1().f1();
      rougeL[i] = scores.rougeL().f1();
    }
    return new DemoCandidate(name, summaries, rouge1, rougeL, alignment.toxicity(summaries));
  }
}
