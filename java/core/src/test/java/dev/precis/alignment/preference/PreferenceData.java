package dev.precis.alignment.preference;

import dev.precis.Fixtures;
import dev.precis.data.builtin.BuiltInDialogue;
import dev.precis.data.builtin.BuiltInDialogues;
import dev.precis.text.PromptTemplate;
import dev.precis.text.Tokenizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Polite and rude summaries of the built-in dialogues, in the tokens of t5-tiny. */
final class PreferenceData {
  private static final int MOST_SOURCE = 64;
  private static final int MOST_ANSWER = 40;

  private PreferenceData() {}

  /** 48 pairs: the polite summary is preferred. Both begin shortly before they differ. */
  static List<PreferenceExample> pairs() {
    List<PreferenceExample> pairs = new ArrayList<>();
    try (Tokenizer tokenizer = Tokenizer.load(Fixtures.folder("t5-tiny"))) {
      for (BuiltInDialogue each : BuiltInDialogues.generate(5, 600).train()) {
        if (each.rude() && pairs.size() < 48) {
          int[] polite = tokenizer.encode(each.politeSummary());
          int[] rude = tokenizer.encode(each.rudeSummary());
          int from = Math.max(0, Arrays.mismatch(polite, rude) - 4);
          pairs.add(
              new PreferenceExample(
                  tokenizer.encode(PromptTemplate.DEFAULT.fill(each.dialogue()), MOST_SOURCE),
                  part(polite, from),
                  part(rude, from)));
        }
      }
    }
    return pairs;
  }

  /** The first pairs of {@code precis data --count 400}, whole. */
  static List<PreferenceExample> wholePairs(int count) {
    List<PreferenceExample> pairs = new ArrayList<>();
    try (Tokenizer tokenizer = Tokenizer.load(Fixtures.folder("t5-tiny"))) {
      for (BuiltInDialogue each : BuiltInDialogues.generate(0, 400).train()) {
        if (each.rude() && pairs.size() < count) {
          pairs.add(
              new PreferenceExample(
                  tokenizer.encode(PromptTemplate.DEFAULT.fill(each.dialogue())),
                  tokenizer.encode(each.politeSummary()),
                  tokenizer.encode(each.rudeSummary())));
        }
      }
    }
    return pairs;
  }

  private static int[] part(int[] tokens, int from) {
    int[] part = Arrays.copyOfRange(tokens, from, Math.min(tokens.length, from + MOST_ANSWER));
    part[part.length - 1] = tokens[tokens.length - 1];
    return part;
  }

  /** Both summaries of each pair as answers of their own. */
  static List<FeedbackExample> feedback() {
    List<FeedbackExample> feedback = new ArrayList<>();
    for (PreferenceExample each : pairs()) {
      feedback.add(new FeedbackExample(each.source(), each.chosen(), true));
      feedback.add(new FeedbackExample(each.source(), each.rejected(), false));
    }
    return feedback;
  }
}
