package dev.precis.evaluation;

import java.util.ArrayList;
import java.util.List;

/**
 * Looks up the facts of an English summary in its dialogue, without a model: names, numbers and
 * times, who said what, and whether it was affirmed or denied. It finds what contradicts the
 * dialogue's words; it does not understand the dialogue, and a summary without findings may still
 * be wrong. The guide says how often each kind of error is found.
 *
 * <p>A dialogue has one turn a line, {@code Speaker: words}; a line without a speaker continues the
 * turn before. Thread-safe.
 */
public final class FactChecker {
  /**
   * The facts of a summary.
   *
   * @param facts in the order of the summary, names and numbers before what their sentence says
   */
  public record Result(List<Fact> facts) {
    /** Copies the facts. */
    public Result {
      facts = List.copyOf(facts);
    }

    /** Returns the share of facts that the dialogue supports; 1 where there is none. */
    public double score() {
      long supported = facts.stream().filter(Fact::supported).count();
      return facts.isEmpty() ? 1 : (double) supported / facts.size();
    }

    /** Returns the facts that the dialogue does not support. */
    public List<Fact> unsupported() {
      return facts.stream().filter(fact -> !fact.supported()).toList();
    }

    /** Returns whether a fact of that kind is not supported. */
    public boolean contradicts(Fact.Kind kind) {
      return facts.stream().anyMatch(fact -> fact.kind() == kind && !fact.supported());
    }
  }

  private FactChecker() {}

  /** Checks a summary against the dialogue that it is of. */
  public static Result check(String dialogue, String summary) {
    SpokenWords spoken = new SpokenWords(dialogue);
    List<Fact> facts = new ArrayList<>();
    NameFacts.find(spoken, summary, facts);
    NumberFacts.find(dialogue, summary, facts);
    List<Clause> clauses = Clause.all(spoken, summary);
    SpeakerFacts.find(spoken, clauses, facts);
    clauses.forEach(clause -> NegationFacts.find(spoken, clause, facts));
    return new Result(facts);
  }
}
