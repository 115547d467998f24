package dev.precis.evaluation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.evaluation.BertScore.Baseline;
import dev.precis.evaluation.BertScore.Score;
import dev.precis.evaluation.BertScore.States;
import dev.precis.io.InvalidInputException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** BERTScore of states whose cosines can be worked out. */
class BertScoreTest {
  private static final double ROOT = Math.sqrt(0.5);

  /** Special tokens 0 and 1 around the tokens 7 and 8, which point east and north. */
  private static final States CANDIDATE =
      new States(new int[] {0, 7, 8, 1}, new float[] {-1, 0, 2, 0, 0, 3, 0, -1});

  /** One token, 9, which points north-east. */
  private static final States REFERENCE =
      new States(new int[] {0, 9, 1}, new float[] {-1, 0, 4, 4, 0, -1});

  private static final States EMPTY = new States(new int[] {0, 1}, new float[] {-1, 0, 0, -1});

  @TempDir Path folder;

  @Test
  void tokensAreMatchedGreedily() {
    Score score = BertScore.plain(Set.of(0, 1)).score(CANDIDATE, REFERENCE);
    assertEquals(ROOT, score.precision(), 1e-12);
    assertEquals(ROOT, score.recall(), 1e-12);
    assertEquals(ROOT, score.f1(), 1e-12);
    Score same = BertScore.plain(Set.of(0, 1)).score(CANDIDATE, CANDIDATE);
    assertEquals(1, same.f1(), 1e-12);
  }

  @Test
  void precisionIsOfTheCandidateAndRecallOfTheReference() {
    States east = new States(new int[] {0, 7, 1}, new float[] {-1, 0, 1, 0, 0, -1});
    Score score = BertScore.plain(Set.of(0, 1)).score(east, CANDIDATE);
    assertEquals(1, score.precision(), 1e-12);
    assertEquals(0.5, score.recall(), 1e-12);
    assertEquals(2 / 3.0, score.f1(), 1e-12);
  }

  @Test
  void rareTokensWeighMore() {
    // 7 is in two of three references, 8 in none, 0 and 1 in all.
    BertScore score =
        BertScore.weightedBy(
            List.of(new int[] {0, 7, 1}, new int[] {0, 7, 7, 1}, new int[] {0, 9, 1}));
    States east = new States(new int[] {0, 7, 1}, new float[] {-1, 0, 1, 0, 0, -1});
    double common = Math.log(4 / 3.0);
    double rare = Math.log(4);
    assertEquals(common / (common + rare), score.score(CANDIDATE, east).precision(), 1e-12);
    assertEquals(1, score.score(CANDIDATE, east).recall(), 1e-12);
  }

  @Test
  void aTextWithoutTokensHasZero() {
    BertScore score = BertScore.plain(Set.of(0, 1));
    assertEquals(Score.ZERO, score.score(EMPTY, REFERENCE));
    assertEquals(Score.ZERO, score.score(CANDIDATE, EMPTY));
  }

  @Test
  void theBestReferenceCounts() {
    BertScore score = BertScore.plain(Set.of(0, 1));
    assertEquals(1, score.best(CANDIDATE, List.of(REFERENCE, CANDIDATE, EMPTY)).f1(), 1e-12);
  }

  @Test
  void aBaselineIsReadByLayer() throws IOException {
    Path file = folder.resolve("base.tsv");
    Files.writeString(file, "LAYER,P,R,F\n0,0.1,0.2,0.3\n17,0.5,0.6,0.75\n");
    Score score = Baseline.read(file, 17).rescale(new Score(0.75, 0.8, 1));
    assertEquals(0.5, score.precision(), 1e-12);
    assertEquals(0.5, score.recall(), 1e-12);
    assertEquals(1, score.f1(), 1e-12);
    String said =
        assertThrows(InvalidInputException.class, () -> Baseline.read(file, 3)).getMessage();
    assertTrue(said.contains("no line for layer 3"), said);
  }

  @ParameterizedTest
  @ValueSource(strings = {"4,0.1,0.2", "4,a,b,c", "4,0.1,0.2,1"})
  void aLineThatIsNoneIsNamed(String line) throws IOException {
    Path file = folder.resolve("base.tsv");
    Files.writeString(file, "LAYER,P,R,F\n" + line + "\n");
    String said =
        assertThrows(InvalidInputException.class, () -> Baseline.read(file, 4)).getMessage();
    assertTrue(said.contains("line 2") || said.contains("below 1"), said);
  }
}
