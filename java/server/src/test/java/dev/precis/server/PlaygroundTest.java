package dev.precis.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The page in a real browser, headless, by the browser's own debugging protocol. Its screenshots
 * are left in target/playground.
 */
class PlaygroundTest {
  private static final Path SHOTS = Path.of("target", "playground");

  @TempDir private Path profile;

  @Test
  void aPersonTriesAModelWithKeysAlone() throws Exception {
    try (Browser browser = new Browser(profile);
        ServerRun run = new ServerRun(new ServerOptions())) {
      tryPage(run, browser.tab());
    }
  }

  private static void tryPage(ServerRun run, Browser.Tab tab) throws Exception {
    tab.size(1200, 900, false);
    tab.call("Page.navigate", "{\"url\":\"" + run.server.address() + "\"}");
    tab.until("document.querySelectorAll('#model option').length === 2");
    tab.evaluate(
        "document.getElementById('template').value = '{dialogue}';"
            + "document.getElementById('tokens').value = 12;"
            + "document.getElementById('text').focus(); ''");
    tab.call("Input.insertText", "{\"text\":\"<b>Hello</b> there\"}");
    tab.call(
        "Input.dispatchKeyEvent",
        "{\"type\":\"keyDown\",\"key\":\"Enter\",\"code\":\"Enter\",\"windowsVirtualKeyCode\":13,\"modifiers\":2}");
    tab.until("document.getElementById('detail').textContent.includes('tokens in')");
    String expected =
        run.t5
            .generate("<b>Hello</b> there", run.t5.defaultOptions().with().maxNewTokens(12).build())
            .text();
    assertEquals(expected, tab.evaluate("document.getElementById('result').textContent"));
    tab.evaluate("document.querySelector('#result .token').focus(); ''");
    tab.key("ArrowRight", 39);
    assertTrue(
        tab.evaluate("document.getElementById('detail').textContent").contains("probability"));
    assertTrue(
        tab.evaluate("document.getElementById('detail').textContent").contains("instead: “"));
    assertEquals(
        "1",
        tab.evaluate(
            "String([...document.querySelectorAll('.token')].indexOf(document.activeElement))"));
    tab.screenshot(SHOTS.resolve("light.png"));
    assertEquals("", tab.accessibilityViolations(), "light");
    tab.dark(true);
    tab.screenshot(SHOTS.resolve("dark.png"));
    tab.size(390, 844, true);
    assertEquals(
        "true",
        tab.evaluate("String(document.documentElement.scrollWidth <= 390)"),
        "the page is wider than a phone");
    assertEquals(
        "rgb(20, 24, 29)", tab.evaluate("getComputedStyle(document.body).backgroundColor"));
    tab.screenshot(SHOTS.resolve("dark-390.png"));
    assertEquals("", tab.accessibilityViolations(), "dark, on a phone");
    tab.dark(false);
    tab.screenshot(SHOTS.resolve("390.png"));
    assertEquals(
        "0",
        tab.evaluate(
            "String(performance.getEntriesByType('resource').filter(each =>"
                + " !each.name.startsWith(location.origin) &&"
                + " !each.name.startsWith('data:')).length)"));
  }
}
