package dev.precis.server;

import dev.precis.Classifier;
import dev.precis.T5;
import dev.precis.server.models.ServedModels;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A server of the tiny fixtures, and a client of it. */
final class ServerRun implements AutoCloseable {
  static final Path FIXTURES = Path.of("../core/src/test/resources/fixtures");

  final ServedModels models = new ServedModels();
  final Server server;
  final T5 t5;
  final Classifier classifier;
  final HttpClient client = HttpClient.newHttpClient();

  ServerRun(ServerOptions options) {
    this(options, new T5.LoadOptions());
  }

  ServerRun(ServerOptions options, T5.LoadOptions loading) {
    t5 = T5.load(FIXTURES.resolve("t5-tiny"), loading);
    models.add("t5-tiny", t5);
    models.addAdapter(null, "tuned", FIXTURES.resolve("t5-tiny-lora-after20"));
    classifier = Classifier.load(FIXTURES.resolve("roberta-tiny"));
    models.add("roberta-tiny", classifier, List.of(classifier.labels().getLast()));
    server = Server.start(models, options);
  }

  /** A response: its status, its headers and its body. */
  record Answer(HttpResponse<String> response) {
    int status() {
      return response.statusCode();
    }

    String body() {
      return response.body();
    }

    JsonNode json() {
      return JsonMapper.shared().readTree(response.body());
    }

    JsonNode at(String pointer) {
      return json().at(pointer);
    }

    String error() {
      return at("/error/message").asString();
    }

    /** The events of a stream, without the last one, which must be [DONE]. */
    List<JsonNode> events() {
      List<String> data = response.body().lines().filter(line -> !line.isEmpty()).toList();
      if (!data.getLast().equals("data: [DONE]")) {
        throw new AssertionError("no end: " + response.body());
      }
      return data.subList(0, data.size() - 1).stream()
          .map(line -> JsonMapper.shared().readTree(line.substring("data: ".length())))
          .toList();
    }
  }

  Answer post(String path, String json) throws Exception {
    return send(request(path).POST(BodyPublishers.ofString(json)));
  }

  Answer get(String path) throws Exception {
    return send(request(path).GET());
  }

  HttpRequest.Builder request(String path) {
    return HttpRequest.newBuilder(uri(path))
        .timeout(Duration.ofSeconds(120))
        .header("Content-Type", "application/json");
  }

  URI uri(String path) {
    return server.address().resolve(path);
  }

  Answer send(HttpRequest.Builder request) throws Exception {
    return new Answer(client.send(request.build(), BodyHandlers.ofString()));
  }

  @Override
  public void close() {
    client.shutdownNow();
    server.close();
    models.close();
  }
}
