package dev.precis.cli;

import dev.precis.server.Browser;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.List;
import tools.jackson.databind.JsonNode;

/** A headless Chromium that shows reports. */
public final class Chromium implements AutoCloseable {
  private static final Path SHOTS = Path.of("target", "reports");

  private final Browser browser;
  private final Browser.Tab tab;

  /** Starts a browser; the test is skipped with a sentence where there is none. */
  public Chromium(Path profile) throws Exception {
    browser = new Browser(profile);
    tab = browser.tab();
    tab.call("Log.enable", "{}");
    tab.call("Page.enable", "{}");
  }

  /** Evaluates an expression in the page, waiting for its promise; returns it as a text. */
  public String evaluate(String expression) throws InterruptedException {
    return tab.evaluate(expression);
  }

  /** Returns a whole number that an expression has. */
  public int number(String expression) throws InterruptedException {
    return Integer.parseInt(evaluate("String(Math.round(" + expression + "))"));
  }

  /** Opens a file and waits until it is loaded. */
  public void open(Path file) throws InterruptedException {
    tab.forgetEvents();
    tab.call("Page.navigate", "{\"url\":\"" + file.toUri() + "\"}");
    tab.until("document.readyState + document.URL === 'complete" + file.toUri() + "'");
  }

  /** Returns what the browser complained about since the page was opened. */
  public List<String> complaints() {
    return tab.events("Log.entryAdded").stream()
        .map(event -> event.at("/entry/text").asString(""))
        .toList();
  }

  /** Shows the page on a screen of a size, light or dark. */
  public void screen(int width, boolean dark) throws InterruptedException {
    tab.size(width, 900, width < 500);
    tab.dark(dark);
  }

  /** Leaves a picture of the whole page in target/reports. */
  public void screenshot(String name) throws Exception {
    JsonNode shot =
        tab.call(
            "Page.captureScreenshot",
            "{\"format\":\"png\",\"captureBeyondViewport\":true,\"optimizeForSpeed\":true}");
    keep(name + ".png", shot);
  }

  /** Leaves the page as it is printed in target/reports; returns the number of its sheets. */
  public int print(String name) throws Exception {
    JsonNode pdf = tab.call("Page.printToPDF", "{\"printBackground\":false}");
    byte[] bytes = keep(name + ".pdf", pdf);
    return new String(bytes, StandardCharsets.ISO_8859_1).split("/Type\\s*/Page\\b", -1).length - 1;
  }

  private static byte[] keep(String name, JsonNode result) throws IOException {
    byte[] bytes = Base64.getDecoder().decode(result.path("data").asString());
    Files.createDirectories(SHOTS);
    Files.write(SHOTS.resolve(name), bytes);
    return bytes;
  }

  /** Returns the serious violations that axe-core finds, one a line. */
  public String accessibilityViolations() throws Exception {
    return tab.accessibilityViolations();
  }

  @Override
  public void close() throws Exception {
    browser.close();
  }
}
