package dev.precis.evaluation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTimeout;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.evaluation.Fact.Kind;
import dev.precis.evaluation.FactChecker.Result;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class FactCheckerTest {
  private static final String TABLE =
      """
      #Person1#: Good evening. The Blue Lantern, how can I help you?
      #Person2#: Hello, I'd like to book a table for Saturday at half past seven. My name is Keller.
      #Person1#: For how many guests, Mr. Keller?
      #Person2#: There will be twenty-four of us, and my mother eats no fish.
      #Person1#: The kitchen can cook mushrooms instead. We ask for a deposit of 1,200 dollars.
      #Person2#: That is expensive, but I will pay it tomorrow morning.
      """;

  private static List<String> unsupported(String summary, Kind kind) {
    return FactChecker.check(TABLE, summary).unsupported().stream()
        .filter(fact -> fact.kind() == kind)
        .map(Fact::text)
        .toList();
  }

  @Test
  void whatTheDialogueSaysIsSupported() {
    Result result =
        FactChecker.check(
            TABLE,
            "Keller books a table at the Blue Lantern for 24 guests on Saturday at 7:30."
                + " #Person2# will pay a deposit of $1200 tomorrow.");
    assertEquals(List.of(), result.unsupported());
    assertEquals(1, result.score());
    assertTrue(result.facts().stream().anyMatch(fact -> fact.kind() == Kind.NUMBER));
    assertTrue(result.facts().stream().anyMatch(fact -> fact.kind() == Kind.NAME));
    assertTrue(result.facts().stream().anyMatch(fact -> fact.kind() == Kind.SPEAKER));
    assertTrue(result.facts().stream().anyMatch(fact -> fact.kind() == Kind.NEGATION));
  }

  @ParameterizedTest
  @CsvSource({
    "Someone called Bergmann books a table., NAME, Bergmann",
    "The table is for Sunday., NAME, Sunday",
    "#Person3# books a table., NAME, #Person3#",
    "The table is for 25 guests., NUMBER, 25",
    "The table is for twenty-five guests., NUMBER, twenty-five",
    "The table is booked for 8:30., NUMBER, 8:30",
    "The table is booked for quarter to eight., NUMBER, quarter to eight",
    "The deposit is 12 dollars., NUMBER, 12",
    "#Person1# has a mother who eats no fish and finds it expensive., SPEAKER,"
        + " #Person1# has a mother who eats no fish and finds it expensive.",
    "The kitchen cannot cook mushrooms., NEGATION, The kitchen cannot cook mushrooms.",
    "The mother eats fish., NEGATION, The mother eats fish.",
  })
  void whatItDoesNotSayIsNot(String summary, Kind kind, String text) {
    assertEquals(List.of(text), unsupported(summary, kind));
    assertTrue(FactChecker.check(TABLE, summary).score() < 1);
  }

  @ParameterizedTest
  @CsvSource({
    "two hundred and fifty people, 250 people",
    "It costs 3 million., It costs three million.",
    "at ten to five, at 4:50",
    "at quarter past nine, at 9:15",
    "We meet at noon., We meet at 12:00.",
    "We meet at four., We meet at 4 p.m.",
    "in nineteen ninety, in 1990",
    "five thirty, 5:30",
    "the twelfth floor, the 12 floors",
    "a dozen eggs, 12 eggs",
    "seventy-five percent, 75%",
  })
  void numbersAreTheSameInWordsAndDigits(String dialogue, String summary) {
    for (String[] pair : new String[][] {{dialogue, summary}, {summary, dialogue}}) {
      Result result = FactChecker.check("A: " + pair[0], pair[1]);
      assertEquals(List.of(), result.unsupported(), pair[1]);
    }
    Result both = FactChecker.check("A: " + dialogue, summary);
    assertTrue(both.facts().stream().anyMatch(fact -> fact.kind() == Kind.NUMBER), summary);
  }

  @Test
  void aFactSaysWhereItStandsAndWhy() {
    String summary = "#Person2# wants a table. The table is for 25 guests.";
    Fact fact = FactChecker.check(TABLE, summary).unsupported().getFirst();
    assertEquals("25", summary.substring(fact.begin(), fact.begin() + fact.text().length()));
    assertEquals("The dialogue never says 25.", fact.reason());
  }

  @Test
  void nothingIsNothing() {
    assertEquals(List.of(), FactChecker.check("", "").facts());
    assertEquals(1, FactChecker.check(TABLE, "").score());
    assertEquals(
        List.of("Keller"),
        FactChecker.check("", "He is called Keller.").unsupported().stream()
            .map(Fact::text)
            .toList());
  }

  /** Whatever a file holds: no pattern walks through it more than a few times. */
  @Test
  void longAndStrangeTextsEnd() {
    for (String part :
        List.of("A.b", "#", "1,000", "half past ", "and #Person1# ", "not ", "'s-a")) {
      String text = part.repeat(3000);
      assertTimeout(
          Duration.ofSeconds(10), () -> FactChecker.check("#Person1#: " + text, text), part);
    }
  }
}
