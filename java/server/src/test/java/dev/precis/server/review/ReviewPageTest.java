package dev.precis.server.review;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.review.Gate;
import dev.precis.review.Gate.State;
import dev.precis.review.comparison.Choice;
import dev.precis.review.comparison.Judgment;
import dev.precis.review.comparison.Preference;
import dev.precis.review.comparison.RecordedChoice;
import dev.precis.server.Browser;
import dev.precis.server.Browser.Tab;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/**
 * The review page in a browser, by keys alone. Screenshots are left in target/review. The tests
 * share the browser, whose start takes longer than most of them.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class ReviewPageTest {
  private static final Path SHOTS = Path.of("target", "review");
  private static final double HOUR = 3600e9;

  @TempDir private static Path folder;

  /** Closed after the browser: a server waits for connections that are still open. */
  private final List<ReviewFixture> runs = new ArrayList<>();

  private Browser browser;
  private Tab tab;

  @BeforeAll
  void start() throws Exception {
    browser = new Browser(folder.resolve("profile"));
    tab = browser.tab();
    tab.call("Page.enable", "{}");
    tab.call("Network.enable", "{}");
  }

  @AfterAll
  void end() throws Exception {
    if (browser != null) {
      browser.close();
    }
    runs.forEach(ReviewFixture::close);
  }

  private ReviewFixture serve(int items, int overlap) {
    ReviewFixture run =
        new ReviewFixture(
            folder.resolve("run" + runs.size()), items, ReviewServerOptions.DEFAULT, overlap);
    runs.add(run);
    return run;
  }

  private void open(ReviewFixture run, String name) throws Exception {
    tab.size(1200, 900, false);
    // Requests of the page before are none of this one's business.
    tab.call("Page.navigate", "{\"url\":\"about:blank\"}");
    tab.until("location.href === 'about:blank'");
    tab.forgetEvents();
    tab.call(
        "Page.navigate",
        "{\"url\":\"%s\"}".formatted(ReviewServer.page(run.server.address(), run.token(name))));
    tab.until("document.readyState === 'complete' && document.getElementById('detail')");
  }

  private String text(String id) throws Exception {
    return tab.evaluate("document.getElementById('" + id + "').textContent");
  }

  private void key(String key) throws Exception {
    if (key.equals("Enter")) {
      tab.call(
          "Input.dispatchKeyEvent",
          "{\"type\":\"keyDown\",\"key\":\"Enter\",\"code\":\"Enter\",\"text\":\"\\r\","
              + "\"windowsVirtualKeyCode\":13}");
    } else {
      tab.key(key, key.toUpperCase(Locale.ROOT).charAt(0));
    }
  }

  /** Leaves pictures of a view, and checks that everybody can use it, wherever it is shown. */
  private void check(String view) throws Exception {
    tab.screenshot(SHOTS.resolve(view + "-light.png"));
    assertEquals("", tab.accessibilityViolations(), view + ", light");
    tab.dark(true);
    tab.screenshot(SHOTS.resolve(view + "-dark.png"));
    assertEquals("", tab.accessibilityViolations(), view + ", dark");
    tab.size(390, 844, true);
    assertEquals(
        "true",
        tab.evaluate("String(document.documentElement.scrollWidth <= 390)"),
        "the page is wider than a phone");
    tab.screenshot(SHOTS.resolve(view + "-dark-390.png"));
    tab.dark(false);
    tab.screenshot(SHOTS.resolve(view + "-390.png"));
    assertEquals("", tab.accessibilityViolations(), view + ", on a phone");
    tab.size(1200, 900, false);
  }

  @Test
  void twoHundredPairsAnHourByKeysAlone() throws Exception {
    ReviewFixture run = serve(210, 1);
    open(run, "Ann");
    tab.until("document.getElementById('first').textContent !== ''");
    assertEquals("", tab.evaluate("location.hash"), "the token stays in the address bar");
    assertTrue(text("guidelines").contains("<b>Then</b>"));
    tab.evaluate("document.getElementById('ratings').open = true; ''");
    assertEquals("", tab.accessibilityViolations(), "ratings");
    tab.evaluate("document.getElementById('ratings').open = false; ''");
    check("compare");
    long begin = System.nanoTime();
    for (int i = 0; i < 200; i++) {
      int done = i;
      key(i % 3 == 0 ? "7" : "9");
      key(List.of("f", "j", "t", "b").get(i % 4));
      tab.until(
          "document.getElementById('progress-text').textContent.startsWith('%d answered')"
              .formatted(done + 1));
    }
    double perHour = 200 / ((System.nanoTime() - begin) / HOUR);
    assertTrue(perHour >= 200, perHour + " pairs an hour");
    // The median: on a busy machine, anything can take long once.
    double median =
        Double.parseDouble(
            tab.evaluate(
                "String(performance.getEntriesByName('next').map(e => e.duration)"
                    + ".sort((a, b) => a - b)[100])"));
    assertTrue(median < 100, "the next pair took " + median + " ms");
    assertEquals("0", tab.evaluate("String(document.querySelectorAll('img, main script').length)"));
    assertFalse(tab.evaluate("document.title").contains("owned"));
    String page = tab.evaluate("document.documentElement.outerHTML");
    List<String> received = tab.received();
    assertTrue(received.size() >= 200, received.size() + " responses");
    for (String name : ReviewFixture.HIDDEN) {
      assertFalse(page.contains(name), name);
      assertTrue(received.stream().noneMatch(body -> body.contains(name)), name);
    }
    assertEquals(
        "0",
        tab.evaluate(
            "String(performance.getEntriesByType('resource').filter(each =>"
                + " !each.name.startsWith(location.origin) &&"
                + " !each.name.startsWith('data:')).length)"));
    List<RecordedChoice> choices = run.project.choices();
    assertEquals(200, choices.size());
    Choice first = choices.getFirst().choice();
    assertEquals(7, first.judgment().confidence());
    assertEquals(Preference.FIRST, first.judgment().preference());
    assertEquals(Preference.BOTH_BAD, choices.get(3).choice().judgment().preference());
  }

  @Test
  void skipEditUndoAndRatings() throws Exception {
    ReviewFixture run = serve(12, 1);
    open(run, "Ben");
    tab.until("document.getElementById('first').textContent !== ''");
    assertTrue(
        Integer.parseInt(tab.evaluate("String(document.querySelectorAll('#dialogue mark').length)"))
            >= 1);
    key("s");
    tab.call("Input.insertText", "{\"text\":\"odd <i>language</i>\"}");
    key("Enter");
    tab.until("document.getElementById('detail').textContent.includes('Skipped. Saved.')");
    key("s");
    check("compare-skip");
    key("Escape");
    String edited = text("second");
    key("e");
    key("j");
    tab.until("document.activeElement.id === 'edit'");
    assertEquals(edited, tab.evaluate("document.getElementById('edit').value"));
    tab.evaluate("document.getElementById('edit').value = ''; ''");
    tab.call("Input.insertText", "{\"text\":\"A better summary.\"}");
    tab.call(
        "Input.dispatchKeyEvent",
        "{\"type\":\"keyDown\",\"key\":\"Enter\",\"code\":\"Enter\",\"windowsVirtualKeyCode\":13,"
            + "\"modifiers\":2}");
    tab.until("document.getElementById('progress-text').textContent.startsWith('2 answered')");
    tab.evaluate(
        "document.getElementById('ratings').open = true;"
            + "document.querySelector('#axes select[data-axis=accuracy]').value = '6'; ''");
    String third = text("first");
    key("f");
    tab.until("document.getElementById('progress-text').textContent.startsWith('3 answered')");
    key("u");
    tab.until("document.getElementById('progress-text').textContent.startsWith('2 answered')");
    assertEquals(third, text("first"));
    key("t");
    tab.until("document.getElementById('progress-text').textContent.startsWith('3 answered')");
    List<Judgment> judgments =
        run.project.choices().stream().map(each -> each.choice().judgment()).toList();
    assertEquals("odd <i>language</i>", judgments.get(0).reason());
    assertEquals("A better summary.", judgments.get(1).edit());
    assertEquals(Preference.SECOND, judgments.get(1).preference());
    assertEquals(Preference.TIE, judgments.get(2).preference());
  }

  @Test
  void theQueueByKeysAlone() throws Exception {
    ReviewFixture run = serve(2, 1);
    open(run, "Ann");
    tab.until("!document.getElementById('views').hidden");
    tab.evaluate("document.getElementById('show-queue').click(); ''");
    tab.until("document.getElementById('held').textContent.includes('q1')");
    check("queue");
    key("a");
    tab.until("document.getElementById('held').textContent.includes('q2')");
    key("r");
    tab.call("Input.insertText", "{\"text\":\"wrong time\"}");
    key("Enter");
    tab.until("document.getElementById('held').textContent.includes('q3')");
    key("e");
    check("queue-edit");
    tab.evaluate("document.getElementById('held-edit').value = ''; ''");
    tab.call("Input.insertText", "{\"text\":\"The train leaves at nine.\"}");
    tab.call(
        "Input.dispatchKeyEvent",
        "{\"type\":\"keyDown\",\"key\":\"Enter\",\"code\":\"Enter\",\"windowsVirtualKeyCode\":13,"
            + "\"modifiers\":2}");
    tab.until("document.getElementById('held-place').textContent.includes('0 held')");
    List<Gate.Item> items = run.gate.items();
    assertEquals(State.APPROVED, items.get(0).state());
    assertEquals("wrong time", items.get(1).rejection());
    assertEquals("The train leaves at nine.", items.get(2).text());
    assertTrue(items.get(2).approvedBy().contains("Ann"));
  }

  /** The managers' view shows answers as they come; it has no way to give one. */
  @Test
  void agreementWhilePeopleWork() throws Exception {
    ReviewFixture run = serve(30, 2);
    hurry();
    for (String name : List.of("Ann", "Ben")) {
      run.answer(name, 25, "first");
    }
    open(run, ReviewFixture.MANAGER);
    tab.until("document.querySelectorAll('#annotator-rows tr').length === 2");
    assertEquals(
        "true false",
        tab.evaluate(
            "['compare', 'agreement'].map(id => document.getElementById(id).hidden).join(' ')"));
    assertTrue(text("counts").startsWith(answers(run) + " answers, 0 pairs skipped"));
    String agreement = text("agreement-rows");
    assertTrue(agreement.contains("Cohen's kappa, Ann and Ben"), agreement);
    assertTrue(agreement.matches("(?s).*Krippendorff's alpha-?\\d\\.\\d{3}-?\\d\\.\\d{3} to.*"));
    assertTrue(text("ranking-rows").contains("zyxtuned"), text("ranking-rows"));
    assertTrue(text("position").contains("p = 0.000"), text("position"));
    assertTrue(text("annotator-rows").matches(".*Ann\\d+0.*of.*Ben.*"));
    check("agreement");
    run.answer("Ann", 1, "tie");
    tab.until(
        "document.getElementById('counts').textContent.startsWith('%d answers')"
            .formatted(answers(run)));
    key("f");
    key("a");
    assertEquals(answers(run), run.report().answers());
    assertEquals("", text("detail"));
  }

  /** Makes pages that are opened from now on look at the server more often than every 5 s. */
  private void hurry() throws Exception {
    tab.call(
        "Page.addScriptToEvaluateOnNewDocument",
        "{\"source\":\"{ const wait = setTimeout;"
            + " globalThis.setTimeout = (f, ms) => wait(f, Math.min(ms, 200)); }\"}");
  }

  private static int answers(ReviewFixture run) {
    return run.report().answers();
  }
}
