package dev.precis.alignment.reward;

import dev.precis.data.BadRowException;
import dev.precis.data.LabelledText;
import dev.precis.data.PreferencePair;
import dev.precis.io.InvalidInputException;
import dev.precis.random.SplitMix64;
import dev.precis.text.PromptTemplate;
import dev.precis.text.Tokenizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.TreeSet;

/**
 * Tokenizes pairs and labelled texts into examples for reward models and classifiers.
 *
 * @param template template of prompt and completion
 * @param maxTokens maximum tokens of a sequence, special tokens included; longer ones are
 *     truncated, the prompt first
 */
public record RewardExamples(Tokenizer tokenizer, RewardTemplate template, int maxTokens) {
  /**
   * Training and held-out examples.
   *
   * @param <E> type of the examples
   */
  public record Split<E>(List<E> training, List<E> heldOut) {}

  /**
   * Returns the examples of pairs.
   *
   * @param dialogues template that makes prompts of dialogues
   * @throws InvalidInputException where both completions of a pair have the same tokens
   */
  public List<PairExample> pairs(List<PreferencePair> pairs, PromptTemplate dialogues) {
    return pairs.stream().map(pair -> pair(pair, dialogues)).toList();
  }

  /**
   * Returns the example of a pair.
   *
   * @param dialogues template that makes prompts of dialogues
   * @throws BadRowException where both completions have the same tokens
   */
  public PairExample pair(PreferencePair pair, PromptTemplate dialogues) {
    String prompt = pair.raw() ? pair.text() : dialogues.fill(pair.text());
    int[] chosen = encode(prompt, pair.chosen());
    int[] rejected = encode(prompt, pair.rejected());
    if (Arrays.equals(chosen, rejected)) {
      throw BadRowException.unusable(
          "%s: \"chosen\" and \"rejected\" are the same in the %d tokens that the model reads"
              .formatted(pair.where(), maxTokens));
    }
    return new PairExample(chosen, rejected, pair.margin());
  }

  private int[] encode(String prompt, String answer) {
    String text = template.fill(prompt, answer, each -> tokenizer.encode(each).length, maxTokens);
    return tokenizer.encode(text, maxTokens);
  }

  /**
   * Returns the examples of labelled texts.
   *
   * @param labels labels of the model
   * @throws InvalidInputException where a text has another label
   */
  public List<LabelledExample> texts(List<LabelledText> texts, List<String> labels) {
    List<LabelledExample> all = new ArrayList<>(texts.size());
    for (LabelledText text : texts) {
      int label = labels.indexOf(text.label());
      if (label < 0) {
        throw new InvalidInputException(
            "%s has the label '%s', but the model's labels are: %s"
                .formatted(text.where(), text.label(), String.join(", ", labels)));
      }
      all.add(
          new LabelledExample(tokenizer.encode(template.fill("", text.text()), maxTokens), label));
    }
    return all;
  }

  /**
   * Returns the labels for a model of these texts: the model's own if they cover all texts, else
   * those of the texts in alphabetical order.
   *
   * @param own labels of the model that training starts from
   * @throws InvalidInputException where all texts have the same label
   */
  public static List<String> labels(List<LabelledText> texts, List<String> own, String file) {
    TreeSet<String> found = new TreeSet<>();
    texts.forEach(text -> found.add(text.label()));
    if (found.size() < 2) {
      throw new InvalidInputException(
          "%s: every text has the label '%s', so that there is nothing to tell apart"
              .formatted(file, found.first()));
    }
    return own.size() > 1 && own.containsAll(found) ? own : List.copyOf(found);
  }

  /**
   * Splits the examples at random.
   *
   * @param share share of held-out examples, in [0, 1)
   */
  public static <E> Split<E> split(List<E> all, double share, long seed) {
    int held = (int) Math.round(all.size() * share);
    int[] order = new int[all.size()];
    Arrays.setAll(order, i -> i);
    new SplitMix64(SplitMix64.mix(seed, 0x68656c64L)).shuffle(order);
    boolean[] out = new boolean[all.size()];
    for (int i = 0; i < held; i++) {
      out[order[i]] = true;
    }
    List<E> training = new ArrayList<>();
    List<E> heldOut = new ArrayList<>();
    for (int i = 0; i < out.length; i++) {
      (out[i] ? heldOut : training).add(all.get(i));
    }
    return new Split<>(training, heldOut);
  }
}
