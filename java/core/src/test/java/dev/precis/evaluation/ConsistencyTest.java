package dev.precis.evaluation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.precis.io.InvalidInputException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The rule of chunks and sentences, with a judge that can be followed by hand. */
class ConsistencyTest {
  /** Finds a claim supported as far as its last word stands in the text. */
  private static final PairJudge LAST_WORD =
      pairs ->
          pairs.stream()
              .mapToDouble(
                  pair -> {
                    String[] words = pair.second().replace(".", "").split(" ");
                    return pair.first().contains(words[words.length - 1]) ? 0.75 : 0.25;
                  })
              .toArray();

  private static final String SOURCE =
      "Anna lost the cat. She looked in the garden. Bob found a dog. He kept it.";

  @Test
  void aSourceHasAsManyChunksAsItsWordsAsk() {
    // 16 words: 16/350+1 = 1 chunk; 16/8+1 = 3 of one sentence each, and the rest.
    assertEquals(1, Consistency.chunks(SOURCE, 350).size());
    assertEquals(
        List.of(
            "Anna lost the cat.", "She looked in the garden.", "Bob found a dog.", "He kept it."),
        Consistency.chunks(SOURCE, 8));
    assertEquals(
        List.of("Anna lost the cat. She looked in the garden.", "Bob found a dog. He kept it."),
        Consistency.chunks(SOURCE, 10));
    assertEquals(List.of(""), Consistency.chunks(" \n ", 350));
  }

  @Test
  void theBestChunkCountsAndTheMeanOverSentences() {
    List<Integer> asked = new ArrayList<>();
    PairJudge counting =
        pairs -> {
          asked.add(pairs.size());
          return LAST_WORD.judge(pairs);
        };
    List<Consistency.Result> results =
        new Consistency(counting, 10)
            .score(
                List.of(
                    new TextPair(SOURCE, "Bob has a dog. Anna has a horse."),
                    new TextPair(SOURCE, ""),
                    new TextPair("", "It rains.")));
    assertEquals(List.of(2 * 2 + 1), asked);
    assertEquals(0.5, results.get(0).score(), 1e-12);
    assertEquals(
        new Consistency.Sentence("Bob has a dog.", 0.75, 1), results.get(0).sentences().get(0));
    assertEquals(
        new Consistency.Sentence("Anna has a horse.", 0.25, 0), results.get(0).sentences().get(1));
    assertEquals(0, results.get(1).score());
    assertEquals(List.of(), results.get(1).sentences());
    assertEquals(0.25, results.get(2).score(), 1e-12);
  }

  @Test
  void aJudgeAnswersForEveryPair() {
    Consistency rule = new Consistency(pairs -> new double[0], 350);
    assertThrows(IllegalStateException.class, () -> rule.score(List.of(new TextPair("a", "b."))));
    assertThrows(InvalidInputException.class, () -> new Consistency(LAST_WORD, 0));
  }
}
