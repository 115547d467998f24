package dev.precis.evaluation;

import dev.precis.evaluation.Fact.Kind;
import dev.precis.evaluation.SpokenWords.Spoken;
import java.util.ArrayList;
import java.util.List;

/**
 * Looks up who said something. A clause's words that only one speaker says count for that speaker,
 * rare ones most. A clause is another speaker's where its own words are outweighed, and the whole
 * summary agrees that its speakers are mixed up; or where they are outweighed by far.
 */
final class SpeakerFacts {
  private static final double MARGIN = 0.9;
  private static final double WIDE_MARGIN = 2.5;

  /** A clause and the weight of its speaker's own words less that of others'. */
  private record Weighed(Clause clause, double balance, String other) {}

  private SpeakerFacts() {}

  static void find(SpokenWords spoken, List<Clause> clauses, List<Fact> facts) {
    if (spoken.speakers().size() < 2) {
      return;
    }
    List<Weighed> all = new ArrayList<>();
    for (Clause clause : clauses) {
      if (clause.speaker() != null) {
        all.add(weigh(spoken, clause));
      }
    }
    double sum = all.stream().mapToDouble(Weighed::balance).sum();
    for (Weighed each : all) {
      if (each.balance == 0) {
        continue;
      }
      boolean supported = each.balance > (sum < 0 ? -MARGIN : -WIDE_MARGIN);
      facts.add(
          new Fact(
              Kind.SPEAKER,
              each.clause.text(),
              each.clause.begin(),
              supported,
              supported
                  ? ""
                  : "In the dialogue these are the words of %s, not of %s."
                      .formatted(each.other, each.clause.speaker())));
    }
  }

  private static Weighed weigh(SpokenWords spoken, Clause clause) {
    double balance = 0;
    String other = null;
    for (String stem : clause.stems(spoken)) {
      String only = onlySpeaker(spoken, stem, clause.asks());
      if (only != null) {
        boolean own = only.equals(clause.speaker());
        balance += own ? spoken.weight(stem) : -spoken.weight(stem);
        other = own ? other : only;
      }
    }
    return new Weighed(clause, balance, other);
  }

  /** Returns the speaker of all sentences that have a stem, or null. */
  private static String onlySpeaker(SpokenWords spoken, String stem, boolean asks) {
    String speaker = null;
    for (Spoken sentence : spoken.sentences()) {
      if (!sentence.stems().contains(stem) || asks && !sentence.asks()) {
        continue;
      }
      boolean answered = sentence.asks() && !asks; // by who need not say one of its words
      if (answered || speaker != null && !speaker.equals(sentence.speaker())) {
        return null;
      }
      speaker = sentence.speaker();
    }
    return speaker;
  }
}
