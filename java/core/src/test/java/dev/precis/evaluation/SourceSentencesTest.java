package dev.precis.evaluation;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.precis.evaluation.SourceSentences.Turn;
import java.util.BitSet;
import java.util.List;
import org.junit.jupiter.api.Test;

class SourceSentencesTest {
  private static final String DIALOGUE =
      """
      Anna: The bridge in Bern is closed. We need another road.
      Ben: I heard that. Take the ferry at noon!

      Anna: Good idea, the ferry it is.
      (They leave.)
      """;

  private static BitSet of(int... indices) {
    BitSet set = new BitSet();
    for (int index : indices) {
      set.set(index);
    }
    return set;
  }

  @Test
  void linesAndSentencesAreInTheirOrder() {
    List<Turn> turns = SourceSentences.of(DIALOGUE).turns();
    assertEquals(
        List.of(
            new Turn("Anna", List.of("The bridge in Bern is closed.", "We need another road.")),
            new Turn("Ben", List.of("I heard that.", "Take the ferry at noon!")),
            new Turn("Anna", List.of("Good idea, the ferry it is.")),
            new Turn("", List.of("(They leave.)"))),
        turns);
    assertEquals(List.of(), SourceSentences.of(" \n\n").turns());
  }

  @Test
  void aSummaryDrawsOnTheSentencesWithItsWords() {
    SourceSentences sentences = SourceSentences.of(DIALOGUE);
    assertEquals(of(0), sentences.drawnOn("A bridge was closed in Bern."));
    assertEquals(of(3), sentences.drawnOn("Ben proposes ferries at noon."));
    assertEquals(
        of(0, 3), sentences.drawnOn("Bern's bridge is closing. They take the noon ferry."));
    assertEquals(of(0, 1), sentences.drawnOn("The bridge is closed, so they need another road."));
  }

  @Test
  void commonWordsAndOtherWordsDrawOnNothing() {
    SourceSentences sentences = SourceSentences.of(DIALOGUE);
    assertEquals(of(), sentences.drawnOn("It is that and this."));
    assertEquals(of(), sentences.drawnOn("Elephants dance."));
    assertEquals(of(), sentences.drawnOn(""));
    // One word of many is a coincidence.
    assertEquals(
        of(),
        sentences.drawnOn(
            "Seven purple elephants danced wildly across green mountains beside a noon train."));
    assertEquals(of(), SourceSentences.of("").drawnOn("A bridge was closed."));
  }
}
