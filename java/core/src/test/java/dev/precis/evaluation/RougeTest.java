package dev.precis.evaluation;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.evaluation.Rouge.MultiReference;
import dev.precis.evaluation.Rouge.Preset;
import dev.precis.evaluation.Rouge.Score;
import dev.precis.evaluation.Rouge.Scores;
import dev.precis.io.InvalidInputException;
import dev.precis.random.SplitMix64;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;

final class RougeTest {
  private static final Rouge ROUGE = Rouge.of(Preset.STEMMER);

  @Test
  void isRougeScoresToTheLastBit() {
    JsonNode golden = Fixtures.json("rouge.json");
    assertEquals(10, golden.size());
    for (JsonNode each : golden) {
      String prediction = each.get("prediction").stringValue();
      Scores scores = ROUGE.score(prediction, each.get("reference").stringValue());
      assertScore(each.get("rouge1"), scores.rouge1(), prediction);
      assertScore(each.get("rouge2"), scores.rouge2(), prediction);
      assertScore(each.get("rougeL"), scores.rougeL(), prediction);
      assertScore(each.get("rougeLsum"), scores.rougeLsum(), prediction);
    }
  }

  private static void assertScore(JsonNode golden, Score score, String prediction) {
    assertArrayEquals(
        new double[] {
          golden.get(0).doubleValue(), golden.get(1).doubleValue(), golden.get(2).doubleValue()
        },
        new double[] {score.precision(), score.recall(), score.f1()},
        prediction);
  }

  @ParameterizedTest
  @CsvSource({
    "Running LATE, run|late",
    "don't stop_now 3.14, don|t|stop|now|3|14",
    "café naïve, caf|na|ve",
    "İstanbul, i|stanbul",
    "\u212A9 \u0130, k9|i",
    "'   ', ''",
    "日本, ''",
    "was has, was|has"
  })
  void words(String text, String words) {
    assertEquals(words, String.join("|", ROUGE.words(text)));
  }

  @Test
  void presetsDifferWhereTheySay() {
    String prediction = "Judy buys books. They run late.";
    String reference = "They run late. Judy buys a book.";
    Scores stemmer = Rouge.of(Preset.STEMMER).score(prediction, reference);
    Scores plain = Rouge.of(Preset.NO_STEMMER).score(prediction, reference);
    Scores sentences = Rouge.of(Preset.SENTENCES).score(prediction, reference);
    assertEquals(Score.of(6, 6, 7), stemmer.rouge1());
    assertEquals(Score.of(5, 6, 7), plain.rouge1());
    assertEquals(Score.of(3, 6, 7), stemmer.rougeLsum());
    assertEquals(Score.of(6, 6, 7), sentences.rougeLsum());
    assertEquals(stemmer.rougeL(), sentences.rougeL());
    for (Preset preset : Preset.values()) {
      assertEquals(preset, Preset.of(preset.id()));
    }
    InvalidInputException e =
        assertThrows(InvalidInputException.class, () -> Preset.of("rouge-score"));
    assertEquals(
        "There is no ROUGE preset 'rouge-score'; there are rouge_score, rouge_score-no-stemmer,"
            + " rouge_score-sentences",
        e.getMessage());
  }

  @Test
  void severalReferences() {
    List<String> references = List.of("the cat sat", "a dog ran off", "the dog sat");
    Scores max = ROUGE.score("the dog sat down", references, MultiReference.MAX);
    Scores mean = ROUGE.score("the dog sat down", references, MultiReference.MEAN);
    assertEquals(Score.of(3, 4, 3), max.rouge1());
    assertEquals(Score.of(2, 3, 2), max.rouge2());
    assertEquals((0.5 + 0.25 + 0.75) / 3, mean.rouge1().precision(), 1e-15);
    assertEquals((2 / 3.0 + 0.25 + 1) / 3, mean.rouge1().recall(), 1e-15);
    double f1 = Score.of(2, 4, 3).f1() + Score.of(1, 4, 4).f1() + Score.of(3, 4, 3).f1();
    assertEquals(f1 / 3, mean.rouge1().f1(), 1e-15);
    assertThrows(
        IllegalArgumentException.class, () -> ROUGE.score("x", List.of(), MultiReference.MAX));
  }

  /** The maximum is of F1, each metric for itself, and the first of equals. */
  @Test
  void theBestReferenceIsThatOfTheHighestF1() {
    List<String> references = List.of("b", "b c d e f g h a", "a b");
    Scores max = ROUGE.score("a b", references, MultiReference.MAX);
    assertEquals(new Score(1, 1, 1), max.rouge1());
    Scores tie = ROUGE.score("a b", List.of("a", "b c"), MultiReference.MAX);
    assertEquals(Score.of(1, 2, 1), tie.rouge1());
  }

  /** Against definitions that cannot be wrong, on texts of few words where much repeats. */
  @Test
  void agreesWithPlainDefinitions() {
    SplitMix64 random = new SplitMix64(3);
    Rouge rouge = Rouge.of(Preset.NO_STEMMER);
    for (int i = 0; i < 300; i++) {
      List<String> p = randomWords(random);
      List<String> r = randomWords(random);
      Scores scores = rouge.score(String.join(" ", p), String.join(" ", r));
      assertEquals(Score.of(commonCount(p, r), p.size(), r.size()), scores.rouge1());
      List<String> p2 = pairs(p);
      List<String> r2 = pairs(r);
      assertEquals(Score.of(commonCount(p2, r2), p2.size(), r2.size()), scores.rouge2());
      assertEquals(Score.of(longestCommon(p, r), p.size(), r.size()), scores.rougeL());
      // One sentence each: the union is that of one subsequence.
      assertEquals(scores.rougeL(), scores.rougeLsum());
    }
  }

  private static List<String> randomWords(SplitMix64 random) {
    List<String> words = new ArrayList<>();
    for (int n = random.below(9); n > 0; n--) {
      words.add(String.valueOf((char) ('a' + random.below(4))));
    }
    return words;
  }

  private static List<String> pairs(List<String> words) {
    List<String> pairs = new ArrayList<>();
    for (int i = 1; i < words.size(); i++) {
      pairs.add(words.get(i - 1) + words.get(i));
    }
    return pairs;
  }

  private static int commonCount(List<String> a, List<String> b) {
    List<String> left = new ArrayList<>(b);
    return (int) a.stream().filter(left::remove).count();
  }

  /** Tries every subsequence of a. */
  private static int longestCommon(List<String> a, List<String> b) {
    int longest = 0;
    for (int chosen = 0; chosen < 1 << a.size(); chosen++) {
      int at = 0;
      for (int i = 0; i < a.size() && at <= b.size(); i++) {
        if ((chosen >> i & 1) != 0) {
          while (at < b.size() && !b.get(at).equals(a.get(i))) {
            at++;
          }
          at++;
        }
      }
      longest = at <= b.size() ? Math.max(longest, Integer.bitCount(chosen)) : longest;
    }
    return longest;
  }

  /** The union has the word of either sentence, but no word more often than the texts have it. */
  @Test
  void summaryLevelCountsAWordOnce() {
    // Lin 2004, section 3.2: the union of w1 w2 and w1 w3 w5 has four of five words.
    Scores lin = ROUGE.score("w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5", "w1 w2 w3 w4 w5");
    assertEquals(Score.of(4, 10, 5), lin.rougeLsum());
    assertEquals(Score.of(1, 1, 2), ROUGE.score("a", "a\na").rougeLsum());
    assertEquals(Score.of(1, 2, 1), ROUGE.score("a\n\na\n", "\na").rougeLsum());
  }

  @Test
  void longTextsAreRefusedAndOthersTakeLittle() {
    String most = "a ".repeat(Rouge.MAX_WORDS);
    assertEquals(1, ROUGE.score(most, "a").rougeL().recall());
    InvalidInputException e =
        assertThrows(InvalidInputException.class, () -> ROUGE.score("a", most + "a"));
    assertEquals(
        "A text of 20001 words is longer than the 20000 that ROUGE compares", e.getMessage());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "One. Two! Three?; One.|Two!|Three?",
        "Mr. Smith met Dr. Jones at 3.14 p.m. today.; Mr. Smith met Dr. Jones at 3.14 p.m. today.",
        "He said \"Go.\" She went.; He said \"Go.\"|She went.",
        "So do I. J. Smith too.; So do I.|J. Smith too.",
        "Wait... what? #Person1# left.; Wait... what?|#Person1# left.",
        "no end; no end"
      })
  void sentences(String text, String sentences) {
    assertEquals(sentences, String.join("|", SentenceSplitter.split(text)));
  }

  @Test
  void sentencesEndAtLineEnds() {
    assertEquals(List.of("a b", "c"), SentenceSplitter.split("a b\n\n c \n"));
    assertTrue(SentenceSplitter.split(" \n").isEmpty());
  }
}
