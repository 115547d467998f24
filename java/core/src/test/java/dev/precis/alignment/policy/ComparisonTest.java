package dev.precis.alignment.policy;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.alignment.reward.Reward;
import dev.precis.alignment.reward.RougeReward;
import dev.precis.alignment.reward.Score;
import dev.precis.evaluation.Rouge;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ComparisonTest {
  private static final Reward WORDS =
      all -> all.stream().map(c -> Score.of("words", c.text().split(" ").length)).toList();

  private static Comparison compare(List<String> before, List<String> after) {
    List<Prompt> prompts = new ArrayList<>();
    for (int i = 0; i < before.size(); i++) {
      prompts.add(new Prompt("p" + i, "", new int[] {1}, List.of("the cat sat on the mat")));
    }
    Map<String, Reward> measures = new LinkedHashMap<>();
    measures.put("reward", WORDS);
    measures.put("rouge1", RougeReward.of(Rouge.Metric.ROUGE_1));
    return Comparison.of(prompts, before, after, measures, 3);
  }

  @Test
  void rowsAreSortedByGainAndMomentsAreThoseOfTheValues() {
    Comparison comparison =
        compare(List.of("a b c", "a", "a b"), List.of("a", "a b c d e", "a b c"));
    assertEquals(
        List.of("p1", "p2", "p0"), comparison.rows().stream().map(Comparison.Row::id).toList());
    assertEquals(-2, comparison.rows().getLast().gain());
    Comparison.Paired reward = comparison.measures().get("reward");
    assertEquals(2, reward.baselineMean(), 1e-12);
    assertEquals(3, reward.alignedMean(), 1e-12);
    assertEquals(1, reward.baselineDeviation(), 1e-12);
    assertEquals(2, reward.alignedDeviation(), 1e-12);
    assertEquals(1, reward.difference().mean(), 1e-12);
    assertEquals(0.5, reward.relative(), 1e-12);
  }

  @Test
  void theGuardSpeaksWhereRougeFellBeyondItsInterval() {
    List<String> good = Collections.nCopies(20, "the cat sat on the mat");
    List<String> lost = Collections.nCopies(20, "the cat");
    String said = compare(good, lost).guard().orElse("nothing");
    assertTrue(said.startsWith("Quality was lost: rouge1 fell from 1.0000 to 0.5000"), said);
    assertEquals("nothing", compare(lost, good).guard().orElse("nothing"));
    // One of 20 that is worse, and another that is better, is within the interval.
    List<String> before = new ArrayList<>(good);
    List<String> after = new ArrayList<>(good);
    after.set(4, "the cat");
    before.set(9, "the cat sat on");
    assertEquals("nothing", compare(before, after).guard().orElse("nothing"));
  }
}
