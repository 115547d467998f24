package dev.precis.server.review;

import dev.precis.review.Gate;
import dev.precis.review.comparison.AgreementReport;
import dev.precis.review.comparison.CandidateText;
import dev.precis.review.comparison.ComparisonItem;
import dev.precis.review.comparison.ComparisonProject;
import dev.precis.review.comparison.ComparisonSession;
import dev.precis.review.comparison.ComparisonSettings;
import dev.precis.review.comparison.PairSelection;
import dev.precis.text.PromptTemplate;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A review server of a small project and queue, and a client of it. */
final class ReviewFixture implements AutoCloseable {
  /** Names that no response may have. */
  static final List<String> HIDDEN = List.of("zyxbase", "zyxtuned", "gold", "zyxmodel");

  /** Sees the agreement, and answers nothing. */
  static final String MANAGER = "Mia";

  final ComparisonProject project;
  final ComparisonSession session;
  final Gate gate;
  final ReviewServer server;
  final HttpClient client = HttpClient.newHttpClient();

  ReviewFixture(Path folder, int items) {
    this(folder, items, ReviewServerOptions.DEFAULT);
  }

  ReviewFixture(Path folder, int items, ReviewServerOptions options) {
    this(folder, items, options, 1);
  }

  ReviewFixture(Path folder, int items, ReviewServerOptions options, int overlap) {
    Path votes = folder.resolve("votes");
    if (!ComparisonProject.isProject(votes)) {
      ComparisonProject.create(votes, settings(overlap, "Ann", "Ben"), items(items));
    }
    project = ComparisonProject.read(votes);
    session = ComparisonSession.open(project);
    gate = Gate.open(folder.resolve("queue.jsonl"));
    if (gate.items().isEmpty()) {
      for (String id : List.of("q1", "q2", "q3")) {
        gate.hold(
            new Gate.Candidate(
                id,
                "Ann: The train leaves at nine, " + id + ".\nBen: <script>alert(1)</script> Fine.",
                "The train leaves at ten, " + id + ".",
                Map.of("model", "zyxmodel"),
                List.of("The dialogue never says ten.")));
      }
    }
    server =
        ReviewServer.start(
            session,
            gate,
            Map.of("Ann", project.token("Ann"), "Ben", project.token("Ben")),
            Map.of(MANAGER, project.managerToken(MANAGER)),
            options);
  }

  static ComparisonSettings settings(int overlap, String... names) {
    return new ComparisonSettings(
        3,
        overlap,
        0.1,
        List.of(names),
        "Prefer the summary that is true.\n<b>Then</b> the shorter one.",
        PromptTemplate.DEFAULT.text(),
        PairSelection.RANDOM);
  }

  static List<ComparisonItem> items(int count) {
    List<ComparisonItem> items = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      String number = "number " + i;
      items.add(
          new ComparisonItem(
              "d" + i,
              "Anna: The meeting about the bridge, %s, moves to Monday.\n".formatted(number)
                  + "Ben: Monday is bad for me. Can we take Tuesday?\n"
                  + "Anna: <img src=x onerror=\"document.title='owned'\"> Tuesday it is."
                  + " I will book the large room.",
              false,
              List.of(
                  new CandidateText(
                      "zyxbase", "Anna moves the meeting about the bridge, " + number + ".", null),
                  new CandidateText(
                      "zyxtuned",
                      "Anna and Ben meet on Tuesday, " + number + ". <script>owned</script>",
                      null)),
              false));
    }
    items.add(
        new ComparisonItem(
            "gold:1",
            "Anna: Lunch at one?\nBen: Make it two.",
            false,
            List.of(
                new CandidateText("gold:chosen", "They have lunch at two.", null),
                new CandidateText("gold:rejected", "They have dinner.", null)),
            true));
    return items;
  }

  /** Answers some comparisons. */
  void answer(String name, int count, String preference) throws Exception {
    for (int i = 0; i < count; i++) {
      String task = get(name, "next").task(0);
      Answer answer =
          post(
              name,
              "choices",
              "{\"task\":\"%s\",\"preference\":\"%s\",\"seconds\":2.5}"
                  .formatted(task, preference));
      if (answer.status() != 200) {
        throw new AssertionError(answer.body());
      }
    }
  }

  /** Returns the report of what was answered so far. */
  AgreementReport report() {
    return AgreementReport.of(project, 10, 1);
  }

  String token(String name) {
    return name.equals(MANAGER) ? project.managerToken(name) : project.token(name);
  }

  /** A response. */
  record Answer(int status, String body) {
    JsonNode json() {
      return JsonMapper.shared().readTree(body);
    }

    String error() {
      return json().at("/error/message").asString("");
    }

    String task(int place) {
      return json().at("/tasks/" + place + "/id").asString();
    }
  }

  Answer get(String name, String path) throws Exception {
    return send(request(path, token(name)).GET());
  }

  /** Returns what the page learns when it begins. */
  JsonNode session(String name) {
    try {
      return get(name, "session").json();
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  Answer post(String name, String path, String json) throws Exception {
    return send(request(path, token(name)).POST(BodyPublishers.ofString(json)));
  }

  HttpRequest.Builder request(String path, String token) {
    return HttpRequest.newBuilder(uri(path))
        .timeout(Duration.ofSeconds(60))
        .header("Content-Type", "application/json")
        .header("Authorization", "Bearer " + token);
  }

  URI uri(String path) {
    return server.address().resolve("/v1/review/" + path);
  }

  Answer send(HttpRequest.Builder request) throws Exception {
    HttpResponse<String> response = client.send(request.build(), BodyHandlers.ofString());
    return new Answer(response.statusCode(), response.body());
  }

  @Override
  public void close() {
    client.shutdownNow();
    server.close();
    session.close();
    gate.close();
  }
}
