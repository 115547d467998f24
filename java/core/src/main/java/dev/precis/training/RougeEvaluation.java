package dev.precis.training;

import static dev.precis.io.InvalidInputException.require;

import dev.precis.evaluation.Rouge;
import dev.precis.evaluation.Rouge.MultiReference;
import dev.precis.evaluation.SampleMoments;
import dev.precis.generation.GenerationOptions;
import dev.precis.generation.Generator;
import dev.precis.io.InvalidInputException;
import dev.precis.text.Tokenizer;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Generates summaries with the present weights of a model, and scores them by ROUGE: the mean F1
 * over the sources, of several references the best, with Porter's stemmer. Summaries are generated
 * by greedy decoding, so that the figures are a function of the weights alone.
 *
 * <p>Not thread-safe.
 */
public final class RougeEvaluation implements AutoCloseable {
  /** Receives progress. */
  @FunctionalInterface
  public interface Progress {
    /**
     * Reports that so many sources are summarized.
     *
     * @param total all sources
     */
    void summarized(long done, long total);
  }

  /**
   * A source and its references.
   *
   * @param tokens the prompt's, the end token included
   * @param references one summary at least
   */
  public record Source(int[] tokens, List<String> references) {
    /** Copies the references. */
    public Source {
      references = List.copyOf(references);
    }
  }

  private final TrainableT5 t5;
  private final Tokenizer tokenizer;
  private final List<Source> sources;
  private final List<int[]> tokens;
  private final Rouge.Metric metric;
  private final int batchSize;
  private final GenerationOptions options;
  private final Rouge rouge = Rouge.of(Rouge.Preset.STEMMER);
  private final Generator generator;

  /**
   * Prepares evaluations of a model. The caller owns the model and the tokenizer and must close
   * both.
   *
   * @param tokenizer the model's
   * @param sources summarized in each evaluation
   * @param metric that evaluations are compared by
   * @param maxNewTokens most tokens of a summary
   * @param batchSize most sources that are decoded in one batch; changes no figure
   * @throws InvalidInputException where there is no source, or a number is below 1
   */
  public RougeEvaluation(
      TrainableT5 t5,
      Tokenizer tokenizer,
      List<Source> sources,
      Rouge.Metric metric,
      int maxNewTokens,
      int batchSize) {
    if (sources.isEmpty()) {
      throw new InvalidInputException("There is no dialogue to summarize in an evaluation.");
    }
    require(batchSize >= 1, "batch-size", "1 or more", batchSize);
    this.t5 = t5;
    this.tokenizer = tokenizer;
    this.sources = List.copyOf(sources);
    this.metric = metric;
    this.batchSize = batchSize;
    tokens = this.sources.stream().map(Source::tokens).toList();
    int longest = tokens.stream().mapToInt(each -> each.length).max().orElseThrow();
    options =
        GenerationOptions.builder().maxNewTokens(maxNewTokens).maxSourceTokens(longest).build();
    generator = new Generator(t5.model());
  }

  /** Returns the metric that evaluations are compared by. */
  public Rouge.Metric metric() {
    return metric;
  }

  /** Allocates the memory that an evaluation takes at most, and returns its bytes. */
  long reserve() {
    int together = Math.min(batchSize, tokens.size());
    int prompt = t5.model().weights().promptTokens();
    List<Integer> longest =
        tokens.stream()
            .map(each -> prompt + each.length)
            .sorted(Comparator.reverseOrder())
            .limit(together)
            .toList();
    try {
      return generator.reserve(together, longest.getFirst(), 1, options.maxNewTokens())
          + generator.reserveEncoder(longest.stream().mapToLong(Integer::longValue).sum());
    } finally {
      t5.ops().release();
    }
  }

  /** Returns the most memory that evaluations took since {@link #reserve}, in bytes. */
  long peak() {
    return generator.peak();
  }

  /** Summarizes every source and returns the mean F1 of each metric, by its name. */
  public Map<String, Double> scores() {
    Map<String, Double> means = new LinkedHashMap<>();
    scores(() -> {}, (done, total) -> {})
        .forEach((name, values) -> means.put(name, SampleMoments.mean(values)));
    return means;
  }

  /**
   * Summarizes every source and returns the F1 of each summary by each metric's name, in the order
   * of the sources.
   *
   * @param checkStopped is called before each token, and ends the evaluation where it throws
   */
  Map<String, double[]> scores(Runnable checkStopped, Progress progress) {
    int[] done = new int[1];
    double[][] f1 = new double[sources.size()][];
    try {
      generator.generate(
          tokens,
          options,
          batchSize,
          0,
          (source, sequence, token, logProbability) -> checkStopped.run(),
          (source, results) -> {
            String summary = tokenizer.decode(results.getFirst().tokens(), true);
            f1[source] = f1(summary, sources.get(source).references());
            progress.summarized(++done[0], sources.size());
          });
    } finally {
      t5.ops().release();
    }
    Map<String, double[]> scores = new LinkedHashMap<>();
    for (Rouge.Metric each : Rouge.Metric.values()) {
      scores.put(each.id(), Arrays.stream(f1).mapToDouble(all -> all[each.ordinal()]).toArray());
    }
    return scores;
  }

  private double[] f1(String summary, List<String> references) {
    Rouge.Scores scores = rouge.score(summary, references, MultiReference.MAX);
    double[] f1 = new double[Rouge.Metric.values().length];
    for (Rouge.Metric each : Rouge.Metric.values()) {
      f1[each.ordinal()] = each.of(scores).f1();
    }
    return f1;
  }

  @Override
  public void close() {
    generator.close();
  }
}
