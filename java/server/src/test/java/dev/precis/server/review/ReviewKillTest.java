package dev.precis.server.review;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.random.SplitMix64;
import dev.precis.review.comparison.ComparisonProject;
import dev.precis.review.comparison.ComparisonSession;
import dev.precis.review.comparison.RecordedChoice;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.spi.ToolProvider;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A server that is killed (SIGKILL) while an annotator works: no choice that it has acknowledged is
 * lost, and none is there twice.
 */
class ReviewKillTest {
  private static final int KILLS = 6;

  /** Kills of a project: a server that starts reads all of it, which a larger one makes slow. */
  private static final int ROUND = 25;

  private static final int SOAK_KILLS = Integer.getInteger("precis.soak.kills", 1000);

  @TempDir private Path folder;

  private final HttpClient client =
      HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5)).build();

  /** In the process that is killed. */
  static final class Main {
    private Main() {}

    /** Serves a project until standard input ends. */
    public static void main(String[] args) throws IOException {
      ComparisonProject project = ComparisonProject.read(Path.of(args[0]));
      ComparisonSession session = ComparisonSession.open(project);
      ReviewServer server =
          ReviewServer.start(
              session,
              null,
              Map.of("Ann", project.token("Ann")),
              Map.of(),
              ReviewServerOptions.DEFAULT);
      System.out.println(server.address());
      System.in.read();
      server.close();
      session.close();
      System.exit(0);
    }
  }

  @Test
  void noAcknowledgedChoiceIsLost() throws Exception {
    killed(project("votes", KILLS), KILLS, List.of("-cp", System.getProperty("java.class.path")));
  }

  @Test
  @Tag("soak")
  void noAcknowledgedChoiceIsLostInAThousandKills() throws Exception {
    List<String> options = archive(project("archived", 1));
    int acknowledged = 0;
    for (int done = 0; done < SOAK_KILLS; done += ROUND) {
      int kills = Math.min(ROUND, SOAK_KILLS - done);
      acknowledged += killed(project("votes" + done, kills), kills, options);
      System.out.printf(
          "%d kills, %d acknowledged choices, none of them lost or there twice%n",
          done + kills, acknowledged);
    }
  }

  /** Makes a project with more to do than the kills leave time for. */
  private ComparisonProject project(String name, int kills) {
    Path votes = folder.resolve(name);
    ComparisonProject.create(
        votes, ReviewFixture.settings(1, "Ann"), ReviewFixture.items(80 * kills));
    return ComparisonProject.read(votes);
  }

  /** Returns how many choices were acknowledged. */
  private int killed(ComparisonProject project, int kills, List<String> options) throws Exception {
    SplitMix64 random = new SplitMix64(System.nanoTime());
    Set<Long> acknowledged = new HashSet<>();
    for (int kill = 0; kill < kills; kill++) {
      Process process = start(project, options);
      try (BufferedReader out =
          new BufferedReader(
              new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
        URI address = URI.create(out.readLine());
        work(
            address,
            project.token("Ann"),
            acknowledged,
            () ->
                CompletableFuture.delayedExecutor(random.below(250), TimeUnit.MILLISECONDS)
                    .execute(process::destroyForcibly));
      } finally {
        process.destroyForcibly().waitFor();
      }
      Set<Long> recorded = new HashSet<>();
      Set<String> pairs = new HashSet<>();
      List<RecordedChoice> choices = project.choices();
      for (RecordedChoice each : choices) {
        recorded.add(each.number());
        assertTrue(
            pairs.add(each.choice().item() + each.choice().repeat()), "twice: " + each.choice());
      }
      assertTrue(recorded.containsAll(acknowledged), "after " + (kill + 1) + " kills");
      assertTrue(
          choices.size() <= acknowledged.size() + kill + 1,
          "at most the one that was on its way is there beside");
    }
    assertTrue(acknowledged.size() >= kills, acknowledged.size() + " choices");
    try (ComparisonSession session = ComparisonSession.open(project)) {
      assertEquals(project.choices().size(), session.progress("Ann").done());
    }
    return acknowledged.size();
  }

  /**
   * Writes the classes that a server loads into an archive, because a thousand starts without one
   * take most of the test's time; returns the option by which a process reads it.
   */
  private List<String> archive(ComparisonProject project) throws Exception {
    Path file = folder.resolve("classes.jsa");
    String jars = jars();
    Process process = start(project, List.of("-XX:ArchiveClassesAtExit=" + file, "-cp", jars));
    try (BufferedReader out =
        new BufferedReader(
            new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
      URI address = URI.create(out.readLine());
      send(address, project.token("Ann"), "next", null);
      process.getOutputStream().close();
      assertEquals(0, process.waitFor());
    }
    assertTrue(Files.size(file) > 0);
    return List.of("-XX:SharedArchiveFile=" + file, "-cp", jars);
  }

  /** Returns the class path with its folders packed, for an archive holds classes of jars alone. */
  private String jars() {
    List<String> jars = new ArrayList<>();
    for (String each : System.getProperty("java.class.path").split(File.pathSeparator)) {
      Path jar = folder.resolve("part" + jars.size() + ".jar");
      jars.add(Files.isDirectory(Path.of(each)) ? jar.toString() : each);
      if (Files.isDirectory(Path.of(each))) {
        assertEquals(
            0,
            ToolProvider.findFirst("jar")
                .orElseThrow()
                .run(
                    System.out, System.err, "--create", "--file", jar.toString(), "-C", each, "."));
      }
    }
    return String.join(File.pathSeparator, jars);
  }

  private static Process start(ComparisonProject project, List<String> options) throws IOException {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC"));
    command.addAll(options);
    command.addAll(List.of(Main.class.getName(), project.folder().toString()));
    return new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
  }

  /**
   * Answers until the server is gone.
   *
   * @param begun is called when the first answer is acknowledged, however slow the machine
   */
  private void work(URI address, String token, Set<Long> acknowledged, Runnable begun)
      throws InterruptedException {
    try {
      JsonNode next = send(address, token, "next", null);
      boolean first = true;
      while (next.at("/tasks/0/id").isString()) {
        String task = next.at("/tasks/0/id").stringValue();
        next =
            send(
                address,
                token,
                "choices",
                "{\"task\":\"%s\",\"preference\":\"first\"}".formatted(task));
        acknowledged.add(next.path("number").longValue());
        if (first) {
          begun.run();
          first = false;
        }
      }
    } catch (IOException e) {
      // The server is gone.
    }
  }

  private JsonNode send(URI address, String token, String path, String body)
      throws IOException, InterruptedException {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(address.resolve("/v1/review/" + path))
            .timeout(Duration.ofSeconds(30))
            .header("Content-Type", "application/json")
            .header("Authorization", "Bearer " + token);
    HttpResponse<String> response =
        client.send(
            (body == null ? request.GET() : request.POST(BodyPublishers.ofString(body))).build(),
            BodyHandlers.ofString());
    assertEquals(200, response.statusCode(), response.body());
    return JsonMapper.shared().readTree(response.body());
  }
}
