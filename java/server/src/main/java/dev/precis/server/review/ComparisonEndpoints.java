package dev.precis.server.review;

import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import dev.precis.review.comparison.ComparisonSession;
import dev.precis.review.comparison.ComparisonSession.StaleTaskException;
import dev.precis.review.comparison.ComparisonTask;
import dev.precis.review.comparison.Judgment;
import dev.precis.server.http.Exchange;
import dev.precis.server.http.HttpFailure;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import tools.jackson.core.JsonGenerator;

/** The requests of the view that compares summaries. No response names a candidate. */
final class ComparisonEndpoints {
  /** The comparison on the page, and the one that the page shows at once after it. */
  private static final int SHOWN = 2;

  private static final int REMEMBERED = 256;

  private final ComparisonSession session;

  /** Tasks as they were sent: finding the sentences that a summary draws on takes a while. */
  private final Map<String, String> sent =
      new LinkedHashMap<>(REMEMBERED, 0.75f, true) {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<String, String> eldest) {
          return size() > REMEMBERED;
        }
      };

  ComparisonEndpoints(ComparisonSession session) {
    this.session = session;
  }

  /** Sends the comparisons that come next, and the progress. */
  void next(Exchange exchange, String reviewer) {
    respond(exchange, reviewer, json -> {});
  }

  /** Records an answer and sends the number of its entry, beside what {@link #next} sends. */
  void choose(Exchange exchange, String reviewer) {
    JsonObject body = exchange.json();
    Judgment judgment = Judgment.of(body);
    String task = body.text("task");
    long number;
    try {
      number = session.choose(reviewer, task, judgment);
    } catch (StaleTaskException e) {
      throw HttpFailure.invalid(409, "stale_task", "task", e.getMessage() + ".");
    }
    respond(exchange, reviewer, json -> json.writeNumberProperty("number", number));
  }

  /** Takes the last answer back. */
  void undo(Exchange exchange, String reviewer) {
    exchange.json();
    long number =
        session
            .undo(reviewer)
            .orElseThrow(
                () ->
                    HttpFailure.invalid(
                        409, "nothing_to_undo", null, "You have no answer to take back."));
    respond(exchange, reviewer, json -> json.writeNumberProperty("undone", number));
  }

  private void respond(Exchange exchange, String reviewer, Consumer<JsonGenerator> more) {
    List<ComparisonTask> tasks = session.next(reviewer, SHOWN);
    ComparisonSession.Progress progress = session.progress(reviewer);
    exchange.send(
        Json.bytes(
            json -> {
              json.writeStartObject();
              more.accept(json);
              json.writeArrayPropertyStart("tasks");
              tasks.forEach(task -> json.writeRawValue(json(task)));
              json.writeEndArray();
              json.writeObjectPropertyStart("progress");
              json.writeNumberProperty("done", progress.done());
              json.writeNumberProperty("have", progress.have());
              json.writeNumberProperty("need", progress.need());
              json.writeNumberProperty("per_hour", Math.round(progress.perHour()));
              json.writeEndObject();
              json.writeEndObject();
            }));
  }

  private String json(ComparisonTask task) {
    synchronized (sent) {
      return sent.computeIfAbsent(task.id(), any -> write(task));
    }
  }

  private static String write(ComparisonTask task) {
    byte[] utf8 =
        Json.bytes(
            json -> {
              json.writeStartObject();
              json.writeStringProperty("id", task.id());
              json.writeStringProperty("first", task.first());
              json.writeStringProperty("second", task.second());
              Map<String, String> summaries = new LinkedHashMap<>();
              summaries.put("first", task.first());
              summaries.put("second", task.second());
              DialogueJson.write(json, task.dialogue(), summaries);
              json.writeEndObject();
            });
    return new String(utf8, StandardCharsets.UTF_8);
  }
}
