package dev.precis.cli.align;

import dev.precis.cli.common.JudgeSettings;
import dev.precis.evaluation.Consistency;
import dev.precis.evaluation.Rouge;
import dev.precis.tensor.DType;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * A term of the reward as {@code --reward} spells it: {@code KIND:ARGUMENT[,KEY=VALUE]...}. Terms
 * with a number for an argument have a short form of their weight, {@code KIND:ARGUMENT=WEIGHT}.
 *
 * @param text the term as given
 * @param argument a model, a metric or a length
 * @param settings by key, without the weight
 * @param error makes the error of wrong usage from a sentence
 */
record RewardSpec(
    String text,
    Kind kind,
    String argument,
    double weight,
    Map<String, String> settings,
    Function<String, RuntimeException> error) {
  /** Kinds of terms, each with the keys that it takes. */
  enum Kind {
    CLASSIFIER("label", "weight", "measure", "dtype", "template", "name"),
    ROUGE("weight", "name"),
    LENGTH("weight", "name"),
    FACTS("weight", "name"),
    CONSISTENCY("label", "weight", "prompt", "answers", "chunk", "dtype", "name"),
    JUDGE("label", "weight", "prompt", "answers", "dtype", "name");

    private final List<String> keys;

    /** Returns whether a text is of this kind: facts have no argument. */
    boolean names(String text) {
      String name = name().toLowerCase(Locale.ROOT);
      return this == FACTS ? text.matches("facts([=,].*)?") : text.startsWith(name + ":");
    }

    /** Returns whether the argument is a model that compares a pair of texts. */
    boolean judges() {
      return this == CONSISTENCY || this == JUDGE;
    }

    Kind(String... keys) {
      this.keys = List.of(keys);
    }
  }

  private static final String FORMS =
      "classifier:MODEL,label=NAME,weight=X, rouge:rouge1 (rouge2, rougeL, rougeLsum),"
          + " length:WORDS, facts, consistency:MODEL or judge:MODEL, each with an optional weight";

  /** Reads a term. */
  static RewardSpec parse(String text, Function<String, RuntimeException> error) {
    Kind kind =
        Arrays.stream(Kind.values())
            .filter(each -> each.names(text))
            .findFirst()
            .orElseThrow(() -> error.apply("--reward must be " + FORMS + ", not '" + text + "'"));
    int begin = kind.name().length() + (kind == Kind.FACTS ? 0 : 1);
    String[] parts = text.substring(begin).split(",(?=[a-z_]+=)");
    Map<String, String> settings = new LinkedHashMap<>();
    for (String part : Arrays.asList(parts).subList(1, parts.length)) {
      int equals = part.indexOf('=');
      String key = part.substring(0, equals);
      if (!kind.keys.contains(key)) {
        throw error.apply(
            "--reward %s: there is no setting '%s'; it takes %s"
                .formatted(text, key, String.join(", ", kind.keys)));
      }
      if (settings.put(key, part.substring(equals + 1)) != null) {
        throw error.apply("--reward %s: %s is given twice".formatted(text, key));
      }
    }
    String argument = parts[0];
    int equals = argument.lastIndexOf('=');
    if (kind != Kind.CLASSIFIER && !kind.judges() && equals >= 0) {
      if (settings.put("weight", argument.substring(equals + 1)) != null) {
        throw error.apply("--reward %s: the weight is given twice".formatted(text));
      }
      argument = argument.substring(0, equals);
    }
    if (argument.isBlank() != (kind == Kind.FACTS)) {
      throw error.apply("--reward must be " + FORMS + ", not '" + text + "'");
    }
    String weight = settings.remove("weight");
    RewardSpec spec =
        new RewardSpec(text, kind, argument, weight(text, weight, error), settings, error);
    spec.check();
    return spec;
  }

  private static double weight(
      String text, String weight, Function<String, RuntimeException> error) {
    try {
      double value = weight == null ? 1 : Double.parseDouble(weight.strip());
      if (Double.isFinite(value)) {
        return value;
      }
    } catch (NumberFormatException e) {
      // The sentence below is for this too.
    }
    throw error.apply("--reward " + text + ": the weight after = must be a number");
  }

  private void check() {
    switch (kind) {
      case CLASSIFIER -> {
        requireOneOf("measure", List.of("logit", "probability"));
        requireOneOf("dtype", List.of("float32", "bfloat16"));
      }
      case ROUGE -> metric();
      case LENGTH -> words();
      case FACTS -> {}
      case CONSISTENCY, JUDGE -> {
        requireOneOf("dtype", List.of("float32", "bfloat16"));
        chunkWords();
      }
    }
    if (setting("name").filter(String::isBlank).isPresent()) {
      throw error.apply("--reward " + text + ": the name is empty");
    }
  }

  private void requireOneOf(String key, List<String> values) {
    setting(key)
        .filter(value -> !values.contains(value))
        .ifPresent(
            value -> {
              throw error.apply(
                  "--reward %s: %s must be %s, not '%s'"
                      .formatted(text, key, String.join(" or ", values), value));
            });
  }

  /** Returns a setting, if it is given. */
  Optional<String> setting(String key) {
    return Optional.ofNullable(settings.get(key));
  }

  /** Returns the type that a classifier computes in, or the run's. */
  DType dtype(DType otherwise) {
    return setting("dtype")
        .map(name -> DType.valueOf(name.toUpperCase(Locale.ROOT)))
        .orElse(otherwise);
  }

  /** Returns the metric of a term of ROUGE. */
  Rouge.Metric metric() {
    return Arrays.stream(Rouge.Metric.values())
        .filter(each -> each.id().equals(argument))
        .findFirst()
        .orElseThrow(
            () ->
                error.apply(
                    "--reward must be rouge:M with M one of %s, not '%s'"
                        .formatted(
                            Arrays.stream(Rouge.Metric.values())
                                .map(Rouge.Metric::id)
                                .collect(Collectors.joining(", ")),
                            text)));
  }

  /** Returns the words of a chunk of the source, of a term of consistency. */
  int chunkWords() {
    String words = setting("chunk").orElse(Integer.toString(Consistency.CHUNK_WORDS));
    if (!words.matches("[1-9]\\d{0,5}")) {
      throw error.apply(
          "--reward %s: chunk must be a number of words, not '%s'".formatted(text, words));
    }
    return Integer.parseInt(words);
  }

  /** Returns how the model of a term of judgment is asked. */
  JudgeSettings judge() {
    return new JudgeSettings(
        setting("label").orElse(null),
        setting("prompt").orElse(null),
        setting("answers").orElse(null));
  }

  /** Returns the number of words that a term of length aims at. */
  int words() {
    if (!argument.matches("\\d{1,6}")) {
      throw error.apply("--reward must be length:WORDS with a number, not '" + text + "'");
    }
    return Integer.parseInt(argument);
  }
}
