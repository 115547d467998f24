package dev.precis.server;

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
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A server of the tiny fixtures, and a client of it. */
final class ServerRun implements AutoCloseable {
  static final Path FIXTURES = Path.of("../core/src/test/resources/fixtures");

  final ServedModels models = new ServedModels();
  final Server server;
  final HttpClient client = HttpClient.newHttpClient();

  ServerRun(ServerOptions options) {
    models.add("t5-tiny", T5.load(FIXTURES.resolve("t5-tiny")));
    server = Server.start(models, options);
  }

  /** A response: its status, its headers and its body as JSON. */
  record Answer(HttpResponse<String> response, JsonNode json) {
    int status() {
      return response.statusCode();
    }

    String error() {
      return json.at("/error/message").asString();
    }
  }

  Answer post(String path, String json) throws Exception {
    return send(request(path).POST(BodyPublishers.ofString(json)));
  }

  HttpRequest.Builder request(String path) {
    return HttpRequest.newBuilder(uri(path))
        .timeout(Duration.ofSeconds(60))
        .header("Content-Type", "application/json");
  }

  URI uri(String path) {
    return server.address().resolve(path);
  }

  Answer send(HttpRequest.Builder request) throws Exception {
    HttpResponse<String> response = client.send(request.build(), BodyHandlers.ofString());
    return new Answer(response, JsonMapper.shared().readTree(response.body()));
  }

  @Override
  public void close() {
    client.shutdownNow();
    server.close();
    models.close();
  }
}
