package dev.precis.cli;

import static dev.precis.cli.CommandLineRun.DIALOGUES;
import static dev.precis.cli.CommandLineRun.MODEL;
import static dev.precis.cli.CommandLineRun.run;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpServer;
import dev.precis.cli.common.Terminal;
import dev.precis.io.Json;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** doctor, demo, download and bench. */
final class CommandsTest {
  private static final String COMMIT = "0123456789abcdef0123456789abcdef01234567";

  @TempDir private Path folder;

  @Test
  void doctorTestsItself() {
    JsonNode report = Json.mapper().readTree(run("doctor", "--json").succeeded().out());
    assertTrue(report.get("ok").booleanValue());
    Map<String, JsonNode> findings = new HashMap<>();
    for (JsonNode finding : report.get("findings")) {
      findings.put(finding.get("name").stringValue(), finding);
    }
    for (String name : List.of("java", "library", "kernels", "threads", "product", "summary")) {
      assertEquals("ok", findings.get(name).get("level").stringValue(), name);
    }
    assertTrue(findings.containsKey("gpu") && findings.containsKey("hub cache"));
  }

  @Test
  void doctorFitsAndKeepsTheToken() {
    Map<String, String> environment = Map.of("HF_TOKEN", "hf_secret", "HF_HOME", folder.toString());
    CommandLineRun result = run(environment, "doctor", "--threads", "1").succeeded();
    assertTrue(result.out().contains("with a token"), result.out());
    assertFalse(result.out().contains("hf_secret"), result.out());
    assertTrue(result.out().contains(folder.toString()), result.out());
  }

  @Test
  void doctorAsksTheHub() throws IOException {
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
    List<String> asked = new CopyOnWriteArrayList<>();
    server.createContext(
        "/",
        exchange -> {
          asked.add(exchange.getRequestMethod() + exchange.getRequestHeaders().entrySet());
          exchange.sendResponseHeaders(200, -1);
          exchange.close();
        });
    server.start();
    String endpoint = "http://127.0.0.1:" + server.getAddress().getPort();
    Map<String, String> environment =
        new HashMap<>(
            Map.of("HF_TOKEN", "hf_secret", "HF_ENDPOINT", endpoint, "HF_HOME", "" + folder));
    String found = run(environment, "doctor", "--json").succeeded().out();
    assertTrue(found.contains(endpoint + ", with a token; it answers"), found);
    assertEquals(1, asked.size());
    assertFalse(asked.toString().contains("hf_secret"), asked.toString());
    environment.put("HF_HUB_OFFLINE", "1");
    String offline = run(environment, "doctor", "--json").succeeded().out();
    assertTrue(offline.contains("HF_HUB_OFFLINE"), offline);
    assertEquals(1, asked.size());
    server.stop(0);
    environment.remove("HF_HUB_OFFLINE");
    String gone = run(environment, "doctor", "--json").succeeded().out();
    assertTrue(gone.contains("cannot be reached"), gone);
    assertFalse(gone.contains("hf_secret"), gone);
  }

  @Test
  void doctorShowsTheWeightsCache() throws IOException {
    Map<String, String> environment =
        Map.of("PRECIS_CACHE_DIR", folder.toString(), "PRECIS_WEIGHTS_CACHE", "40G");
    Path weights = Files.createDirectories(folder.resolve("weights"));
    Files.write(weights.resolve("a-model.safetensors"), new byte[60_000_000]);
    String shown = run(environment, "doctor", "--json").succeeded().out();
    assertTrue(shown.contains(weights + ": 0.1 GB of at most 42.9 GB"), shown);
    String off = run(Map.of("PRECIS_WEIGHTS_CACHE", "off"), "doctor").succeeded().out();
    assertTrue(off.contains("PRECIS_WEIGHTS_CACHE is off"), off);
    CommandLineRun wrong = run(Map.of("PRECIS_WEIGHTS_CACHE", "all"), "doctor");
    assertEquals(1, wrong.exitCode());
    assertTrue(wrong.out().contains("must be off or a size"), wrong.out());
  }

  @Test
  void demoShowsBothSummariesIn80Columns() {
    String page = run("demo", "--quick").succeeded().out();
    assertTrue(page.lines().allMatch(line -> line.length() < 80), page);
    assertEquals(3, page.lines().filter(line -> line.contains("THE MODEL")).count(), page);
    // The model has learnt how summaries of this kind begin and end, and here there are three.
    String[] dialogues = page.split("THE MODEL");
    for (int i = 1; i <= 3; i++) {
      List<String> model = new ArrayList<>();
      List<String> person = new ArrayList<>();
      dialogues[i]
          .lines()
          .skip(1)
          .takeWhile(line -> line.contains("|"))
          .forEach(
              line -> {
                model.add(line.substring(0, line.indexOf('|')).strip());
                person.add(line.substring(line.indexOf('|') + 1).strip());
              });
      for (List<String> lines : List.of(model, person)) {
        String text = String.join(" ", lines).strip();
        assertTrue(text.matches("(#Person\\d#|[A-Z]).*[.!]"), text);
        assertFalse(text.matches(".*\\b(\\w+)( \\1){2}\\b.*"), "a loop: " + text);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"float32", "bfloat16", "int8"})
  void benchHasThePeersKeys(String dtype) {
    String out =
        run(
                "bench",
                "generate",
                "--model",
                MODEL,
                "--dtype",
                dtype,
                "--batch",
                2,
                "--source",
                20,
                "--new",
                5,
                "--repeats",
                2,
                "--threads",
                1)
            .succeeded()
            .out();
    JsonNode result = Json.mapper().readTree(out);
    assertEquals(
        List.of(
            "mode",
            "dtype",
            "device",
            "seconds",
            "median_seconds",
            "tokens_per_second",
            "peak_mb",
            "threads",
            "batch",
            "source",
            "new",
            "engine",
            "isa",
            "gpu",
            "gpu_mb"),
        List.copyOf(result.propertyNames()));
    assertEquals(dtype, result.get("dtype").stringValue());
    assertEquals(5, result.get("new").intValue());
    assertEquals(1, result.get("threads").intValue());
    double seconds = result.get("seconds").doubleValue();
    assertTrue(seconds > 0 && seconds <= result.get("median_seconds").doubleValue());
    // Seconds are rounded to a ten-thousandth.
    double perSecond = result.get("tokens_per_second").doubleValue();
    assertEquals(10, perSecond * seconds, perSecond * 0.6e-4 + seconds);
    assertTrue(result.get("peak_mb").intValue() > 10);
    assertEquals("cpu", result.get("device").stringValue());
    assertEquals("", result.get("gpu").stringValue());
  }

  @Test
  void benchNeedsNoModel() {
    String out =
        run(
                "bench",
                "generate",
                "--size",
                "mini",
                "--batch",
                1,
                "--source",
                5,
                "--new",
                2,
                "--repeats",
                1,
                "--threads",
                1)
            .succeeded()
            .out();
    JsonNode result = Json.mapper().readTree(out);
    assertEquals("bfloat16", result.get("dtype").stringValue());
    assertTrue(result.get("seconds").doubleValue() > 0);
  }

  @Test
  void benchRefusesNothing() {
    CommandLineRun result = run("bench", "generate", "--model", MODEL, "--batch", 0);
    assertEquals(2, result.exitCode());
    assertTrue(result.err().contains("--batch must be 1 or more"), result.err());
  }

  @Test
  void downloadsOnceAndGeneratesById() throws IOException {
    List<String> asked = new ArrayList<>();
    HttpServer server = hub(asked);
    try {
      Map<String, String> environment =
          Map.of(
              "HF_ENDPOINT",
              "http://localhost:" + server.getAddress().getPort(),
              "HF_HOME",
              folder.resolve("hf").toString(),
              "NO_PROXY",
              "localhost");
      CommandLineRun missing =
          run(environment, "generate", "--model", "own/tiny", "--input", DIALOGUES);
      assertEquals(2, missing.exitCode());
      assertTrue(missing.err().contains("'precis download own/tiny'"), missing.err());
      assertEquals(List.of(), asked);

      String printed = run(environment, "download", "own/tiny").succeeded().out();
      Path snapshot = Path.of(printed.strip());
      assertTrue(snapshot.startsWith(folder), printed);
      for (String file : List.of("config.json", "model.safetensors", "tokenizer.json")) {
        assertEquals(-1, Files.mismatch(MODEL.resolve(file), snapshot.resolve(file)), file);
      }
      String byId =
          run(
                  environment,
                  "generate",
                  "--model",
                  "own/tiny",
                  "--input",
                  DIALOGUES,
                  "--max-new-tokens",
                  8)
              .succeeded()
              .out();
      String byFolder =
          run("generate", "--model", MODEL, "--input", DIALOGUES, "--max-new-tokens", 8)
              .succeeded()
              .out();
      assertEquals(byFolder, byId);

      CommandLineRun unknown = run(environment, "download", "own/other");
      assertEquals(2, unknown.exitCode(), unknown.err());
      assertTrue(unknown.err().contains("own/other"), unknown.err());
    } finally {
      server.stop(0);
    }
  }

  @Test
  void progressOnlyOnATerminal() throws IOException {
    for (boolean isTerminal : new boolean[] {false, true}) {
      ByteArrayOutputStream err = new ByteArrayOutputStream();
      Terminal terminal =
          new Terminal(
              new ByteArrayOutputStream(),
              new PrintStream(err, true, StandardCharsets.UTF_8),
              Map.of(),
              false,
              isTerminal);
      String output = folder.resolve("out.jsonl").toString();
      String[] command = {
        "generate", "--model", MODEL.toString(), "--input", DIALOGUES.toString(), "--output", output
      };
      assertEquals(0, Main.run(terminal, command));
      String text = err.toString(StandardCharsets.UTF_8);
      assertEquals(isTerminal, text.contains("/64 dialogues"), text);
      assertEquals(isTerminal, text.contains("64 dialogues, "), text);
      for (String line : text.split("[\r\n]")) {
        assertTrue(line.length() < 80, line);
      }
    }
  }

  /** A hub with one model, own/tiny. */
  private static HttpServer hub(List<String> asked) throws IOException {
    HttpServer server =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext(
        "/",
        exchange -> {
          String path = exchange.getRequestURI().getPath();
          asked.add(path);
          byte[] body = null;
          String resolve = "/own/tiny/resolve/" + COMMIT + "/";
          if (path.startsWith("/api/models/own/tiny/revision/")) {
            List<Map<String, String>> files = new ArrayList<>();
            for (String file : List.of("config.json", "model.safetensors", "tokenizer.json")) {
              files.add(Map.of("rfilename", file));
            }
            body = Json.mapper().writeValueAsBytes(Map.of("sha", COMMIT, "siblings", files));
          } else if (path.startsWith(resolve)) {
            String file = path.substring(resolve.length());
            body = Files.readAllBytes(MODEL.resolve(file));
            exchange.getResponseHeaders().add("ETag", '"' + "etag-" + file + '"');
            exchange.getResponseHeaders().add("X-Repo-Commit", COMMIT);
          } else {
            exchange.getResponseHeaders().add("X-Error-Code", "RepoNotFound");
          }
          boolean head = exchange.getRequestMethod().equals("HEAD");
          if (body == null) {
            exchange.sendResponseHeaders(404, -1);
          } else if (head) {
            exchange.getResponseHeaders().add("Content-Length", "" + body.length);
            exchange.sendResponseHeaders(200, -1);
          } else {
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
          }
          exchange.close();
        });
    server.start();
    return server;
  }
}
