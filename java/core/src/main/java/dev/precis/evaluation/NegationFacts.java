package dev.precis.evaluation;

import dev.precis.evaluation.Fact.Kind;
import dev.precis.evaluation.SpokenWords.Spoken;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;

/** Looks up whether the sentences with a clause's words deny what it affirms, or affirm it. */
final class NegationFacts {
  private static final Pattern NEGATION =
      Pattern.compile(
          "(?i)\\b(?:not|no|never|none|nothing|nobody|neither|nor|without|cannot|hardly|refuses?"
              + "|refused|declines?|declined|denies|denied|unable|fails?|failed|impossible|stops?"
              + "|lacks?)\\b|n['’]t\\b");

  /** Share of a clause's words that a sentence must have to be about the same. */
  private static final double SAME = 0.5;

  private NegationFacts() {}

  static void find(SpokenWords spoken, Clause clause, List<Fact> facts) {
    Set<String> stems = clause.stems(spoken);
    double all = stems.stream().mapToDouble(spoken::weight).sum();
    if (all == 0 || clause.asks()) {
      return;
    }
    boolean denied = NEGATION.matcher(clause.text()).find();
    double best = 0;
    boolean agrees = false;
    for (Spoken sentence : spoken.sentences()) {
      double shared =
          stems.stream().filter(sentence.stems()::contains).mapToDouble(spoken::weight).sum();
      if (shared < SAME * all) {
        continue;
      }
      best = Math.max(best, shared);
      // A question holds both answers.
      agrees |= sentence.asks() || NEGATION.matcher(sentence.text()).find() == denied;
    }
    if (best == 0) {
      return;
    }
    facts.add(
        new Fact(
            Kind.NEGATION,
            clause.text(),
            clause.begin(),
            agrees,
            agrees
                ? ""
                : denied
                    ? "The dialogue affirms what this denies."
                    : "The dialogue denies what this affirms."));
  }
}
