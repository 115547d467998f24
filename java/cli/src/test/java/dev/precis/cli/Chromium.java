package dev.precis.cli;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.precis.io.Json;
import java.io.IOException;
import java.io.InputStream;
import java.io.StringReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.WebSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** One tab of a headless Chromium, driven by the browser's own debugging protocol. */
public final class Chromium implements AutoCloseable {
  private static final Path SHOTS = Path.of("target", "reports");

  private final Process process;
  private final HttpClient client = HttpClient.newHttpClient();
  private final Messages messages = new Messages();
  private final WebSocket socket;
  private final List<String> violations = new ArrayList<>();
  private int calls;

  /** Receives messages, which can come in parts. */
  private static final class Messages implements WebSocket.Listener {
    private final BlockingQueue<JsonNode> complete = new LinkedBlockingQueue<>();
    private final StringBuilder text = new StringBuilder();

    @Override
    public CompletionStage<?> onText(WebSocket from, CharSequence data, boolean last) {
      text.append(data);
      if (last) {
        complete.add(Json.mapper().readTree(text.toString()));
        text.setLength(0);
      }
      from.request(1);
      return null;
    }
  }

  /** Starts a browser; the test is skipped with a sentence where there is none. */
  public Chromium(Path profile) throws Exception {
    Path program =
        Stream.of("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
            .map(Path::of)
            .filter(Files::isExecutable)
            .findFirst()
            .orElse(null);
    assumeTrue(program != null, "no Chromium: sudo apt-get install chromium");
    process =
        new ProcessBuilder(
                program.toString(),
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
    Path portFile = profile.resolve("DevToolsActivePort");
    for (int i = 0; i < 600 && (!Files.exists(portFile) || Files.size(portFile) == 0); i++) {
      assertTrue(process.isAlive(), "the browser ended");
      Thread.sleep(100);
    }
    URI tabs = URI.create("http://127.0.0.1:" + Files.readAllLines(portFile).getFirst() + "/json");
    JsonNode page = null;
    String body = client.send(HttpRequest.newBuilder(tabs).build(), BodyHandlers.ofString()).body();
    for (JsonNode each : Json.mapper().readTree(body)) {
      page = each.path("type").asString("").equals("page") ? each : page;
    }
    socket =
        client
            .newWebSocketBuilder()
            .buildAsync(URI.create(page.path("webSocketDebuggerUrl").asString()), messages)
            .join();
    call("Log.enable", "{}");
    call("Page.enable", "{}");
  }

  private JsonNode call(String method, String parameters) throws InterruptedException {
    ObjectNode message = Json.mapper().createObjectNode();
    message.put("id", ++calls);
    message.put("method", method);
    message.set("params", Json.mapper().readTree(parameters));
    socket.sendText(message.toString(), true).join();
    while (true) {
      JsonNode answer = messages.complete.poll(120, TimeUnit.SECONDS);
      assertTrue(answer != null, "the browser does not answer " + method);
      if (answer.path("method").asString("").equals("Log.entryAdded")) {
        violations.add(answer.at("/params/entry/text").asString(""));
      }
      if (answer.path("id").asInt(0) == calls) {
        assertTrue(!answer.has("error"), answer.toString());
        return answer.path("result");
      }
    }
  }

  /** Evaluates an expression in the page, waiting for its promise; returns it as a text. */
  public String evaluate(String expression) throws InterruptedException {
    ObjectNode parameters = Json.mapper().createObjectNode();
    parameters.put("expression", expression);
    parameters.put("awaitPromise", true);
    parameters.put("returnByValue", true);
    JsonNode result = call("Runtime.evaluate", parameters.toString());
    assertTrue(!result.has("exceptionDetails"), result.toString());
    return result.at("/result/value").asString("");
  }

  /** Returns a whole number that an expression has. */
  public int number(String expression) throws InterruptedException {
    return Integer.parseInt(evaluate("String(Math.round(" + expression + "))"));
  }

  /** Opens a file and waits until it is loaded. */
  public void open(Path file) throws InterruptedException {
    violations.clear();
    call("Page.navigate", "{\"url\":\"" + file.toUri() + "\"}");
    for (int i = 0; i < 600; i++) {
      if (evaluate("document.readyState + document.URL").equals("complete" + file.toUri())) {
        return;
      }
      Thread.sleep(50);
    }
    throw new AssertionError(file + " does not load");
  }

  /** Returns what the browser complained about since the page was opened. */
  public List<String> complaints() {
    return List.copyOf(violations);
  }

  /** Shows the page on a screen of a size, light or dark. */
  public void screen(int width, boolean dark) throws InterruptedException {
    call(
        "Emulation.setDeviceMetricsOverride",
        "{\"width\":%d,\"height\":900,\"deviceScaleFactor\":1,\"mobile\":%b}"
            .formatted(width, width < 500));
    call(
        "Emulation.setEmulatedMedia",
        "{\"features\":[{\"name\":\"prefers-color-scheme\",\"value\":\"%s\"}]}"
            .formatted(dark ? "dark" : "light"));
  }

  /** Leaves a picture of the whole page in target/reports. */
  public void screenshot(String name) throws Exception {
    JsonNode shot =
        call("Page.captureScreenshot", "{\"format\":\"png\",\"captureBeyondViewport\":true}");
    keep(name + ".png", shot);
  }

  /** Leaves the page as it is printed in target/reports; returns the number of its sheets. */
  public int print(String name) throws Exception {
    JsonNode pdf = call("Page.printToPDF", "{\"printBackground\":false}");
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
    Properties axe = new Properties();
    axe.load(new StringReader(resource("/META-INF/maven/org.webjars.npm/axe-core/pom.properties")));
    String version = axe.getProperty("version");
    evaluate(
        resource("/META-INF/resources/webjars/axe-core/%s/axe.min.js".formatted(version)) + ";''");
    return evaluate(
        "axe.run().then(r => r.violations.filter(v => v.impact === 'serious' || v.impact ==="
            + " 'critical').map(v => v.id + ': ' + v.nodes.map(n => n.html + ' ' +"
            + " n.failureSummary).join(' | ')).join('\\n'))");
  }

  private static String resource(String name) throws IOException {
    try (InputStream in = Chromium.class.getResourceAsStream(name)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  @Override
  public void close() throws Exception {
    socket.abort();
    client.close();
    process.destroy();
    process.waitFor();
  }
}
