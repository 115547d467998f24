package dev.precis.cli.align;

import dev.precis.Classifier;
import dev.precis.T5;
import dev.precis.alignment.reward.ClassifierReward;
import dev.precis.alignment.reward.ClassifierReward.ProbeTexts;
import dev.precis.alignment.reward.Completion;
import dev.precis.alignment.reward.ConsistencyReward;
import dev.precis.alignment.reward.FactReward;
import dev.precis.alignment.reward.JudgeReward;
import dev.precis.alignment.reward.LengthReward;
import dev.precis.alignment.reward.Reward;
import dev.precis.alignment.reward.RewardTemplate;
import dev.precis.alignment.reward.RougeReward;
import dev.precis.alignment.reward.Score;
import dev.precis.alignment.reward.WeightedReward;
import dev.precis.cli.common.BaseCommand;
import dev.precis.evaluation.PairJudge;
import dev.precis.tensor.DType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * The reward of a run, and the other measures that responses are compared by.
 *
 * @param classifiers each loaded once, however many terms ask it
 * @param judges each of a term of its own
 * @param templates what the classifiers of the terms read, in the terms' order
 */
record RewardTerms(
    Reward total,
    Map<String, Reward> measures,
    List<Classifier> classifiers,
    List<PairJudge> judges,
    List<RewardTemplate> templates)
    implements AutoCloseable {

  /**
   * Loads the reward that the options ask for.
   *
   * @param probes texts that each classifier's order is checked with, where it is
   */
  static RewardTerms load(BaseCommand command, RewardTermOptions options, List<ProbeTexts> probes) {
    Loader loader = new Loader(command, options, probes);
    try {
      options.specs(command).forEach(loader::add);
      return new RewardTerms(
          new WeightedReward(loader.parts),
          loader.measures,
          List.copyOf(loader.classifiers.values()),
          List.copyOf(loader.judges),
          loader.templates);
    } catch (RuntimeException | Error e) {
      loader.classifiers.values().forEach(Classifier::close);
      loader.judges.forEach(PairJudge::close);
      throw e;
    }
  }

  /** A classifier in one type. */
  private record Loaded(Path folder, DType dtype) {}

  /** Loads term after term. */
  private static final class Loader {
    private final BaseCommand command;
    private final RewardTermOptions options;
    private final List<ProbeTexts> probes;
    private final Map<Loaded, Classifier> classifiers = new LinkedHashMap<>();
    private final List<WeightedReward.Part> parts = new ArrayList<>();
    private final Map<String, Reward> measures = new LinkedHashMap<>();
    private final List<RewardTemplate> templates = new ArrayList<>();
    private final List<PairJudge> judges = new ArrayList<>();

    Loader(BaseCommand command, RewardTermOptions options, List<ProbeTexts> probes) {
      this.command = command;
      this.options = options;
      this.probes = probes;
    }

    void add(RewardSpec spec) {
      switch (spec.kind()) {
        case CLASSIFIER -> addClassifier(spec);
        case ROUGE -> add(spec, spec.argument(), spec.weight(), RougeReward.of(spec.metric()));
        case LENGTH ->
            add(
                spec,
                "length",
                spec.weight(),
                new LengthReward(LengthReward.Unit.WORDS, spec.words(), 1));
        case FACTS -> {
          FactReward reward = new FactReward();
          add(spec, "facts", spec.weight(), reward);
          measures.putIfAbsent("facts", reward);
        }
        case CONSISTENCY -> {
          ConsistencyReward reward = new ConsistencyReward(open(spec), spec.chunkWords());
          add(spec, "consistency", spec.weight(), reward);
          measures.putIfAbsent("consistency", reward);
        }
        case JUDGE -> add(spec, "judge", spec.weight(), new JudgeReward(open(spec)));
      }
    }

    private void add(RewardSpec spec, String name, double weight, Reward reward) {
      parts.add(new WeightedReward.Part(spec.setting("name").orElse(name), weight, reward));
    }

    private void addClassifier(RewardSpec spec) {
      Loaded key = new Loaded(command.resolve(spec.argument()), spec.dtype(options.type(command)));
      Classifier classifier = classifiers.computeIfAbsent(key, this::open);
      String label = spec.setting("label").orElse(null);
      boolean negated =
          label != null && label.startsWith("-") && !classifier.labels().contains(label);
      RewardTemplate template =
          spec.setting("template").map(RewardTermOptions::template).orElse(null);
      ClassifierReward reward =
          new ClassifierReward(
                  classifier,
                  negated ? label.substring(1) : label,
                  ClassifierReward.Measure.valueOf(
                      spec.setting("measure").orElse("logit").toUpperCase(Locale.ROOT)),
                  template)
              .probeTexts(probes);
      double weight = negated ? -spec.weight() : spec.weight();
      add(spec, reward.label(), weight, reward);
      templates.add(reward.template());
      addMeasures(classifier, reward.label(), weight < 0, template);
    }

    /** Loads a judge, which belongs to the reward that is made of it. */
    private PairJudge open(RewardSpec spec) {
      DType dtype = spec.dtype(options.type(command));
      int threads = command.common().threads();
      PairJudge judge =
          spec.judge()
              .load(
                  command.resolve(spec.argument()),
                  new Classifier.LoadOptions().dtype(dtype).threads(threads),
                  new T5.LoadOptions().dtype(dtype).threads(threads));
      judges.add(judge);
      return judge;
    }

    private Classifier open(Loaded key) {
      return Classifier.load(
          key.folder,
          new Classifier.LoadOptions().dtype(key.dtype).threads(command.common().threads()));
    }

    /** Measures what is unwanted: a label that counts against, or of two labels the other one. */
    private void addMeasures(
        Classifier classifier, String label, boolean unwanted, RewardTemplate template) {
      List<String> labels = classifier.labels();
      if (!unwanted && labels.size() != 2) {
        return;
      }
      String measured = unwanted ? label : labels.get(labels.indexOf(label) == 0 ? 1 : 0);
      Reward toxicity =
          new ClassifierReward(
              classifier, measured, ClassifierReward.Measure.PROBABILITY, template);
      measures.putIfAbsent("probability of " + measured, toxicity);
      measures.putIfAbsent(
          "probability of " + measured + ", prompt",
          completions -> ofPrompts(toxicity, completions));
    }
  }

  /** Scores the prompts: toxicity that a model repeats is told from toxicity that it adds. */
  private static List<Score> ofPrompts(Reward reward, List<Completion> completions) {
    return reward.score(
        completions.stream().map(c -> new Completion(c.id(), "", c.prompt(), List.of())).toList());
  }

  @Override
  public void close() {
    classifiers.forEach(Classifier::close);
    judges.forEach(PairJudge::close);
  }
}
