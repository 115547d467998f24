package dev.precis.cli.align;

import dev.precis.alignment.reward.RewardTemplate;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.options.RewardModelOption;
import dev.precis.cli.train.RunConfig;
import dev.precis.io.InvalidInputException;
import dev.precis.tensor.DType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Predicate;
import java.util.stream.Stream;
import picocli.CommandLine.Option;

/** Declares the terms of a reward: a classifier, other terms, or both. */
class RewardTermOptions extends RewardModelOption {
  @Option(
      names = "--reward-label",
      paramLabel = "NAME",
      description = {
        "The label whose number is the reward, by name, such as nothate.",
        "A label that names the bad counts against with a minus sign: --reward-label=-hate."
      })
  private String label;

  @Option(
      names = "--reward-measure",
      paramLabel = "M",
      defaultValue = "logit",
      description = "logit or probability of the label (default: ${DEFAULT-VALUE}).")
  private String measure;

  @Option(
      names = "--reward-dtype",
      paramLabel = "TYPE",
      description =
          "The reward model computes in float32 or bfloat16 (default: the type of the run; float32"
              + " where that is int8 or int4).")
  private String dtype;

  @Option(
      names = "--reward-template",
      paramLabel = "T",
      description =
          "What the reward model reads, with {completion} in it and optionally {prompt} (default:"
              + " as it was trained, else {completion}).")
  private String template;

  @Option(
      names = "--reward",
      paramLabel = "SPEC",
      description = {
        "A term of the reward; repeat the option to add terms, each of which is logged.",
        "classifier:MODEL,label=toxicity,weight=-1 is minus the label's logit (also measure=,"
            + " dtype= and template=, as the options above; name= in the log). --reward-model and"
            + " --reward-label are its short form.",
        "rouge:rouge1 or rouge:rougeL=2 is ROUGE against the references with a weight;"
            + " length:20=0.1 is 0.1 less for each word above or below 20; facts=2 is twice the"
            + " share of names, numbers, speakers and negations that the dialogue supports.",
        "consistency:MODEL is how far a judge finds each sentence supported by the prompt, from 0"
            + " to 1: an encoder for natural language inference (label=entailment), or a T5 with"
            + " prompt=minicheck, unieval or hhem. judge:MODEL compares prompt and response once,"
            + " as they are; prompt=steamshp is a preference. See precis score --help."
      })
  private List<String> terms = new ArrayList<>();

  /** Returns a template as given, in which \\n is a line break. */
  static RewardTemplate template(String text) {
    return new RewardTemplate(text.replace("\\n", "\n"));
  }

  /** Returns all terms, that of the short form first. */
  final List<RewardSpec> specs(BaseCommand command) {
    List<RewardSpec> specs = new ArrayList<>();
    if (rewardModel() != null) {
      Map<String, String> settings = new LinkedHashMap<>();
      settings.put("measure", measure);
      if (label != null) {
        settings.put("label", label);
      }
      if (template != null) {
        settings.put("template", template);
      }
      specs.add(
          new RewardSpec(
              rewardModel(),
              RewardSpec.Kind.CLASSIFIER,
              rewardModel(),
              1,
              settings,
              command::usage));
    }
    terms.forEach(term -> specs.add(RewardSpec.parse(term, command::usage)));
    return specs;
  }

  /** Returns whether a term is of a kind. */
  final boolean has(BaseCommand command, RewardSpec.Kind kind) {
    return specs(command).stream().anyMatch(spec -> spec.kind() == kind);
  }

  /** Refuses options that do not go together. */
  void check(BaseCommand command) {
    if (rewardModel() == null && terms.isEmpty()) {
      throw command.usage("--reward-model or --reward is missing");
    }
    boolean classifies = has(command, RewardSpec.Kind.CLASSIFIER);
    boolean shortForm =
        command.given("--reward-label")
            || command.given("--reward-measure")
            || command.given("--reward-template");
    boolean asksModel =
        classifies || specs(command).stream().anyMatch(spec -> spec.kind().judges());
    if (rewardModel() == null && shortForm || !asksModel && command.given("--reward-dtype")) {
      throw command.usage(
          "--reward-label, -measure, -dtype and -template need --reward-model (a term"
              + " classifier:MODEL of --reward has settings of its own)");
    }
    if (!measure.equals("logit") && !measure.equals("probability")) {
      throw command.usage("--reward-measure must be logit or probability, not '" + measure + "'");
    }
    type(command);
  }

  /**
   * Refuses a dialogue without a reference, where a term compares with it, before anything is
   * sampled.
   *
   * @param data where the dialogue comes from
   */
  final void checkReferences(BaseCommand command, Path data, String id, List<String> references) {
    if (references.isEmpty() && has(command, RewardSpec.Kind.ROUGE)) {
      throw new InvalidInputException(
          "%s: '%s' has no reference summary, which the reward rouge compares with"
              .formatted(data, id));
    }
  }

  /** Returns the type that a classifier computes in: float32 beside a model in int8 or int4. */
  final DType type(BaseCommand command) {
    return switch (dtype) {
      case null ->
          command.common().loadsQuantized() ? DType.FLOAT32 : command.common().trainingType();
      case "float32" -> DType.FLOAT32;
      case "bfloat16" -> DType.BFLOAT16;
      default ->
          throw command.usage("--reward-dtype must be float32 or bfloat16, not '" + dtype + "'");
    };
  }

  /**
   * Returns the bytes of the weights of all models that rewards ask, from their configurations
   * alone: a classifier is loaded once, however many terms ask it, and each judge by itself.
   */
  final long weightMemory(BaseCommand command) {
    Stream<Map.Entry<Path, DType>> classifiers =
        models(command, spec -> spec.kind() == RewardSpec.Kind.CLASSIFIER).distinct();
    Stream<Map.Entry<Path, DType>> judges = models(command, spec -> spec.kind().judges());
    return Stream.concat(classifiers, judges)
        .mapToLong(each -> ModelMemory.frozen(each.getKey(), each.getValue()))
        .sum();
  }

  private Stream<Map.Entry<Path, DType>> models(BaseCommand command, Predicate<RewardSpec> which) {
    return specs(command).stream()
        .filter(which)
        .map(spec -> Map.entry(command.resolve(spec.argument()), spec.dtype(type(command))));
  }

  /**
   * Adds to a run's configuration.
   *
   * @param reads what the classifiers of the terms read, in the terms' order
   */
  void writeTo(RunConfig config, BaseCommand command, List<RewardTemplate> reads) {
    if (rewardModel() != null) {
      config
          .weights("reward_model", rewardModel())
          .put("reward_label", label == null ? "the only one" : label)
          .put("reward_measure", measure)
          .put("reward_dtype", typeName(type(command)))
          .put("reward_template", reads.getFirst().text());
    }
    config.put("reward", terms);
    List<RewardSpec> classifiers =
        specs(command).stream()
            .skip(rewardModel() == null ? 0 : 1)
            .filter(spec -> spec.kind() == RewardSpec.Kind.CLASSIFIER)
            .toList();
    List<RewardSpec> judges = specs(command).stream().filter(spec -> spec.kind().judges()).toList();
    for (int i = 0; i < judges.size(); i++) {
      RewardSpec spec = judges.get(i);
      config.inner(
          "reward_judge_" + (i + 1),
          its ->
              its.weights("model", spec.argument())
                  .put("dtype", typeName(spec.dtype(type(command)))));
    }
    for (int i = 0; i < classifiers.size(); i++) {
      RewardSpec spec = classifiers.get(i);
      RewardTemplate template = reads.get(reads.size() - classifiers.size() + i);
      config.inner(
          "reward_classifier_" + (i + 1),
          its ->
              its.weights("model", spec.argument())
                  .put("dtype", typeName(spec.dtype(type(command))))
                  .put("template", template.text()));
    }
  }

  private static String typeName(DType type) {
    return type.name().toLowerCase(Locale.ROOT);
  }
}
