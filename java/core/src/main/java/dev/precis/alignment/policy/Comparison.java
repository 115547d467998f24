package dev.precis.alignment.policy;

import dev.precis.alignment.reward.Completion;
import dev.precis.alignment.reward.Reward;
import dev.precis.alignment.reward.Score;
import dev.precis.evaluation.PairedBootstrap;
import dev.precis.evaluation.SampleMoments;
import dev.precis.generation.GeneratedTokens;
import dev.precis.generation.GenerationOptions;
import dev.precis.generation.Generator;
import dev.precis.t5.T5Model;
import dev.precis.text.Tokenizer;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Compares the baseline and the aligned policy on responses to the same prompts, sampled with the
 * same random numbers.
 *
 * @param rows one for each prompt, sorted by gain of the reward, the largest first
 * @param measures measures by name; the first is the reward
 */
public record Comparison(List<Row> rows, Map<String, Paired> measures) {
  /**
   * Responses to one prompt.
   *
   * @param query text that the policy read
   */
  public record Row(
      String id,
      String query,
      String baselineResponse,
      String alignedResponse,
      double baselineReward,
      double alignedReward) {
    /** Returns the aligned response's reward minus the baseline's. */
    public double gain() {
      return alignedReward - baselineReward;
    }
  }

  /**
   * A measure of all responses, paired by prompt.
   *
   * @param difference aligned minus baseline, with its 95 % confidence interval
   */
  public record Paired(
      double[] baseline, double[] aligned, PairedBootstrap.Interval difference, double pValue) {
    /** Returns the mean of the baseline responses. */
    public double baselineMean() {
      return SampleMoments.mean(baseline);
    }

    /** Returns the mean of the aligned responses. */
    public double alignedMean() {
      return SampleMoments.mean(aligned);
    }

    /** Returns the standard deviation of the baseline responses. */
    public double baselineDeviation() {
      return SampleMoments.deviation(baseline);
    }

    /** Returns the standard deviation of the aligned responses. */
    public double alignedDeviation() {
      return SampleMoments.deviation(aligned);
    }

    /** Returns the difference relative to the baseline mean; NaN if that is zero. */
    public double relative() {
      return baselineMean() == 0 ? Double.NaN : difference.mean() / Math.abs(baselineMean());
    }
  }

  /** Prefix of the measures of quality, which must not fall. */
  private static final String GUARDED = "rouge";

  /** Returns how many are answered together: on a CPU few, for each takes memory of its own. */
  private static int together(T5Model model, int prompts) {
    return Math.min(model.ops().onGpu() ? 32 : 8, prompts);
  }

  /**
   * Returns the bytes that {@link #respond} takes at most, beside the model.
   *
   * @param newTokens of each response
   */
  public static long plan(T5Model model, List<Prompt> prompts, int newTokens) {
    int longest = prompts.stream().mapToInt(prompt -> prompt.source().length).max().orElse(1);
    try (Generator generator = new Generator(model)) {
      return generator.reserve(together(model, prompts.size()), longest, 1, newTokens);
    }
  }

  /**
   * Generates responses with a model's present weights.
   *
   * @param options with a seed: the same prompts are sampled with the same random numbers
   */
  public static List<String> respond(
      T5Model model, Tokenizer tokenizer, List<Prompt> prompts, GenerationOptions options) {
    List<int[]> sources = prompts.stream().map(Prompt::source).toList();
    List<String> texts = new ArrayList<>();
    try (Generator generator = new Generator(model)) {
      int together = together(model, prompts.size());
      for (List<GeneratedTokens> each :
          generator.generate(sources, options, together, 0, null, null)) {
        texts.add(tokenizer.decode(each.getFirst().tokens(), true));
      }
    }
    return texts;
  }

  /**
   * Compares responses.
   *
   * @param baseline responses of the policy before alignment, one for each prompt
   * @param aligned responses of the aligned policy
   * @param measures by name, in the order of the report; the first is the reward, by whose gain
   *     rows are sorted
   * @param seed of the bootstrap
   */
  public static Comparison of(
      List<Prompt> prompts,
      List<String> baseline,
      List<String> aligned,
      Map<String, Reward> measures,
      long seed) {
    PairedBootstrap bootstrap = new PairedBootstrap(seed);
    Map<String, Paired> all = new LinkedHashMap<>();
    measures.forEach(
        (name, measure) -> {
          double[] old = values(prompts, baseline, measure);
          double[] now = values(prompts, aligned, measure);
          PairedBootstrap.Comparison compared = bootstrap.compare(old, now);
          all.put(name, new Paired(old, now, compared.difference(), compared.pValue()));
        });
    Paired reward = all.values().iterator().next();
    List<Row> rows = new ArrayList<>();
    for (int i = 0; i < prompts.size(); i++) {
      rows.add(
          new Row(
              prompts.get(i).id(),
              prompts.get(i).text(),
              baseline.get(i),
              aligned.get(i),
              reward.baseline[i],
              reward.aligned[i]));
    }
    rows.sort(Comparator.comparingDouble(Row::gain).reversed());
    return new Comparison(List.copyOf(rows), all);
  }

  private static double[] values(List<Prompt> prompts, List<String> texts, Reward measure) {
    List<Completion> completions = new ArrayList<>();
    for (int i = 0; i < texts.size(); i++) {
      completions.add(prompts.get(i).completion(texts.get(i)));
    }
    return measure.checked(completions).stream().mapToDouble(Score::value).toArray();
  }

  /** Returns a warning if a measure of quality fell by more than its confidence interval. */
  public Optional<String> guard() {
    List<String> fell = new ArrayList<>();
    measures.forEach(
        (name, paired) -> {
          if (name.startsWith(GUARDED) && paired.difference.high() < 0) {
            fell.add(
                "%s fell from %.4f to %.4f (%.4f to %.4f)"
                    .formatted(
                        name,
                        paired.baselineMean(),
                        paired.alignedMean(),
                        paired.difference.low(),
                        paired.difference.high()));
          }
        });
    return fell.isEmpty()
        ? Optional.empty()
        : Optional.of(
            "Quality was lost: "
                + String.join("; ", fell)
                + ". A larger --kl-coef or --beta, --rpo-alpha or fewer"
                + " steps preserve more of it");
  }
}
