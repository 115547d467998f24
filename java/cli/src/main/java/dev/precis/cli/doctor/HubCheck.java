package dev.precis.cli.doctor;

import dev.precis.hub.HubConfig;
import java.io.IOException;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;

/** Asks the hub whether it answers, which takes a few seconds at most. */
final class HubCheck {
  private static final Duration PATIENCE = Duration.ofSeconds(3);

  private HubCheck() {}

  /**
   * Returns what came of it.
   *
   * @param reached whether something answered
   * @param text for people; never the token
   */
  record Answer(boolean reached, String text) {}

  /** Sends one request without the token: any answer shows that the hub is reachable. */
  static Answer ask(HubConfig hub) {
    HttpClient.Builder builder =
        HttpClient.newBuilder().connectTimeout(PATIENCE).followRedirects(HttpClient.Redirect.NEVER);
    hub.proxy().ifPresent(builder::proxy);
    try (HttpClient client = builder.build()) {
      HttpRequest request =
          HttpRequest.newBuilder(hub.endpoint())
              .timeout(PATIENCE)
              .method("HEAD", HttpRequest.BodyPublishers.noBody())
              .build();
      int status = client.send(request, HttpResponse.BodyHandlers.discarding()).statusCode();
      return status < 500
          ? new Answer(true, "answers")
          : new Answer(
              false, "answers with the error %d; models in the cache work".formatted(status));
    } catch (IOException e) {
      return unreachable(e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage());
    } catch (IllegalArgumentException e) {
      return unreachable(e.getMessage());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return unreachable("interrupted");
    }
  }

  private static Answer unreachable(String reason) {
    return new Answer(
        false,
        "cannot be reached (%s): models in the cache work, precis download does not"
            .formatted(reason));
  }
}
