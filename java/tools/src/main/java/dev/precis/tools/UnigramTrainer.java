package dev.precis.tools;

import dev.precis.io.AtomicFile;
import dev.precis.io.InvalidInputException;
import dev.precis.text.SentencePieceModel;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Learns a T5 tokenizer from texts: a Unigram model (Kudo: Subword Regularization, ACL 2018) over
 * words that begin with {@code ▁}.
 *
 * <p>A word is cut into the pieces x_1 .. x_m whose product of probabilities p(x_1) .. p(x_m) is
 * largest. Training starts from all characters and the most frequent substrings, and repeats:
 *
 * <pre>
 *   E: c(x) = expected count of x over all ways to cut all words, each weighted by its probability
 *   M: p(x) = exp(digamma(c(x)) - digamma(sum of all c)), and x with c(x) &lt; 1/2 goes
 *      (both twice)
 *   prune: the quarter of the pieces goes whose loss
 *      f(x) (log p(x) - sum of log p(y) over the best way to cut x otherwise) is smallest,
 *      f(x) being how often x is used in the best ways to cut the words
 * </pre>
 *
 * <p>until as many are left as wanted. A piece holds letters, or an apostrophe and letters, or one
 * digit, or marks, never a mixture: "Friday" is one piece wherever it stands, and numbers are
 * copied digit by digit. Every printable ASCII character is a piece, so that no such text has an
 * unknown one.
 *
 * <p>The same texts give the same bytes on every machine, whatever their order. Belongs to one
 * thread.
 */
public final class UnigramTrainer {
  private static final char SPACE = '\u2581';
  private static final int LONGEST_PIECE = 16;
  private static final int LONGEST_WORD = 256;
  private static final int SEEDS_PER_PIECE = 16;
  private static final double KEPT_WHEN_PRUNING = 0.75;
  private static final int EM_ROUNDS = 2;
  private static final double LEAST_COUNT = 0.5;

  /** Count of a required piece that never occurs: lower than that of any that does. */
  private static final double UNSEEN_COUNT = 0.01;

  private static final List<String> SPECIAL = List.of("<pad>", "</s>", "<unk>");

  private final int vocabularySize;
  private final List<String> wholeWords;
  private final Map<String, Long> words = new TreeMap<>();
  private String[] pieces;
  private boolean[] required;
  private boolean[] alive;
  private double[] logProbability;
  private Word[] lattices;

  /**
   * A word and the pieces that could be in it: piece p from start to end, sorted by end.
   *
   * @param length in characters
   */
  private record Word(int length, double count, int[] start, int[] end, int[] piece) {}

  /**
   * @param vocabularySize how many tokens at most, {@code <pad>}, {@code </s>} and {@code <unk>}
   *     included
   * @param wholeWords what is one token wherever a word begins with it, such as {@code #Person1#}
   */
  public UnigramTrainer(int vocabularySize, List<String> wholeWords) {
    this.vocabularySize = vocabularySize;
    this.wholeWords = List.copyOf(wholeWords);
  }

  /** Takes the words of a text into account. */
  public void add(String text) {
    add(text, 1);
  }

  /** Takes the words of a text into account so many times. */
  public void add(String text, long times) {
    for (String word : text.split("\\s+")) {
      if (!word.isEmpty() && word.length() <= LONGEST_WORD) {
        words.merge(SPACE + word, times, Long::sum);
      }
    }
  }

  /**
   * Trains and writes {@code tokenizer.json} and {@code tokenizer_config.json}, which {@link
   * Tokenizer#load} and transformers read.
   *
   * @throws InvalidInputException where the vocabulary is too small for the characters
   * @throws java.io.UncheckedIOException where writing fails
   */
  public void write(Path folder) {
    write(folder.resolve("tokenizer.json"), train().toTokenizerJson(0));
    String config =
        """
        {
          "backend": "tokenizers",
          "eos_token": "</s>",
          "extra_ids": 0,
          "model_max_length": 512,
          "pad_token": "<pad>",
          "tokenizer_class": "T5Tokenizer",
          "unk_token": "<unk>"
        }
        """;
    write(folder.resolve("tokenizer_config.json"), config.getBytes(StandardCharsets.UTF_8));
  }

  private static void write(Path file, byte[] bytes) {
    AtomicFile.write(file, (FileChannel channel) -> writeAll(channel, ByteBuffer.wrap(bytes)));
  }

  private static void writeAll(FileChannel channel, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }

  /** The trained model. */
  SentencePieceModel train() {
    seed();
    int wanted = vocabularySize - SPECIAL.size();
    int characters = 0;
    for (boolean each : required) {
      characters += each ? 1 : 0;
    }
    if (wanted < characters) {
      throw new InvalidInputException(
          "A vocabulary of %d tokens is too small: %d characters and whole words and %d special tokens must be in it"
              .formatted(vocabularySize, characters, SPECIAL.size()));
    }
    while (true) {
      for (int i = 0; i < EM_ROUNDS; i++) {
        maximize(expectedCounts(), true);
      }
      int left = count(alive);
      if (left <= wanted) {
        break;
      }
      prune(Math.max(wanted, (int) (KEPT_WHEN_PRUNING * left)));
    }
    maximize(expectedCounts(), false);
    return model();
  }

  // -------------------------------------------------------------------------------- seeds

  /** All characters, the whole words and the most frequent substrings. */
  private void seed() {
    Map<String, Long> counts = new HashMap<>();
    Map<String, Long> must = new TreeMap<>();
    for (char c = '!'; c <= '~'; c++) {
      must.put(String.valueOf(c), 0L);
    }
    must.put(String.valueOf(SPACE), 0L);
    wholeWords.forEach(word -> must.put(SPACE + word, 0L));
    words.forEach(
        (word, times) -> {
          word.codePoints().forEach(c -> must.merge(Character.toString(c), times, Long::sum));
          for (int start = 0; start < word.length(); start++) {
            int most = Math.min(word.length(), start + LONGEST_PIECE);
            for (int end = start + 1; end <= most; end++) {
              if (isPiece(word, start, end)) {
                counts.merge(word.substring(start, end), times, Long::sum);
              }
            }
          }
        });
    wholeWords.forEach(word -> must.put(SPACE + word, countOf(SPACE + word)));
    List<String> seeds = new ArrayList<>();
    counts.forEach(
        (piece, times) -> {
          if (times > 1 && piece.length() > 1 && !must.containsKey(piece)) {
            seeds.add(piece);
          }
        });
    seeds.sort(
        Comparator.comparingLong((String piece) -> -counts.get(piece) * piece.length())
            .thenComparing(Comparator.naturalOrder()));
    int most = Math.min(seeds.size(), SEEDS_PER_PIECE * vocabularySize);
    List<String> all = new ArrayList<>(must.keySet());
    all.addAll(seeds.subList(0, most));
    pieces = all.toArray(String[]::new);
    required = new boolean[pieces.length];
    Arrays.fill(required, 0, must.size(), true);
    alive = new boolean[pieces.length];
    Arrays.fill(alive, true);
    logProbability = new double[pieces.length];
    double[] first = new double[pieces.length];
    for (int i = 0; i < pieces.length; i++) {
      first[i] = required[i] ? must.get(pieces[i]) : counts.get(pieces[i]) * pieces[i].length();
    }
    lattices = lattices();
    maximize(first, false);
  }

  private long countOf(String start) {
    return words.entrySet().stream()
        .filter(word -> word.getKey().startsWith(start))
        .mapToLong(Map.Entry::getValue)
        .sum();
  }

  /** Returns whether a part of a word is of one kind, the word's beginning aside. */
  private static boolean isPiece(String word, int start, int end) {
    int at = word.charAt(start) == SPACE ? start + 1 : start;
    if (at == end
        || Character.isLowSurrogate(word.charAt(at))
        || Character.isHighSurrogate(word.charAt(end - 1))) {
      return false;
    }
    if (Character.isDigit(word.charAt(at))) {
      return end == at + 1;
    }
    boolean letters = isLetter(word.charAt(at));
    if (word.charAt(at) == '\'' && end > at + 1) {
      letters = true;
      at++;
    }
    for (int i = at; i < end; i++) {
      if (isLetter(word.charAt(i)) != letters || Character.isDigit(word.charAt(i))) {
        return false;
      }
    }
    return true;
  }

  private static boolean isLetter(char c) {
    return Character.isLetter(c)
        || Character.isSurrogate(c)
        || Character.getType(c) == Character.NON_SPACING_MARK;
  }

  private Word[] lattices() {
    Map<String, Integer> ids = HashMap.newHashMap(pieces.length);
    int longest = LONGEST_PIECE;
    for (int i = 0; i < pieces.length; i++) {
      ids.put(pieces[i], i);
      longest = Math.max(longest, pieces[i].length());
    }
    List<Word> all = new ArrayList<>();
    for (Map.Entry<String, Long> entry : words.entrySet()) {
      all.add(lattice(entry.getKey(), entry.getValue(), longest, ids));
    }
    return all.toArray(Word[]::new);
  }

  private static Word lattice(String word, double count, int longest, Map<String, Integer> ids) {
    List<int[]> edges = new ArrayList<>();
    for (int end = 1; end <= word.length(); end++) {
      for (int start = Math.max(0, end - longest); start < end; start++) {
        Integer id = ids.get(word.substring(start, end));
        if (id != null) {
          edges.add(new int[] {start, end, id});
        }
      }
    }
    int[][] columns = new int[3][edges.size()];
    for (int i = 0; i < edges.size(); i++) {
      for (int k = 0; k < 3; k++) {
        columns[k][i] = edges.get(i)[k];
      }
    }
    return new Word(word.length(), count, columns[0], columns[1], columns[2]);
  }

  // ----------------------------------------------------------------------------------- EM

  /** The E step, by the forward-backward algorithm in the logarithmic domain. */
  private double[] expectedCounts() {
    double[] counts = new double[pieces.length];
    for (Word word : lattices) {
      double[] forward = new double[word.length + 1];
      double[] backward = new double[word.length + 1];
      Arrays.fill(forward, Double.NEGATIVE_INFINITY);
      Arrays.fill(backward, Double.NEGATIVE_INFINITY);
      forward[0] = 0;
      backward[word.length] = 0;
      int edges = word.piece.length;
      for (int e = 0; e < edges; e++) {
        if (alive[word.piece[e]]) {
          double score = forward[word.start[e]] + logProbability[word.piece[e]];
          forward[word.end[e]] = logAdd(forward[word.end[e]], score);
        }
      }
      for (int e = edges - 1; e >= 0; e--) {
        if (alive[word.piece[e]]) {
          double score = backward[word.end[e]] + logProbability[word.piece[e]];
          backward[word.start[e]] = logAdd(backward[word.start[e]], score);
        }
      }
      for (int e = 0; e < edges; e++) {
        int piece = word.piece[e];
        if (alive[piece]) {
          double score = forward[word.start[e]] + logProbability[piece] + backward[word.end[e]];
          counts[piece] += word.count * StrictMath.exp(score - forward[word.length]);
        }
      }
    }
    return counts;
  }

  /**
   * The M step.
   *
   * @param sparse whether digamma, which takes from the rare, stands for the logarithm, and pieces
   *     that are hardly used go
   */
  private void maximize(double[] counts, boolean sparse) {
    double sum = 0;
    for (int i = 0; i < pieces.length; i++) {
      alive[i] &= required[i] || !sparse || counts[i] >= LEAST_COUNT;
      if (alive[i]) {
        counts[i] = Math.max(counts[i], UNSEEN_COUNT);
        sum += counts[i];
      }
    }
    double logSum = sparse ? digamma(sum) : StrictMath.log(sum);
    for (int i = 0; i < pieces.length; i++) {
      if (alive[i]) {
        boolean rare = !sparse || counts[i] < LEAST_COUNT;
        logProbability[i] = (rare ? StrictMath.log(counts[i]) : digamma(counts[i])) - logSum;
      }
    }
  }

  /** log(e^a + e^b). */
  private static double logAdd(double a, double b) {
    double larger = Math.max(a, b);
    double smaller = Math.min(a, b);
    return smaller == Double.NEGATIVE_INFINITY
        ? larger
        : larger + StrictMath.log1p(StrictMath.exp(smaller - larger));
  }

  /** The derivative of log gamma: up by its recurrence, then its asymptotic series. */
  static double digamma(double x) {
    double result = 0;
    while (x < 7) {
      result -= 1 / x++;
    }
    double y = 1 / (x * x);
    double series = y * (1.0 / 12 - y * (1.0 / 120 - y * (1.0 / 252 - y * (1.0 / 240))));
    return result + StrictMath.log(x) - 0.5 / x - series;
  }

  // ---------------------------------------------------------------------------------- pruning

  private void prune(int wanted) {
    double[] used = new double[pieces.length];
    double sum = 0;
    for (Word word : lattices) {
      for (int piece : bestCut(word, -1)) {
        used[piece] += word.count;
        sum += word.count;
      }
    }
    Map<String, Integer> ids = HashMap.newHashMap(pieces.length);
    for (int i = 0; i < pieces.length; i++) {
      if (alive[i]) {
        ids.put(pieces[i], i);
      }
    }
    List<Integer> candidates = new ArrayList<>();
    double[] loss = new double[pieces.length];
    int kept = 0;
    for (int i = 0; i < pieces.length; i++) {
      if (!alive[i] || required[i]) {
        kept += alive[i] ? 1 : 0;
        continue;
      }
      loss[i] = loss(i, used, sum, ids);
      candidates.add(i);
    }
    candidates.sort(
        Comparator.comparingDouble((Integer i) -> -loss[i]).thenComparing(i -> pieces[i]));
    for (int i = Math.max(0, wanted - kept); i < candidates.size(); i++) {
      alive[candidates.get(i)] = false;
    }
  }

  /** Returns how much less likely the words become without a piece. */
  private double loss(int piece, double[] used, double sum, Map<String, Integer> ids) {
    if (used[piece] == 0) {
      return Double.NEGATIVE_INFINITY;
    }
    Word word = lattice(pieces[piece], 1, LONGEST_PIECE, ids);
    int[] otherwise = bestCut(word, piece);
    double logSum = StrictMath.log(sum + used[piece] * (otherwise.length - 1));
    double without = 0;
    for (int other : otherwise) {
      without += StrictMath.log(used[other] + used[piece]) - logSum;
    }
    double with = StrictMath.log(used[piece]) - StrictMath.log(sum);
    return used[piece] / sum * (with - without);
  }

  /** The most probable way to cut a word without a piece: Viterbi's algorithm. */
  private int[] bestCut(Word word, int without) {
    double[] best = new double[word.length + 1];
    int[] last = new int[word.length + 1];
    Arrays.fill(best, Double.NEGATIVE_INFINITY);
    best[0] = 0;
    for (int e = 0; e < word.piece.length; e++) {
      int piece = word.piece[e];
      if (alive[piece] && piece != without) {
        double score = best[word.start[e]] + logProbability[piece];
        if (score > best[word.end[e]]) {
          best[word.end[e]] = score;
          last[word.end[e]] = e;
        }
      }
    }
    int count = 0;
    for (int at = word.length; at > 0; at = word.start[last[at]]) {
      count++;
    }
    int[] cut = new int[count];
    for (int at = word.length; at > 0; at = word.start[last[at]]) {
      cut[--count] = word.piece[last[at]];
    }
    return cut;
  }

  private static int count(boolean[] flags) {
    int count = 0;
    for (boolean flag : flags) {
      count += flag ? 1 : 0;
    }
    return count;
  }

  // ------------------------------------------------------------------------------------ output

  private SentencePieceModel model() {
    List<Integer> order = new ArrayList<>();
    for (int i = 0; i < pieces.length; i++) {
      if (alive[i]) {
        order.add(i);
      }
    }
    order.sort(
        Comparator.comparingDouble((Integer i) -> -logProbability[i])
            .thenComparing(i -> pieces[i]));
    List<SentencePieceModel.Piece> all = new ArrayList<>();
    for (String special : SPECIAL) {
      boolean unknown = special.equals("<unk>");
      all.add(new SentencePieceModel.Piece(special, 0, unknown, !unknown));
    }
    for (int i : order) {
      all.add(new SentencePieceModel.Piece(pieces[i], (float) logProbability[i], false, false));
    }
    return new SentencePieceModel(all, new byte[0], true);
  }
}
