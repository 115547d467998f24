package dev.precis.cli.report;

import static dev.precis.cli.CommandLineRun.DIALOGUES;
import static dev.precis.cli.CommandLineRun.FIXTURES;
import static dev.precis.cli.CommandLineRun.MODEL;
import static dev.precis.cli.CommandLineRun.run;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.cli.Chromium;
import dev.precis.cli.ReportInBrowser;
import dev.precis.io.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.node.ObjectNode;

/**
 * The pages that train, align, reward, evaluate and compare write, in a real browser. Pictures of
 * them (light, dark and on a phone) and their prints are left in target/reports.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
final class ReportPagesTest {
  private static final String EVIL =
      "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">";

  @TempDir private static Path folder;
  private Chromium browser;

  @BeforeAll
  void start() throws Exception {
    browser = new Chromium(folder.resolve("profile"));
  }

  @AfterAll
  void end() throws Exception {
    if (browser != null) {
      browser.close();
    }
  }

  private void made(String command, Object... arguments) {
    List<Object> all = new ArrayList<>(List.of(command));
    all.addAll(List.of(arguments));
    run(all.toArray()).succeeded();
  }

  private void check(String name, Path page) throws Exception {
    ReportInBrowser.check(browser, name, page);
  }

  private String text(String selector) throws InterruptedException {
    return browser.evaluate("document.querySelector('" + selector + "').textContent");
  }

  private int count(String selector) throws InterruptedException {
    return browser.number("document.querySelectorAll('" + selector + "').length");
  }

  private Path train(String name, double rate, int steps) {
    Path output = folder.resolve(name);
    made(
        "train",
        "--model",
        MODEL,
        "--data",
        DIALOGUES,
        "--eval-data",
        DIALOGUES,
        "--output",
        output,
        "--learning-rate",
        rate,
        "--rank",
        2,
        "--max-steps",
        steps,
        "--eval-every",
        Math.max(1, steps / 4));
    return output;
  }

  @Test
  void fineTuningAndComparison() throws Exception {
    Path one = train("one-step", 1e-3, 1);
    check("train-one-step", one.resolve("report.html"));
    assertEquals("LoRA fine-tuning of t5-tiny on dialogues.jsonl", text("h1"));
    assertTrue(count("figure svg") >= 5, "every curve is drawn");
    assertEquals(count("figure svg"), count("figure circle"), "each has its one point");

    Path slow = train("slow", 1.41e-5, 40);
    check("train", slow.resolve("report.html"));
    assertTrue(text(".results").contains("The evaluation loss"), text(".results"));
    assertTrue(text(".results li").contains("95 % interval"), text(".results li"));
    for (String cost : List.of("Time of the steps", "Peak memory", "Parameters trained")) {
      assertTrue(text(".costs").contains(cost), text(".costs"));
    }
    assertEquals(6, count("article"));
    assertEquals(
        "reference before training after training",
        browser.evaluate(
            "[...document.querySelectorAll('article:first-of-type dt')]"
                + ".map(t => t.firstChild.textContent.trim()).join(' ')"));
    assertTrue(count("article ins") > 0, "words that the reference has not are marked");
    assertTrue(text("article details").contains(":"), text("article details"));
    // The rates of a run have different labels.
    String labels =
        browser.evaluate(
            "[...document.querySelectorAll('figure')].filter(f => f.textContent.trim().startsWith("
                + "'Learning rate'))[0].querySelectorAll('text[text-anchor=end]').values()"
                + ".map(t => t.textContent).toArray().join(' ')");
    assertEquals("0 5e-6 1e-5", labels);

    Path compared = folder.resolve("compare.html");
    made("compare", one, slow, "--output", compared);
    check("compare", compared);
    assertTrue(count("path.c0") > 0 && count("path.c1") > 0, "both runs have curves");
  }

  @Test
  void safety() throws Exception {
    Path output = folder.resolve("safety");
    made(
        "evaluate",
        "--safety",
        "--limit",
        1,
        "--max-new-tokens",
        8,
        "--candidate",
        "before <b>x=" + MODEL,
        "--candidate",
        "after=" + FIXTURES.resolve("t5-tiny-v1.0"),
        "--output",
        output);
    check("safety", output.resolve("report.html"));
    assertTrue(text("h1").startsWith("Safety of before <b>x (t5-tiny) and after"), text("h1"));
    assertEquals(11, count(".results .level"), "one probe of each kind shows no change");
    assertTrue(text("section").contains("Nothing was found"), text("section"));
    assertEquals(3, count("section table"), "the measures, and the groups of each candidate");
    assertEquals(11, count("section:nth-of-type(2) tbody tr"));
    assertEquals(35, count("article"));
  }

  @Test
  void rewardModel() throws Exception {
    Path data = folder.resolve("dialogues");
    made("data", "--output", data, "--count", 200, "--byte-level", 300);
    Path init = folder.resolve("tiny");
    Files.createDirectories(init);
    for (String file : List.of("vocab.json", "merges.txt")) {
      Files.copy(data.resolve("tokenizer").resolve(file), init.resolve(file));
    }
    ObjectNode config = Json.readObject(FIXTURES.resolve("roberta-tiny/config.json")).node();
    config.put("vocab_size", 300);
    Files.writeString(init.resolve("config.json"), config.toString());
    Path output = folder.resolve("reward");
    made(
        "reward",
        "--init",
        init,
        "--pairs",
        data.resolve("train-pairs.jsonl"),
        "--holdout",
        0.3,
        "--max-steps",
        20,
        "--output",
        output);
    check("reward", output.resolve("report.html"));
    assertTrue(text(".results").contains("The accuracy on held-out pairs is"), text(".results"));
    assertTrue(count("article") > 3, "the held-out pairs are shown");
    assertTrue(text("article h3").matches("Pair \\d+"), text("article h3"));
    assertTrue(count("article del") > 0 && count("article ins") > 0, "differences are marked");
    assertEquals(0, count("article details"));
    double first = margin(0);
    assertTrue(first < margin(count("article") - 1), "the worst mistake comes first");
    assertTrue(text(".results").contains("95 % interval"), text(".results"));
  }

  private double margin(int card) throws InterruptedException {
    return Double.parseDouble(
        browser.evaluate(
            "document.querySelectorAll('article .note')[0].closest('[data-cards]')"
                + ".querySelectorAll('article')[%d].querySelector('.note').textContent"
                    .formatted(card)
                + ".replace('the chosen text is ahead by ', '')"));
  }

  @Test
  void alignment() throws Exception {
    Path ppo = folder.resolve("ppo");
    made(
        "align",
        "--model",
        MODEL,
        "--data",
        DIALOGUES,
        "--eval-data",
        DIALOGUES,
        "--reward",
        "length:12=1",
        "--reward-model",
        FIXTURES.resolve("roberta-tiny"),
        "--reward-label",
        "nothate",
        "--batch-size",
        4,
        "--mini-batch-size",
        4,
        "--max-new-tokens",
        8,
        "--max-steps",
        3,
        "--output",
        ppo);
    check("align-ppo", ppo.resolve("report.html"));
    assertEquals("PPO alignment (LoRA) of t5-tiny on dialogues.jsonl", text("h1"));
    assertTrue(text(".results").contains("The mean reward"), text(".results"));
    assertTrue(text(".costs").contains("KL from the reference"), text(".costs"));
    pagesAndFilters();

    Path pairs = folder.resolve("pairs.jsonl");
    StringBuilder lines = new StringBuilder();
    for (int i = 0; i < 12; i++) {
      lines.append(
          "{\"prompt\":\"Hi %d\",\"chosen\":\"good %d\",\"rejected\":\"bad\"}\n".formatted(i, i));
    }
    Files.writeString(pairs, lines);
    Path dpo = folder.resolve("dpo");
    made(
        "align",
        "--algorithm",
        "dpo",
        "--model",
        MODEL,
        "--pairs",
        pairs,
        "--rank",
        2,
        "--max-steps",
        40,
        "--output",
        dpo);
    check("align-dpo", dpo.resolve("report.html"));
    assertTrue(text(".results").contains("The reward accuracy"), text(".results"));
  }

  /** Five of the 64 examples at a time; the search and the filter find theirs. */
  private void pagesAndFilters() throws InterruptedException {
    assertEquals(64, count("article"));
    assertEquals(5, count("article:not([hidden])"));
    assertEquals("1 to 5 of 64 examples", text("output"));
    String click = "[...document.querySelectorAll('.bar button')][%d].click(); ''";
    for (int i = 0; i < 12; i++) {
      browser.evaluate(click.formatted(1));
    }
    assertEquals("61 to 64 of 64 examples", text("output"));
    assertEquals(
        "true", browser.evaluate("String(document.querySelectorAll('.bar button')[1].disabled)"));
    browser.evaluate(click.formatted(0));
    assertEquals("56 to 60 of 64 examples", text("output"));
    String title = text("article:not([hidden]) h3");
    browser.evaluate(
        "{ const s = document.querySelector('input[type=search]'); s.value = '%s';"
                .formatted(title.toUpperCase(Locale.ROOT))
            + " s.dispatchEvent(new Event('input')); } ''");
    assertEquals(title, text("article:not([hidden]) h3"));
    browser.evaluate(
        "{ const s = document.querySelector('input[type=search]'); s.value = 'no such words';"
            + " s.dispatchEvent(new Event('input')); } ''");
    assertEquals("No example is like that.", text("output"));
    browser.evaluate(
        "{ document.querySelector('input[type=search]').value = '';"
            + " const s = document.querySelector('.bar select'); s.value = '0';"
            + " s.dispatchEvent(new Event('change')); } ''");
    String first =
        browser.evaluate("document.querySelector('.bar select').selectedOptions[0].textContent");
    int found = count("article[data-tags=\"0\"]");
    assertTrue(text("output").endsWith("of %d examples".formatted(found)), first + text("output"));
  }

  @Test
  void evaluationOfTextWithScripts() throws Exception {
    Path data = folder.resolve("evil.jsonl");
    Path other = folder.resolve("other.jsonl");
    List<ObjectNode> rows = new ArrayList<>();
    List<ObjectNode> summaries = new ArrayList<>();
    for (int i = 0; i < 12; i++) {
      ObjectNode row = Json.mapper().createObjectNode();
      row.put("id", "d" + i + EVIL);
      row.put("dialogue", "Ann: " + EVIL + " number " + i + " \u202e\u0007 Bob: Ok.");
      row.put("summary", "Ann says " + EVIL);
      rows.add(row);
      summaries.add(
          Json.mapper()
              .createObjectNode()
              .put("id", "d" + i + EVIL)
              .put("summary", i % 3 == 0 ? "" : "Ann greets Bob " + EVIL));
    }
    write(data, rows);
    write(other, summaries);
    Path output = folder.resolve("evaluation");
    made(
        "evaluate",
        "--data",
        data,
        "--candidate",
        "tiny <i>model=" + MODEL,
        "--candidate",
        "other=" + other,
        "--max-new-tokens",
        12,
        "--output",
        output);
    check("evaluate", output.resolve("report.html"));
    assertTrue(browser.evaluate("document.title").startsWith("Evaluation of tiny <i>model ("));
    assertEquals(0, count("img") + count("main script") + count("main i:not(dd > i)"));
    assertTrue(text("article").contains(EVIL), "the text is shown");
    assertTrue(text("article").contains("\\u202e"), "what turns text round is shown");
    // Even a script that got into the page would not run.
    browser.evaluate(
        "{ const s = document.createElement('script'); s.textContent = \"document.title ="
            + " 'owned'\"; document.body.append(s); } ''");
    assertTrue(browser.evaluate("document.title").startsWith("Evaluation of"));
    assertTrue(
        browser.complaints().toString().contains("Content Security Policy"),
        browser.complaints().toString());
  }

  private static void write(Path file, List<ObjectNode> rows) throws IOException {
    Files.write(file, rows.stream().map(ObjectNode::toString).toList());
  }
}
