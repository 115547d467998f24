package dev.precis.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.WebSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * The page in a real browser, headless, by the browser's own debugging protocol. Its screenshots
 * are left in target/playground.
 */
class PlaygroundTest {
  private static final Path SHOTS = Path.of("target", "playground");

  @TempDir private Path profile;

  /** One tab of a browser. */
  private static final class Tab implements WebSocket.Listener, AutoCloseable {
    private final BlockingQueue<JsonNode> messages = new LinkedBlockingQueue<>();
    private final StringBuilder text = new StringBuilder();
    private final WebSocket socket;
    private int calls;

    Tab(HttpClient client, URI uri) {
      socket = client.newWebSocketBuilder().buildAsync(uri, this).join();
    }

    @Override
    public CompletionStage<?> onText(WebSocket from, CharSequence data, boolean last) {
      text.append(data);
      if (last) {
        messages.add(JsonMapper.shared().readTree(text.toString()));
        text.setLength(0);
      }
      from.request(1);
      return null;
    }

    JsonNode call(String method, String parameters) throws InterruptedException {
      ObjectNode message = JsonMapper.shared().createObjectNode();
      message.put("id", ++calls);
      message.put("method", method);
      message.set("params", JsonMapper.shared().readTree(parameters));
      socket.sendText(message.toString(), true).join();
      while (true) {
        JsonNode answer = messages.poll(120, TimeUnit.SECONDS);
        assertTrue(answer != null, "the browser does not answer " + method);
        if (answer.path("id").asInt(0) == calls) {
          assertTrue(!answer.has("error"), answer.toString());
          return answer.path("result");
        }
      }
    }

    /** Evaluates an expression in the page, waiting for its promise. */
    String evaluate(String expression) throws InterruptedException {
      ObjectNode parameters = JsonMapper.shared().createObjectNode();
      parameters.put("expression", expression);
      parameters.put("awaitPromise", true);
      parameters.put("returnByValue", true);
      JsonNode result = call("Runtime.evaluate", parameters.toString());
      assertTrue(!result.has("exceptionDetails"), result.toString());
      return result.at("/result/value").asString("");
    }

    void until(String condition) throws InterruptedException {
      long end = System.nanoTime() + Duration.ofSeconds(120).toNanos();
      while (!evaluate("String(Boolean(" + condition + "))").equals("true")) {
        assertTrue(System.nanoTime() < end, () -> "waited in vain for " + condition);
        Thread.sleep(100);
      }
    }

    void key(String key, int code) throws InterruptedException {
      for (String type : List.of("keyDown", "keyUp")) {
        call(
            "Input.dispatchKeyEvent",
            "{\"type\":\"%s\",\"key\":\"%s\",\"code\":\"%s\",\"windowsVirtualKeyCode\":%d}"
                .formatted(type, key, key, code));
      }
    }

    void screenshot(String name) throws Exception {
      JsonNode shot = call("Page.captureScreenshot", "{\"format\":\"png\"}");
      Files.createDirectories(SHOTS);
      Files.write(SHOTS.resolve(name), Base64.getDecoder().decode(shot.path("data").asString()));
    }

    @Override
    public void close() {
      socket.abort();
    }
  }

  private Process browser() throws Exception {
    Path chromium =
        Stream.of("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
            .map(Path::of)
            .filter(Files::isExecutable)
            .findFirst()
            .orElse(null);
    assumeTrue(chromium != null, "no Chromium: sudo apt-get install chromium");
    return new ProcessBuilder(
            chromium.toString(),
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--remote-debugging-port=0",
            "--user-data-dir=" + profile,
            "about:blank")
        .redirectErrorStream(true)
        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
        .start();
  }

  @Test
  void aPersonTriesAModelWithKeysAlone() throws Exception {
    Process browser = browser();
    try (ServerRun run = new ServerRun(new ServerOptions())) {
      Path portFile = profile.resolve("DevToolsActivePort");
      for (int i = 0; i < 600 && (!Files.exists(portFile) || Files.size(portFile) == 0); i++) {
        assertTrue(browser.isAlive(), "the browser ended");
        Thread.sleep(100);
      }
      String port = Files.readAllLines(portFile).getFirst();
      JsonNode tabs =
          JsonMapper.shared()
              .readTree(
                  run.client
                      .send(
                          HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + "/json"))
                              .build(),
                          BodyHandlers.ofString())
                      .body());
      JsonNode page = null;
      for (JsonNode each : tabs) {
        page = each.path("type").asString("").equals("page") ? each : page;
      }
      try (Tab tab =
          new Tab(run.client, URI.create(page.path("webSocketDebuggerUrl").asString()))) {
        tryPage(run, tab);
      }
    } finally {
      browser.destroy();
      browser.waitFor();
    }
  }

  private static void tryPage(ServerRun run, Tab tab) throws Exception {
    tab.call(
        "Emulation.setDeviceMetricsOverride",
        "{\"width\":1200,\"height\":900,\"deviceScaleFactor\":1,\"mobile\":false}");
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
    assertEquals(
        "1",
        tab.evaluate(
            "String([...document.querySelectorAll('.token')].indexOf(document.activeElement))"));
    tab.screenshot("light.png");
    tab.call(
        "Emulation.setEmulatedMedia",
        "{\"features\":[{\"name\":\"prefers-color-scheme\",\"value\":\"dark\"}]}");
    tab.call(
        "Emulation.setDeviceMetricsOverride",
        "{\"width\":390,\"height\":844,\"deviceScaleFactor\":1,\"mobile\":true}");
    assertEquals(
        "true",
        tab.evaluate("String(document.documentElement.scrollWidth <= 390)"),
        "the page is wider than a phone");
    assertEquals(
        "rgb(20, 24, 29)", tab.evaluate("getComputedStyle(document.body).backgroundColor"));
    tab.screenshot("dark-390.png");
    assertEquals(
        "0",
        tab.evaluate(
            "String(performance.getEntriesByType('resource').filter(each =>"
                + " !each.name.startsWith(location.origin) &&"
                + " !each.name.startsWith('data:')).length)"));
  }
}
