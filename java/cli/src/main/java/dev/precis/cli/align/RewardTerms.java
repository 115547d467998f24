package dev.precis.cli.align;

import dev.precis.Classifier;
import dev.precis.alignment.reward.ClassifierReward;
import dev.precis.alignment.reward.Completion;
import dev.precis.alignment.reward.LengthReward;
import dev.precis.alignment.reward.Reward;
import dev.precis.alignment.reward.RewardTemplate;
import dev.precis.alignment.reward.RougeReward;
import dev.precis.alignment.reward.Score;
import dev.precis.alignment.reward.WeightedReward;
import dev.precis.cli.common.BaseCommand;
import dev.precis.evaluation.Rouge;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * The reward of a run, and the other measures that responses are compared by.
 *
 * @param classifier null where no model is asked
 * @param template what the classifier reads; null likewise
 */
record RewardTerms(
    Reward total, Map<String, Reward> measures, Classifier classifier, RewardTemplate template)
    implements AutoCloseable {

  /** Loads the reward that the options ask for. */
  static RewardTerms load(BaseCommand command, RewardOptions options) {
    if (options.rewardModel() == null) {
      return new RewardTerms(
          new WeightedReward(parts(command, options)), new LinkedHashMap<>(), null, null);
    }
    Classifier classifier =
        Classifier.load(
            command.resolve(options.rewardModel()),
            new Classifier.LoadOptions()
                .dtype(options.type(command))
                .threads(command.common().threads()));
    try {
      return with(classifier, command, options);
    } catch (RuntimeException | Error e) {
      classifier.close();
      throw e;
    }
  }

  private static RewardTerms with(
      Classifier classifier, BaseCommand command, RewardOptions options) {
    ClassifierReward reward =
        new ClassifierReward(
            classifier,
            options.label(),
            ClassifierReward.Measure.valueOf(options.measure().toUpperCase(Locale.ROOT)),
            options.template());
    List<WeightedReward.Part> parts = new ArrayList<>();
    parts.add(new WeightedReward.Part(reward.label(), 1, reward));
    parts.addAll(parts(command, options));
    return new RewardTerms(
        new WeightedReward(parts),
        otherLabel(classifier, reward.label(), options.template()),
        classifier,
        reward.template());
  }

  /** Of two labels the one that is no reward, of responses and of prompts. */
  private static Map<String, Reward> otherLabel(
      Classifier classifier, String label, RewardTemplate template) {
    Map<String, Reward> measures = new LinkedHashMap<>();
    if (classifier.labels().size() == 2) {
      String other = classifier.labels().get(classifier.labels().indexOf(label) == 0 ? 1 : 0);
      Reward toxicity =
          new ClassifierReward(classifier, other, ClassifierReward.Measure.PROBABILITY, template);
      measures.put("probability of " + other, toxicity);
      measures.put(
          "probability of " + other + ", prompt", completions -> ofPrompts(toxicity, completions));
    }
    return measures;
  }

  /** Scores the prompts: toxicity that a model repeats is told from toxicity that it adds. */
  private static List<Score> ofPrompts(Reward reward, List<Completion> completions) {
    return reward.score(
        completions.stream().map(c -> new Completion(c.id(), "", c.prompt(), List.of())).toList());
  }

  private static List<WeightedReward.Part> parts(BaseCommand command, RewardOptions options) {
    return options.terms().stream().map(term -> part(command, term)).toList();
  }

  private static WeightedReward.Part part(BaseCommand command, String spec) {
    int equals = spec.lastIndexOf('=');
    String name = equals < 0 ? spec : spec.substring(0, equals);
    double weight;
    try {
      weight = equals < 0 ? 1 : Double.parseDouble(spec.substring(equals + 1));
    } catch (NumberFormatException e) {
      throw command.usage("--reward " + spec + ": the weight after = must be a number");
    }
    if (name.startsWith("rouge:")) {
      String id = name.substring("rouge:".length());
      for (Rouge.Metric metric : Rouge.Metric.values()) {
        if (metric.id().equals(id)) {
          return new WeightedReward.Part(id, weight, RougeReward.of(metric));
        }
      }
    } else if (name.matches("length:\\d{1,6}")) {
      int target = Integer.parseInt(name.substring("length:".length()));
      return new WeightedReward.Part(
          "length", weight, new LengthReward(LengthReward.Unit.WORDS, target, 1));
    }
    throw command.usage(
        "--reward must be rouge:rouge1, rouge:rouge2, rouge:rougeL, rouge:rougeLsum or"
            + " length:WORDS, each with an optional =WEIGHT, not '"
            + spec
            + "'");
  }

  @Override
  public void close() {
    if (classifier != null) {
      classifier.close();
    }
  }
}
