package dev.precis.alignment.reward;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.io.InvalidInputException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The choice among samples: ties, texts that no pair can have, and what the reward is asked. */
final class BestOfNTest {
  private static final Reward LENGTH =
      all -> all.stream().map(each -> Score.of("length", each.text().length())).toList();

  private static BestOfN of(Reward reward, String... texts) {
    return BestOfN.of(reward, "id", "prompt", List.of("reference"), List.of(texts));
  }

  @Test
  void takesTheFirstOfEqualRewards() {
    BestOfN best = of(LENGTH, "three", "a", "seven", "b");
    assertEquals(0, best.chosen());
    assertEquals(1, best.rejected());
    assertTrue(best.isPair());
    assertEquals(4, best.margin());
    assertEquals(List.of(5.0, 1.0, 5.0, 1.0), best.scores().stream().map(Score::value).toList());
  }

  @Test
  void sameTextsOrRewardsAreNoPair() {
    for (BestOfN best : List.of(of(LENGTH, "same", "same"), of(LENGTH, "some", "more"))) {
      assertEquals(0, best.chosen());
      assertEquals(BestOfN.NONE, best.rejected());
      assertFalse(best.isPair());
      assertEquals(0, best.margin());
    }
  }

  @Test
  void blankTextsAreInNoPair() {
    BestOfN best = of(LENGTH, "", "long", "abc", " ");
    assertEquals(1, best.chosen());
    assertEquals(2, best.rejected());
    assertFalse(of(LENGTH, "abc", "     ").isPair());
    assertEquals(1, of(LENGTH, "abc", "     ").chosen());
  }

  @Test
  void blanksAroundATextMakeNoOtherText() {
    BestOfN best = of(LENGTH, "abc ", "abc");
    assertEquals(0, best.chosen());
    assertFalse(best.isPair());
  }

  @Test
  void equalTextsAreScoredOnce() {
    List<Completion> asked = new ArrayList<>();
    Reward counting =
        all -> {
          asked.addAll(all);
          return LENGTH.score(all);
        };
    BestOfN best = of(counting, "aa", "b", "aa", "b", "aa");
    assertEquals(List.of("aa", "b"), asked.stream().map(Completion::text).toList());
    assertEquals(new Completion("id", "prompt", "aa", List.of("reference")), asked.getFirst());
    assertEquals(5, best.scores().size());
    assertEquals(best.scores().getFirst(), best.scores().get(4));
  }

  @Test
  void scoresMustBeFinite() {
    Reward broken = all -> all.stream().map(each -> Score.of("broken", Double.NaN)).toList();
    assertThrows(InvalidInputException.class, () -> of(broken, "a", "b"));
  }
}
