package dev.precis.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AlignmentRaceTest {
  private static String candidate(String scores) {
    return "{\"scores\":{" + scores + "}}";
  }

  private static String score(String name, double mean) {
    return String.format(Locale.ROOT, "\"%s\":{\"mean\":%s}", name, mean);
  }

  private static void evaluation(Path folder, String before, String after) throws IOException {
    Files.createDirectories(folder);
    Files.writeString(
        folder.resolve("evaluation.json"),
        "{\"candidates\":[%s,%s]}".formatted(candidate(before), candidate(after)));
  }

  private static String summaries(double rouge, double toxicity) {
    return String.join(
        ",", score("rouge1", rouge), score("rougeL", rouge - 0.125), score("toxicity", toxicity));
  }

  /** The reward is 1 - toxicity + 2 ROUGE-1, the divergence the difference of the losses. */
  @Test
  void aRunHasARow(@TempDir Path work) throws IOException {
    Locale.setDefault(Locale.ROOT);
    Path run = work.resolve("ppo-3");
    evaluation(run.resolve("samples"), summaries(0.25, 0.5), summaries(0.375, 0.25));
    evaluation(run.resolve("evaluation"), summaries(0.5, 0.25), summaries(0.625, 0.125));
    evaluation(run.resolve("divergence"), score("token_loss", 1.5), score("token_loss", 1.25));
    Files.writeString(work.resolve("ppo-3.time"), "a note\n61.0 100.25 5.5\n");
    assertEquals(
        "ppo,3,1.000000,1.500000,1.750000,2.125000,0.250000,0.125000,0.500000,0.625000,"
            + "0.375000,0.500000,0.250000,105.8",
        AlignmentRace.row("ppo", "3", run));
  }

  /**
   * Of two runs the interval is 12.706 deviations of the mean to each side; of one there is none.
   */
  @Test
  void theTableHasMeansOverSeeds() {
    Locale.setDefault(Locale.ROOT);
    String head =
        "algorithm,seed,sampled_reward_before,sampled_reward_after,reward_before,reward_after,"
            + "toxicity_before,toxicity_after,rouge1_before,rouge1_after,rougeL_before,"
            + "rougeL_after,kl_per_token,cpu_seconds";
    List<String> lines =
        AlignmentRace.table(
                List.of(
                    head,
                    "dpo,0,1,2,2,2,0.5,0.25,0.5,0.5,0.5,0.5,0.1,60",
                    "dpo,1,1,2,2,2,0.5,0.25,0.5,0.7,0.5,0.5,0.1,60",
                    "ppo,0,1,2,2,2,0.5,0.25,0.5,0.5,0.5,0.5,0.1,60"))
            .lines()
            .toList();
    assertEquals(4, lines.size());
    assertEquals(
        "| dpo | 2 | 2.000 ± 0.000 (1.000 ± 0.000) | 2.000 ± 0.000 (0.000 ± 0.000)"
            + " | 0.2500 ± 0.0000 (-0.2500 ± 0.0000) | 0.600 ± 1.271 (0.100 ± 1.271)"
            + " | 0.500 ± 0.000 (0.000 ± 0.000) | 0.100 ± 0.000 | 60 ± 0 |",
        lines.get(2));
    assertEquals(
        "| ppo | 1 | 2.000 (1.000) | 2.000 (0.000) | 0.2500 (-0.2500) | 0.500 (0.000)"
            + " | 0.500 (0.000) | 0.100 | 60 |",
        lines.get(3));
  }
}
