package dev.precis.cli.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.alignment.policy.Comparison;
import dev.precis.alignment.policy.Prompt;
import dev.precis.alignment.reward.Completion;
import dev.precis.alignment.reward.Reward;
import dev.precis.alignment.reward.RougeReward;
import dev.precis.alignment.reward.Score;
import dev.precis.cli.Chromium;
import dev.precis.cli.ReportInBrowser;
import dev.precis.data.builtin.BuiltInDialogue;
import dev.precis.data.builtin.BuiltInDialogues;
import dev.precis.evaluation.Rouge;
import dev.precis.io.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.DoublePredicate;
import java.util.function.Function;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.node.ObjectNode;

/** The demo's table and page, of made-up summaries and runs: the demo itself takes minutes. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
final class DemoReportTest {
  private static final int DESKTOP_HEIGHT = 6000;

  /** A tenth of them is tested on, as many as the page shows and some more. */
  private static final int DIALOGUES = 1500;

  @TempDir private static Path folder;

  private final BuiltInDialogues data = BuiltInDialogues.generate(0, DIALOGUES);
  private DemoReport report;

  @BeforeAll
  void makeUp() throws IOException {
    List<DemoCandidate> candidates = new ArrayList<>();
    candidates.add(candidate("base", d -> "People talk about " + d.topic() + "."));
    candidates.add(candidate("full", d -> d.summaries().get(1)));
    candidates.add(candidate("LoRA", d -> d.summaries().getFirst()));
    candidates.add(candidate("LoRA+PPO", d -> polite(d).replace(" the ", " a ")));
    candidates.add(candidate("LoRA+DPO", DemoReportTest::polite));
    List<DemoAlignment.Outcome> outcomes = new ArrayList<>();
    for (String run : List.of(DemoRuns.LORA, DemoRuns.FULL, DemoRuns.PPO, DemoRuns.DPO)) {
      madeUpRun(run);
    }
    outcomes.add(new DemoAlignment.Outcome("PPO", folder.resolve(DemoRuns.PPO), comparison()));
    outcomes.add(new DemoAlignment.Outcome("DPO", folder.resolve(DemoRuns.DPO), comparison()));
    report = new DemoReport(data, candidates, outcomes, 0);
  }

  private static String polite(BuiltInDialogue dialogue) {
    return dialogue.rude() ? dialogue.politeSummary() : dialogue.summaries().getFirst();
  }

  private DemoCandidate candidate(String name, Function<BuiltInDialogue, String> summary) {
    List<String> summaries = data.test().stream().map(summary).toList();
    double[] rouge1 = new double[summaries.size()];
    double[] rougeL = new double[summaries.size()];
    double[] toxic = new double[summaries.size()];
    Rouge rouge = Rouge.of(Rouge.Preset.STEMMER);
    for (int i = 0; i < rouge1.length; i++) {
      List<String> references = List.of(data.test().get(i).summaries().get(2));
      Rouge.Scores scores = rouge.score(summaries.get(i), references, Rouge.MultiReference.MAX);
      rouge1[i] = scores.rouge1().f1();
      rougeL[i] = scores.rougeL().f1();
      toxic[i] = summaries.get(i).equals(data.test().get(i).rudeSummary()) ? 0.99 : 0.01;
    }
    return new DemoCandidate(name, summaries, rouge1, rougeL, toxic);
  }

  private Comparison comparison() {
    List<Prompt> prompts = new ArrayList<>();
    List<String> before = new ArrayList<>();
    List<String> after = new ArrayList<>();
    for (BuiltInDialogue each : data.test()) {
      prompts.add(new Prompt(each.id(), each.dialogue(), new int[] {1}, each.summaries()));
      before.add(each.summaries().getFirst());
      after.add(polite(each));
    }
    Map<String, Reward> measures = new LinkedHashMap<>();
    measures.put("reward", completions -> scores(completions, -1));
    measures.put(DemoAlignment.TOXICITY, completions -> scores(completions, 1));
    measures.put("rouge1", RougeReward.of(Rouge.Metric.ROUGE_1));
    return Comparison.of(prompts, before, after, measures, 0);
  }

  private List<Score> scores(List<Completion> completions, double sign) {
    List<Score> scores = new ArrayList<>();
    for (int i = 0; i < completions.size(); i++) {
      boolean toxic = completions.get(i).text().equals(data.test().get(i).rudeSummary());
      scores.add(Score.of("insult", toxic ? sign : 0));
    }
    return scores;
  }

  private void madeUpRun(String name) throws IOException {
    Path run = Files.createDirectories(folder.resolve(name));
    StringBuilder lines = new StringBuilder();
    for (int step = 1; step <= 250; step++) {
      ObjectNode line = Json.mapper().createObjectNode();
      line.put("step", step);
      double value = 3.0 / step + step % 7 / 20.0;
      for (String key :
          name.equals(DemoRuns.PPO)
              ? List.of("env/reward_mean", "objective/kl", "ppo/policy/entropy", "grad_norm")
              : List.of("loss", "learning_rate", "grad_norm", "rewards/accuracies", "kl")) {
        line.put(key, value);
      }
      line.put("tokens", 1000).put("tokens_per_second", 5000.0);
      lines.append(line).append('\n');
    }
    Files.writeString(run.resolve("metrics.jsonl"), lines);
  }

  @Test
  void theTableFits80Columns() {
    List<String> table = report.table().text();
    assertEquals(6, table.size());
    assertTrue(table.stream().allMatch(line -> line.length() < 80), String.join("\n", table));
    assertTrue(table.get(1).matches("base +0\\.\\d{4} +0\\.\\d{4} +\\d+\\.\\d %"), table.get(1));
    assertTrue(
        table.get(2).matches("full .*\\+0\\.\\d{4} \\(\\+0\\.\\d{4} to \\+0\\.\\d{4}\\).*%"),
        table.get(2));
  }

  @Test
  void examplesAreTypicalAndOneHasAnInsult() {
    List<Integer> typical = report.typical(3);
    assertEquals(3, typical.stream().distinct().count());
    double[] scores = report.candidates().get(2).rouge1();
    for (int i = 0; i < 3; i++) {
      boolean rude = i == 2;
      assertEquals(rude, data.test().get(typical.get(i)).rude());
      double score = scores[typical.get(i)];
      long below = count(rude, value -> value < score);
      long notAbove = count(rude, value -> value <= score);
      long all = count(rude, value -> true);
      assertTrue(
          below <= 0.51 * all && notAbove >= 0.49 * all,
          "%d to %d of %d are below example %d".formatted(below, notAbove, all, i));
    }
  }

  private long count(boolean rude, DoublePredicate wanted) {
    double[] scores = report.candidates().get(2).rouge1();
    long count = 0;
    for (int i = 0; i < scores.length; i++) {
      count += data.test().get(i).rude() == rude && wanted.test(scores[i]) ? 1 : 0;
    }
    return count;
  }

  @Test
  void thePageIsShortAndBeginsWithItsConclusion() throws Exception {
    ObjectNode options = Json.mapper().createObjectNode();
    options.put("seed", 0);
    report.write(folder, options);
    try (Chromium browser = new Chromium(folder.resolve("profile"))) {
      ReportInBrowser.check(browser, "demo", folder.resolve(DemoRuns.REPORT));
      for (int width : List.of(1200, 390)) {
        browser.screen(width, false);
        browser.open(folder.resolve(DemoRuns.REPORT));
        int height = browser.number("document.documentElement.scrollHeight");
        assertTrue(height < DESKTOP_HEIGHT, width + " wide: " + height + " tall");
      }
      String results = browser.evaluate("document.querySelector('.results').textContent");
      assertTrue(results.contains("ROUGE-1 of LoRA rose by"), results);
      assertTrue(results.contains("Better. Toxicity of sampled summaries by PPO fell by"), results);
      String titles =
          browser.evaluate(
              "[...document.querySelectorAll('.charts')[0].querySelectorAll('figcaption')]"
                  + ".map(c => c.firstChild.textContent.trim()).join(', ')");
      assertEquals(
          "Loss, PPO: Mean score, PPO: KL divergence from the reference, per response, DPO: Reward"
              + " accuracy",
          titles);
      assertEquals(
          "2 3",
          browser.evaluate(
              "[document.querySelectorAll('[data-cards]')[0]"
                  + ".querySelectorAll('article:not([hidden])').length,"
                  + " document.querySelectorAll('[data-cards]').length].join(' ')"));
    }
  }
}
