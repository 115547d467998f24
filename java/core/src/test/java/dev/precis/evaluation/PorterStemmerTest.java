package dev.precis.evaluation;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.precis.Fixtures;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;

final class PorterStemmerTest {
  @Test
  void stemsAsNltkDoes() {
    JsonNode golden = Fixtures.json("porter_stems.json");
    assertEquals(170, golden.size());
    golden.forEachEntry(
        (word, stem) -> assertEquals(stem.stringValue(), PorterStemmer.stem(word), word));
  }

  /** Deviations of NLTK's stemmer from Porter's paper; rules that the fixture has no word for. */
  @ParameterizedTest
  @CsvSource({
    "dies, die",
    "died, die",
    "spies, spi",
    "spied, spi",
    "tying, tie",
    "as, as",
    "sky, sky",
    "enjoy, enjoy",
    "cry, cri",
    "by, by",
    "yyyy, yyyi",
    "agreed, agre",
    "feed, feed",
    "hopping, hop",
    "falling, fall",
    "hissing, hiss",
    "fizzed, fizz",
    "filing, file",
    "failing, fail",
    "conflated, conflat",
    "troubled, troubl",
    "sized, size",
    "bled, bled",
    "sing, sing",
    "incredibly, incred",
    "carefully, care",
    "geology, geolog",
    "theology, theolog",
    "really, realli",
    "nationally, nation",
    "formally, formal",
    "atheist, atheist",
    "adopted, adopt",
    "onion, onion",
    "religion, religion",
    "controlling, control",
    "ated, ate",
    "aed, a",
    "1980s, 1980",
    "y, y"
  })
  void followsTheRules(String word, String stem) {
    assertEquals(stem, PorterStemmer.stem(word));
  }
}
