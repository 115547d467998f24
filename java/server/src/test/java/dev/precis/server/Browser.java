package dev.precis.server;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.InputStream;
import java.io.StringReader;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.WebSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
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
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Chromium, headless, by its own debugging protocol. */
public final class Browser implements AutoCloseable {
  private static final Duration START = Duration.ofSeconds(60);

  /** Milliseconds between two looks at something that is awaited. */
  private static final long PAUSE = 5;

  private final HttpClient client = HttpClient.newHttpClient();
  private final Process process;
  private final Tab tab;

  /**
   * Starts it; the test is skipped where it is missing.
   *
   * @param profile an empty folder
   */
  public Browser(Path profile) throws Exception {
    Path chromium =
        Stream.of("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
            .map(Path::of)
            .filter(Files::isExecutable)
            .findFirst()
            .orElse(null);
    assumeTrue(chromium != null, "no Chromium: sudo apt-get install chromium");
    process =
        new ProcessBuilder(
                chromium.toString(),
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-extensions",
                "--disable-component-update",
                "--disable-background-networking",
                "--remote-debugging-port=0",
                "--user-data-dir=" + profile,
                "about:blank")
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .start();
    tab = open(profile.resolve("DevToolsActivePort"));
  }

  private Tab open(Path portFile) throws Exception {
    long end = System.nanoTime() + START.toNanos();
    while (!Files.exists(portFile) || Files.size(portFile) == 0) {
      assertTrue(process.isAlive(), "the browser ended");
      assertTrue(System.nanoTime() < end, "the browser does not start");
      Thread.sleep(PAUSE);
    }
    String port = Files.readAllLines(portFile).getFirst();
    JsonNode page = null;
    while (page == null) {
      assertTrue(System.nanoTime() < end, "the browser has no tab");
      for (JsonNode each : tabs(port)) {
        page = each.path("type").asString("").equals("page") ? each : page;
      }
      Thread.sleep(page == null ? PAUSE : 0);
    }
    return new Tab(client, URI.create(page.path("webSocketDebuggerUrl").asString()));
  }

  private JsonNode tabs(String port) throws Exception {
    URI uri = URI.create("http://127.0.0.1:" + port + "/json");
    return JsonMapper.shared()
        .readTree(client.send(HttpRequest.newBuilder(uri).build(), BodyHandlers.ofString()).body());
  }

  public Tab tab() {
    return tab;
  }

  /** The tab of the browser. */
  public static final class Tab implements WebSocket.Listener {
    private static final String AXE = axe();

    private final BlockingQueue<JsonNode> messages = new LinkedBlockingQueue<>();
    private final StringBuilder text = new StringBuilder();
    private final WebSocket socket;
    private final List<JsonNode> events = new ArrayList<>();
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

    public JsonNode call(String method, String parameters) throws InterruptedException {
      ObjectNode message = JsonMapper.shared().createObjectNode();
      message.put("id", ++calls);
      message.put("method", method);
      message.set("params", JsonMapper.shared().readTree(parameters));
      socket.sendText(message.toString(), true).join();
      while (true) {
        JsonNode answer = messages.poll(120, TimeUnit.SECONDS);
        assertTrue(answer != null, "the browser does not answer " + method);
        if (answer.has("method")) {
          events.add(answer);
        }
        if (answer.path("id").asInt(0) == calls) {
          assertTrue(!answer.has("error"), answer.toString());
          return answer.path("result");
        }
      }
    }

    /** Returns the parameters of the events of a method that have come so far. */
    public List<JsonNode> events(String method) {
      return events.stream()
          .filter(each -> each.path("method").asString().equals(method))
          .map(each -> each.path("params"))
          .toList();
    }

    /** Forgets the events that have come so far. */
    public void forgetEvents() {
      events.clear();
    }

    /** Evaluates an expression in the page, waiting for its promise; returns it as a text. */
    public String evaluate(String expression) throws InterruptedException {
      ObjectNode parameters = JsonMapper.shared().createObjectNode();
      parameters.put("expression", expression);
      parameters.put("awaitPromise", true);
      parameters.put("returnByValue", true);
      JsonNode result = call("Runtime.evaluate", parameters.toString());
      assertTrue(!result.has("exceptionDetails"), result.toString());
      return result.at("/result/value").asString("");
    }

    public void until(String condition) throws InterruptedException {
      long end = System.nanoTime() + Duration.ofSeconds(120).toNanos();
      while (!evaluate("String(Boolean(" + condition + "))").equals("true")) {
        assertTrue(System.nanoTime() < end, () -> "waited in vain for " + condition);
        Thread.sleep(PAUSE);
      }
    }

    public void key(String key, int code) throws InterruptedException {
      for (String type : List.of("keyDown", "keyUp")) {
        call(
            "Input.dispatchKeyEvent",
            "{\"type\":\"%s\",\"key\":\"%s\",\"code\":\"%s\",\"windowsVirtualKeyCode\":%d}"
                .formatted(type, key, key, code));
      }
    }

    /**
     * Returns the bodies of all responses that the browser has received since {@code
     * Network.enable}.
     */
    public List<String> received() throws InterruptedException {
      evaluate("''"); // takes the events that wait
      List<String> bodies = new ArrayList<>();
      for (JsonNode event : events("Network.loadingFinished")) {
        String request = event.path("requestId").asString();
        JsonNode body =
            call("Network.getResponseBody", "{\"requestId\":\"%s\"}".formatted(request));
        assertTrue(!body.path("base64Encoded").asBoolean(false), "no text");
        bodies.add(body.path("body").asString());
      }
      return bodies;
    }

    /** Sets the size of the window, in CSS pixels. */
    public void size(int width, int height, boolean mobile) throws InterruptedException {
      call(
          "Emulation.setDeviceMetricsOverride",
          "{\"width\":%d,\"height\":%d,\"deviceScaleFactor\":1,\"mobile\":%s}"
              .formatted(width, height, mobile));
    }

    public void dark(boolean on) throws InterruptedException {
      call(
          "Emulation.setEmulatedMedia",
          "{\"features\":[{\"name\":\"prefers-color-scheme\",\"value\":\"%s\"}]}"
              .formatted(on ? "dark" : "light"));
    }

    public void screenshot(Path file) throws Exception {
      JsonNode shot =
          call("Page.captureScreenshot", "{\"format\":\"png\",\"optimizeForSpeed\":true}");
      Files.createDirectories(file.getParent());
      Files.write(file, Base64.getDecoder().decode(shot.path("data").asString()));
    }

    /** Returns the serious violations that axe-core finds on the page, one a line. */
    public String accessibilityViolations() throws Exception {
      if (evaluate("typeof axe").equals("undefined")) {
        evaluate(AXE + ";''");
      }
      // Nobody reads the elements that pass.
      return evaluate(
          "axe.run({resultTypes: ['violations']}).then(r => r.violations.filter(v => v.impact ==="
              + " 'serious' || v.impact === 'critical').map(v => v.id + ': ' + v.nodes.map(n =>"
              + " n.html + ' ' + n.failureSummary).join(' | ')).join('\\n'))");
    }

    private static String axe() {
      try {
        Properties axe = new Properties();
        axe.load(
            new StringReader(resource("/META-INF/maven/org.webjars.npm/axe-core/pom.properties")));
        String version = axe.getProperty("version");
        return resource("/META-INF/resources/webjars/axe-core/%s/axe.min.js".formatted(version));
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    private static String resource(String name) throws IOException {
      try (InputStream in = Browser.class.getResourceAsStream(name)) {
        return new String(in.readAllBytes(), StandardCharsets.UTF_8);
      }
    }

    void close() {
      socket.abort();
    }
  }

  @Override
  public void close() throws Exception {
    tab.close();
    List<ProcessHandle> all = process.descendants().toList();
    process.destroy();
    process.waitFor();
    // Its other processes still write into the profile, which the test deletes.
    for (ProcessHandle each : all) {
      each.destroyForcibly();
      each.onExit().get(30, TimeUnit.SECONDS);
    }
    client.shutdownNow();
  }
}
