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
 * What an alignment did: responses to the same prompts with the same draws, before and after it.
 *
 * @param rows sorted by gain of the reward, the largest first
 * @param measures what was measured, by name; the first is the reward
 */
public record Comparison(List<Row> rows, Map<String, Paired> measures) {
  /**
   * One prompt.
   *
   * @param query what the policy read
   */
  public record Row(
      String id,
      String query,
      String baselineResponse,
      String alignedResponse,
      double baselineReward,
      double alignedReward) {
    /** How much more the response gets than before. */
    public double gain() {
      return alignedReward - baselineReward;
    }
  }

  /**
   * A measure of all responses, prompt by prompt.
   *
   * @param difference after minus before, with its 95 % interval
   */
  public record Paired(
      double[] baseline, double[] aligned, PairedBootstrap.Interval difference, double pValue) {
    /** The mean before. */
    public double baselineMean() {
      return SampleMoments.mean(baseline);
    }

    /** The mean after. */
    public double alignedMean() {
      return SampleMoments.mean(aligned);
    }

    /** The standard deviation before. */
    public double baselineDeviation() {
      return SampleMoments.deviation(baseline);
    }

    /** The standard deviation after. */
    public double alignedDeviation() {
      return SampleMoments.deviation(aligned);
    }

    /** The difference as a share of the mean before; NaN where that is zero. */
    public double relative() {
      return baselineMean() == 0 ? Double.NaN : difference.mean() / Math.abs(baselineMean());
    }
  }

  /** Measures with this beginning guard the quality: they must not fall. */
  private static final String GUARDED = "rouge";

  /**
   * Responses of a model as it is now.
   *
   * @param options with a seed: the same draws are made for the same prompts
   */
  public static List<String> respond(
      T5Model model, Tokenizer tokenizer, List<Prompt> prompts, GenerationOptions options) {
    List<int[]> sources = prompts.stream().map(Prompt::source).toList();
    List<String> texts = new ArrayList<>();
    try (Generator generator = new Generator(model)) {
      for (List<GeneratedTokens> each : generator.generate(sources, options, 32, 0, null, null)) {
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
   * @param measures by name, in the order they are told; the first is the reward, by whose gain
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

  /** What to say where a measure of quality fell beyond its interval. */
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
                + ". A stronger hold on the reference (--kl-coef, --beta), --rpo-alpha or fewer"
                + " steps keep more of it");
  }
}
