package dev.precis.evaluation;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;

/**
 * Finds the sentences of an English dialogue that a summary draws on, without a model: a greedy
 * extractive oracle (Nallapati, Zhai, Zhou 2017) for each sentence of the summary. It adds the
 * sentence of the dialogue that covers most of its content words not yet covered, at most {@value
 * #MOST} of them. A word that many sentences of the dialogue have counts less. Thread-safe.
 */
public final class SourceSentences {
  private static final int MOST = 3;

  /** Less weight of new words than this is a coincidence. */
  private static final double LEAST_GAIN = 0.6;

  /** Less than this share of a sentence's words is a coincidence, too. */
  private static final double LEAST_SHARE = 0.2;

  private static final double SPEAKER_WEIGHT = 0.5;

  private final List<Turn> turns;
  private final List<Set<String>> stems = new ArrayList<>();
  private final List<Set<String>> speakers = new ArrayList<>();
  private final Map<String, Integer> counts = new HashMap<>();

  /**
   * A line of a dialogue.
   *
   * @param speaker the name in front of it; empty if it has none
   * @param sentences what is said; never blank
   */
  public record Turn(String speaker, List<String> sentences) {
    /** Copies the sentences. */
    public Turn {
      sentences = List.copyOf(sentences);
    }
  }

  private SourceSentences(List<Turn> turns) {
    this.turns = turns;
    for (Turn turn : turns) {
      for (String sentence : turn.sentences) {
        Set<String> words = SpokenWords.stems(sentence);
        words.forEach(word -> counts.merge(word, 1, Integer::sum));
        stems.add(words);
        speakers.add(SpokenWords.stems(turn.speaker));
      }
    }
  }

  /** Splits a dialogue into its lines and sentences; empty lines are left out. */
  public static SourceSentences of(String dialogue) {
    List<Turn> turns = new ArrayList<>();
    for (String line : dialogue.split("\\R")) {
      Matcher turn = SpokenWords.TURN.matcher(line);
      boolean spoken = turn.matches();
      List<String> sentences = SentenceSplitter.split(spoken ? turn.group(2) : line);
      if (!sentences.isEmpty()) {
        turns.add(new Turn(spoken ? turn.group(1) : "", sentences));
      }
    }
    return new SourceSentences(List.copyOf(turns));
  }

  /** Returns the lines of the dialogue. */
  public List<Turn> turns() {
    return turns;
  }

  /** Returns the indices of the sentences that a summary draws on, counted over all lines. */
  public BitSet drawnOn(String summary) {
    BitSet found = new BitSet();
    for (String sentence : SentenceSplitter.split(summary)) {
      Set<String> open = new HashSet<>(SpokenWords.stems(sentence));
      double all = open.stream().mapToDouble(this::weight).sum();
      for (int i = 0; i < MOST; i++) {
        int best = best(open);
        double gain = best < 0 ? 0 : gain(open, best);
        if (gain < LEAST_GAIN || gain < LEAST_SHARE * all) {
          break;
        }
        found.set(best);
        open.removeAll(stems.get(best));
        open.removeAll(speakers.get(best));
      }
    }
    return found;
  }

  private int best(Set<String> open) {
    int best = -1;
    double most = 0;
    for (int i = 0; i < stems.size(); i++) {
      double gain = gain(open, i);
      if (gain > most) {
        most = gain;
        best = i;
      }
    }
    return best;
  }

  private double gain(Set<String> open, int sentence) {
    double gain = 0;
    for (String stem : open) {
      if (stems.get(sentence).contains(stem)) {
        gain += weight(stem);
      } else if (speakers.get(sentence).contains(stem)) {
        gain += SPEAKER_WEIGHT * weight(stem);
      }
    }
    return gain;
  }

  private double weight(String stem) {
    return 1 / (1 + Math.log(counts.getOrDefault(stem, 1)));
  }
}
