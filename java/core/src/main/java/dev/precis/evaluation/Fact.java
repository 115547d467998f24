package dev.precis.evaluation;

/**
 * A fact of a summary.
 *
 * @param text the words of the summary that state it
 * @param begin where they begin in the summary, in chars
 * @param supported whether the dialogue has it
 * @param reason a sentence that says why not; empty where it is supported
 */
public record Fact(Kind kind, String text, int begin, boolean supported, String reason) {
  /** The subject matter of a fact. */
  public enum Kind {
    /** A person, place or thing with a capital letter, or a speaker's tag. */
    NAME,
    /** A count, an amount, a time of day or a year. */
    NUMBER,
    /** That a speaker, and not another one, said or asked something. */
    SPEAKER,
    /** That something is so, and not that it is not. */
    NEGATION
  }
}
