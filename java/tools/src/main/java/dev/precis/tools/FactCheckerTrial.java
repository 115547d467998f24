package dev.precis.tools;

import dev.precis.data.Dialogue;
import dev.precis.data.DialogueReader;
import dev.precis.evaluation.Fact.Kind;
import dev.precis.evaluation.FactChecker;
import dev.precis.random.SplitMix64;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Measures {@link FactChecker} on summaries that people wrote and on the same ones with an error of
 * one kind planted. Prints, with 95 % intervals (Wilson 1927): how many of the planted errors are
 * found (recall), how many of the summaries as written are reported all the same, and how many of
 * the reports are right where half of the summaries have an error (precision).
 *
 * <p>Usage: {@code FactCheckerTrial DATA [SEED]}.
 */
public final class FactCheckerTrial {
  private static final Pattern NUMBER =
      Pattern.compile(
          "(?<![#\\w.:,])\\d{1,6}(?![#\\w:]|[.,]\\d)|\\b(?:three|four|five|six|seven|eight|nine|ten"
              + "|twelve|twenty|thirty|fifty)\\b");
  private static final Pattern NAME = Pattern.compile("(?<=[\\p{Ll},] )\\p{Lu}\\p{Ll}{2,}\\b");
  private static final Pattern AUXILIARY =
      Pattern.compile("\\b(?:is|are|was|were|will|can|should|would|has|have)\\b(?! not)");
  private static final Pattern VERB =
      Pattern.compile("((?:#[^#\\s]+#|They|they|He|She) )(\\p{Ll}{3,}?)s\\b(?! not)");

  private final List<String> names = new ArrayList<>();
  private final SplitMix64 random;

  private FactCheckerTrial(long seed) {
    random = new SplitMix64(seed);
  }

  public static void main(String[] args) {
    List<Dialogue> all =
        DialogueReader.read(Path.of(args[0])).stream()
            .filter(each -> !each.summaries().isEmpty())
            .toList();
    new FactCheckerTrial(args.length > 1 ? Long.parseLong(args[1]) : 0).run(all);
  }

  private void run(List<Dialogue> all) {
    for (Dialogue each : all) {
      Matcher name = NAME.matcher(each.summaries().getFirst());
      while (name.find()) {
        names.add(name.group());
      }
    }
    System.out.println("| planted error | summaries | found | reported as written | precision |");
    System.out.println("|---|---|---|---|---|");
    for (Kind kind : Kind.values()) {
      int planted = 0;
      int found = 0;
      int wrong = 0;
      for (Dialogue each : all) {
        String summary = each.summaries().getFirst();
        Optional<String> changed = plant(kind, each.dialogue(), summary);
        if (changed.isPresent()) {
          planted++;
          found += FactChecker.check(each.dialogue(), changed.get()).contradicts(kind) ? 1 : 0;
          wrong += FactChecker.check(each.dialogue(), summary).contradicts(kind) ? 1 : 0;
        }
      }
      System.out.printf(
          Locale.ROOT,
          "| %s | %d | %s | %s | %s |%n",
          kind.name().toLowerCase(Locale.ROOT),
          planted,
          share(found, planted),
          share(wrong, planted),
          share(found, found + wrong));
    }
  }

  /** Returns a share and its interval, in percent. */
  private static String share(int some, int all) {
    if (all == 0) {
      return "-";
    }
    double z = 1.959964;
    double p = (double) some / all;
    double center = p + z * z / (2 * all);
    double half = z * Math.sqrt(p * (1 - p) / all + z * z / (4.0 * all * all));
    double scale = 100 / (1 + z * z / all);
    return "%.0f %% (%.0f to %.0f)"
        .formatted(100 * p, scale * (center - half), scale * (center + half));
  }

  /** Returns the summary with an error of a kind; empty if it has no place for one. */
  private Optional<String> plant(Kind kind, String dialogue, String summary) {
    return switch (kind) {
      case NAME -> otherName(dialogue, summary);
      case NUMBER -> otherNumber(dialogue, summary);
      case SPEAKER -> swapped(summary);
      case NEGATION -> denied(summary);
    };
  }

  private Optional<String> otherName(String dialogue, String summary) {
    Matcher name = NAME.matcher(summary);
    if (!name.find() || names.isEmpty()) {
      return Optional.empty();
    }
    for (int i = 0; i < 100; i++) {
      String other = names.get(random.below(names.size()));
      if (!dialogue.contains(other)) {
        return Optional.of(replaced(summary, name, other));
      }
    }
    return Optional.empty();
  }

  private Optional<String> otherNumber(String dialogue, String summary) {
    Matcher number = NUMBER.matcher(summary);
    if (!number.find()) {
      return Optional.empty();
    }
    String other =
        Character.isDigit(number.group().charAt(0))
            ? Integer.toString(Integer.parseInt(number.group()) + 1 + random.below(5))
            : number.group().equals("seven") ? "eleven" : "seven";
    return Optional.of(replaced(summary, number, other));
  }

  private static Optional<String> swapped(String summary) {
    if (!summary.contains("#Person1#") || !summary.contains("#Person2#")) {
      return Optional.empty();
    }
    return Optional.of(
        summary
            .replace("#Person1#", "\0")
            .replace("#Person2#", "#Person1#")
            .replace("\0", "#Person2#"));
  }

  private static Optional<String> denied(String summary) {
    Matcher auxiliary = AUXILIARY.matcher(summary);
    if (auxiliary.find()) {
      return Optional.of(replaced(summary, auxiliary, auxiliary.group() + " not"));
    }
    Matcher verb = VERB.matcher(summary);
    return verb.find()
        ? Optional.of(replaced(summary, verb, verb.group(1) + "doesn't " + verb.group(2)))
        : Optional.empty();
  }

  private static String replaced(String text, Matcher place, String by) {
    return text.substring(0, place.start()) + by + text.substring(place.end());
  }
}
