package dev.precis.evaluation;

import dev.precis.io.InvalidInputException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;

/**
 * Computes ROUGE, the recall and precision of a prediction's words against a reference summary
 * (Lin: ROUGE: A Package for Automatic Evaluation of Summaries, 2004), with the same numbers as
 * Google's rouge_score.
 *
 * <p>With hits of a prediction of p things and a reference of r things:
 *
 * <pre>
 *   precision = hits / p     recall = hits / r     F1 = 2 precision recall / (precision + recall)
 *
 *   ROUGE-1, -2   things are words, pairs of neighbours
 *                 hits = sum over distinct things of min(count in prediction, count in reference)
 *   ROUGE-L       things are words
 *                 hits = length of the longest common subsequence of the two texts
 *   ROUGE-Lsum    things are words
 *                 hits = sum over the reference's sentences of | union over the prediction's
 *                 sentences of the words in their longest common subsequence |, each word counted
 *                 at most as often as it is in either text
 * </pre>
 *
 * <p>Everything is 0 where a text has no words. A word is a run of a-z and 0-9 after lower-casing,
 * which is English only; {@link Preset} says what else there is to choose. Immutable.
 */
public final class Rouge {
  /** Maximum length of a text in words; time and memory grow with its square. */
  public static final int MAX_WORDS = 20_000;

  private final Preset preset;

  /** Variants of ROUGE in common use; their F1 differ by several points. */
  public enum Preset {
    /** rouge_score with use_stemmer, as in papers and courses on FLAN-T5. */
    STEMMER("rouge_score", true, false, "Porter stemmer, sentences end at line ends"),
    /** rouge_score and Hugging Face evaluate with their defaults. */
    NO_STEMMER("rouge_score-no-stemmer", false, false, "no stemmer, sentences end at line ends"),
    /**
     * rouge_score with use_stemmer and split_summaries, or with line ends put between the sentences
     * as Hugging Face's summarization examples do. Those ask a trained model where sentences end;
     * here they end where punctuation says so, which agrees on plain prose. Only Lsum differs from
     * {@link #STEMMER}.
     */
    SENTENCES("rouge_score-sentences", true, true, "Porter stemmer, sentences end at . ! ? too");

    private final String id;
    private final boolean stems;
    private final boolean splitsSentences;
    private final String description;

    Preset(String id, boolean stems, boolean splitsSentences, String description) {
      this.id = id;
      this.stems = stems;
      this.splitsSentences = splitsSentences;
      this.description = description;
    }

    /** Returns its name in options and reports. */
    public String id() {
      return id;
    }

    /** Returns its settings in a few words, for reports. */
    public String description() {
      return description;
    }

    /**
     * Returns the preset with a name.
     *
     * @throws InvalidInputException where there is none; the message names them all
     */
    public static Preset of(String id) {
      for (Preset preset : values()) {
        if (preset.id.equals(id)) {
          return preset;
        }
      }
      throw new InvalidInputException(
          "There is no ROUGE preset '%s'; there are %s"
              .formatted(id, String.join(", ", Arrays.stream(values()).map(Preset::id).toList())));
    }
  }

  /** Combinations of the scores against several references. */
  public enum MultiReference {
    /** Each metric against the reference where its F1 is highest, as rouge_score's score_multi. */
    MAX,
    /** The mean over the references, of precision, recall and F1 each. */
    MEAN
  }

  /** Precision, recall and their harmonic mean. */
  public record Score(double precision, double recall, double f1) {
    static Score of(int hits, int predicted, int referenced) {
      double precision = (double) hits / Math.max(predicted, 1);
      double recall = (double) hits / Math.max(referenced, 1);
      double sum = precision + recall;
      return new Score(precision, recall, sum > 0 ? 2 * precision * recall / sum : 0);
    }
  }

  /** Metrics of ROUGE. */
  public enum Metric {
    ROUGE_1("rouge1", Scores::rouge1),
    ROUGE_2("rouge2", Scores::rouge2),
    ROUGE_L("rougeL", Scores::rougeL),
    ROUGE_LSUM("rougeLsum", Scores::rougeLsum);

    private final String id;
    private final Function<Scores, Score> score;

    Metric(String id, Function<Scores, Score> score) {
      this.id = id;
      this.score = score;
    }

    /** Returns its name in reports. */
    public String id() {
      return id;
    }

    /** Returns the metric's score among all. */
    public Score of(Scores scores) {
      return score.apply(scores);
    }
  }

  /** Scores of a prediction under the four metrics. */
  public record Scores(Score rouge1, Score rouge2, Score rougeL, Score rougeLsum) {}

  private Rouge(Preset preset) {
    this.preset = preset;
  }

  public static Rouge of(Preset preset) {
    return new Rouge(preset);
  }

  public Preset preset() {
    return preset;
  }

  /** Compares a prediction with a reference. */
  public Scores score(String prediction, String reference) {
    Map<String, Integer> ids = new HashMap<>();
    int[] p = ids(words(prediction), ids);
    int[] r = ids(words(reference), ids);
    return new Scores(
        overlap(p, r, 1),
        overlap(p, r, 2),
        Score.of(new Subsequence(r, p).length(), p.length, r.length),
        summaryLevel(sentences(prediction, ids), sentences(reference, ids)));
  }

  /**
   * Compares a prediction with several references.
   *
   * @param references one or more
   */
  public Scores score(String prediction, List<String> references, MultiReference combination) {
    if (references.isEmpty()) {
      throw new IllegalArgumentException("There is no reference");
    }
    List<Scores> all = references.stream().map(each -> score(prediction, each)).toList();
    return combination == MultiReference.MEAN ? mean(all) : perMetric(all, Rouge::best);
  }

  /** Returns the mean of each number over one or more scores. */
  static Scores mean(List<Scores> all) {
    return all.size() == 1 ? all.getFirst() : perMetric(all, Rouge::mean);
  }

  private interface Combination {
    Score of(List<Scores> all, Metric metric);
  }

  private static Scores perMetric(List<Scores> all, Combination combination) {
    return new Scores(
        combination.of(all, Metric.ROUGE_1),
        combination.of(all, Metric.ROUGE_2),
        combination.of(all, Metric.ROUGE_L),
        combination.of(all, Metric.ROUGE_LSUM));
  }

  private static Score best(List<Scores> all, Metric metric) {
    Score best = metric.of(all.getFirst());
    for (Scores each : all) {
      Score score = metric.of(each);
      best = score.f1 > best.f1 ? score : best;
    }
    return best;
  }

  private static Score mean(List<Scores> all, Metric metric) {
    double precision = 0;
    double recall = 0;
    double f1 = 0;
    for (Scores each : all) {
      Score score = metric.of(each);
      precision += score.precision;
      recall += score.recall;
      f1 += score.f1;
    }
    int n = all.size();
    return new Score(precision / n, recall / n, f1 / n);
  }

  /** Returns the words of a text as they are compared. */
  List<String> words(String text) {
    String lower = text.toLowerCase(Locale.ROOT);
    List<String> words = new ArrayList<>();
    int start = -1;
    for (int i = 0; i <= lower.length(); i++) {
      char c = i < lower.length() ? lower.charAt(i) : ' ';
      boolean inside = c >= 'a' && c <= 'z' || c >= '0' && c <= '9';
      if (inside && start < 0) {
        start = i;
      } else if (!inside && start >= 0) {
        String word = lower.substring(start, i);
        words.add(preset.stems && word.length() > 3 ? PorterStemmer.stem(word) : word);
        start = -1;
      }
    }
    if (words.size() > MAX_WORDS) {
      throw new InvalidInputException(
          "A text of %d words is longer than the %d that ROUGE compares"
              .formatted(words.size(), MAX_WORDS));
    }
    return words;
  }

  private static int[] ids(List<String> words, Map<String, Integer> ids) {
    int[] result = new int[words.size()];
    for (int i = 0; i < result.length; i++) {
      result[i] = ids.computeIfAbsent(words.get(i), word -> ids.size());
    }
    return result;
  }

  private List<int[]> sentences(String text, Map<String, Integer> ids) {
    List<String> sentences =
        preset.splitsSentences ? SentenceSplitter.split(text) : List.of(text.split("\n"));
    return sentences.stream().map(sentence -> ids(words(sentence), ids)).toList();
  }

  /** Computes ROUGE-N for n of 1 or 2. */
  private static Score overlap(int[] prediction, int[] reference, int n) {
    long[] p = sortedNgrams(prediction, n);
    long[] r = sortedNgrams(reference, n);
    int hits = 0;
    for (int i = 0, j = 0; i < p.length && j < r.length; ) {
      if (p[i] == r[j]) {
        hits++;
        i++;
        j++;
      } else if (p[i] < r[j]) {
        i++;
      } else {
        j++;
      }
    }
    return Score.of(hits, p.length, r.length);
  }

  private static long[] sortedNgrams(int[] words, int n) {
    long[] ngrams = new long[Math.max(words.length - n + 1, 0)];
    for (int i = 0; i < ngrams.length; i++) {
      ngrams[i] = n == 1 ? words[i] : (long) words[i] << 32 | words[i + 1];
    }
    Arrays.sort(ngrams);
    return ngrams;
  }

  private static Score summaryLevel(List<int[]> prediction, List<int[]> reference) {
    Map<Integer, Integer> left = counts(prediction);
    Map<Integer, Integer> leftOfReference = counts(reference);
    int hits = 0;
    for (int[] sentence : reference) {
      BitSet union = new BitSet(sentence.length);
      for (int[] other : prediction) {
        new Subsequence(sentence, other).markIn(union);
      }
      for (int i = union.nextSetBit(0); i >= 0; i = union.nextSetBit(i + 1)) {
        int word = sentence[i];
        if (left.getOrDefault(word, 0) > 0 && leftOfReference.get(word) > 0) {
          hits++;
          left.merge(word, -1, Integer::sum);
          leftOfReference.merge(word, -1, Integer::sum);
        }
      }
    }
    return Score.of(hits, total(prediction), total(reference));
  }

  private static Map<Integer, Integer> counts(List<int[]> sentences) {
    Map<Integer, Integer> counts = new HashMap<>();
    for (int[] sentence : sentences) {
      for (int word : sentence) {
        counts.merge(word, 1, Integer::sum);
      }
    }
    return counts;
  }

  private static int total(List<int[]> sentences) {
    return sentences.stream().mapToInt(sentence -> sentence.length).sum();
  }

  /**
   * The longest common subsequence of a (rows) and b (columns). The table keeps one row of lengths
   * and, for backtracking, one bit per cell: true if the path goes left.
   */
  private static final class Subsequence {
    private final int[] a;
    private final int[] b;
    private final BitSet goesLeft;
    private final int length;

    Subsequence(int[] a, int[] b) {
      this.a = a;
      this.b = b;
      goesLeft = new BitSet(a.length * b.length);
      int[] row = new int[b.length + 1];
      for (int i = 0; i < a.length; i++) {
        int diagonal = 0; // the cell above to the left
        for (int j = 0; j < b.length; j++) {
          int above = row[j + 1];
          if (a[i] == b[j]) {
            row[j + 1] = diagonal + 1;
          } else if (row[j] > above) {
            row[j + 1] = row[j];
            goesLeft.set(i * b.length + j);
          }
          diagonal = above;
        }
      }
      length = row[b.length];
    }

    int length() {
      return length;
    }

    /** Marks the words of a that are in it; of equally long subsequences, the last one. */
    void markIn(BitSet places) {
      int i = a.length - 1;
      int j = b.length - 1;
      while (i >= 0 && j >= 0) {
        if (a[i] == b[j]) {
          places.set(i--);
          j--;
        } else if (goesLeft.get(i * b.length + j)) {
          j--;
        } else {
          i--;
        }
      }
    }
  }
}
