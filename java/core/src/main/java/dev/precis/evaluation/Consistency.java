package dev.precis.evaluation;

import dev.precis.io.InvalidInputException;
import java.util.ArrayList;
import java.util.List;

/**
 * Scores a summary's consistency with its source by AlignScore's rule (Zha et al. 2023): the source
 * is cut into chunks, a judge compares each sentence of the summary with each chunk, the best chunk
 * counts, and the score is the mean over the sentences.
 *
 * <p>With n words, a source has {@code n / chunkWords + 1} chunks of as many sentences each, and a
 * last one of the rest.
 */
public final class Consistency {
  /** The words of a chunk that AlignScore was published with. */
  public static final int CHUNK_WORDS = 350;

  private final PairJudge judge;
  private final int chunkWords;

  /**
   * The score of a sentence.
   *
   * @param score the best chunk's, from 0 to 1
   * @param chunk the best chunk's index, from 0
   */
  public record Sentence(String text, double score, int chunk) {}

  /**
   * The score of a summary.
   *
   * @param score mean of its sentences' scores; 0 where it has none
   * @param chunks of the source
   */
  public record Result(double score, List<Sentence> sentences, List<String> chunks) {
    /** Copies the lists. */
    public Result {
      sentences = List.copyOf(sentences);
      chunks = List.copyOf(chunks);
    }
  }

  /**
   * Makes the rule.
   *
   * @param judge which the caller must close
   * @param chunkWords words of a chunk, 1 or more; {@link #CHUNK_WORDS} is usual
   */
  public Consistency(PairJudge judge, int chunkWords) {
    InvalidInputException.require(chunkWords >= 1, "chunkWords", "1 or more", chunkWords);
    this.judge = judge;
    this.chunkWords = chunkWords;
  }

  /**
   * Scores summaries. All pairs of all summaries are given to the judge in one call.
   *
   * @param summaries each source with its summary
   * @return a result for each, in order
   */
  public List<Result> score(List<TextPair> summaries) {
    List<List<String>> chunks = new ArrayList<>();
    List<List<String>> sentences = new ArrayList<>();
    List<TextPair> pairs = new ArrayList<>();
    for (TextPair each : summaries) {
      List<String> parts = chunks(each.first(), chunkWords);
      List<String> claims = SentenceSplitter.split(each.second());
      claims.forEach(claim -> parts.forEach(part -> pairs.add(new TextPair(part, claim))));
      chunks.add(parts);
      sentences.add(claims);
    }
    double[] scores = pairs.isEmpty() ? new double[0] : judge.judge(pairs);
    if (scores.length != pairs.size()) {
      throw new IllegalStateException(
          "The judge returned %d numbers for %d pairs".formatted(scores.length, pairs.size()));
    }
    List<Result> results = new ArrayList<>();
    int at = 0;
    for (int i = 0; i < summaries.size(); i++) {
      List<Sentence> scored = new ArrayList<>();
      double sum = 0;
      for (String claim : sentences.get(i)) {
        int best = 0;
        for (int c = 1; c < chunks.get(i).size(); c++) {
          best = scores[at + c] > scores[at + best] ? c : best;
        }
        scored.add(new Sentence(claim, scores[at + best], best));
        sum += scores[at + best];
        at += chunks.get(i).size();
      }
      results.add(new Result(scored.isEmpty() ? 0 : sum / scored.size(), scored, chunks.get(i)));
    }
    return results;
  }

  /** Cuts a source into chunks of whole sentences; a source without any is one chunk. */
  static List<String> chunks(String source, int chunkWords) {
    List<String> sentences = SentenceSplitter.split(source);
    if (sentences.isEmpty()) {
      return List.of("");
    }
    int words = source.strip().split("\\s+").length;
    int each = Math.max(1, sentences.size() / (words / chunkWords + 1));
    List<String> chunks = new ArrayList<>();
    for (int at = 0; at < sentences.size(); at += each) {
      chunks.add(String.join(" ", sentences.subList(at, Math.min(sentences.size(), at + each))));
    }
    return chunks;
  }
}
