package dev.precis.server.review;

import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import dev.precis.review.Gate;
import dev.precis.review.Gate.Item;
import dev.precis.review.Gate.State;
import dev.precis.server.http.Exchange;
import dev.precis.server.http.HttpFailure;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import tools.jackson.core.JsonGenerator;

/** The requests of the view on the gate's queue. No response names the model. */
final class QueueEndpoints {
  /** Texts of one response. */
  private static final int MOST = 50;

  private static final int MAX_TEXT = 100_000;

  private final Gate gate;

  QueueEndpoints(Gate gate) {
    this.gate = gate;
  }

  /** A decision on a text. */
  @FunctionalInterface
  private interface Decision {
    void take(String id, JsonObject body);
  }

  /** Sends the texts of a state, by default those that are held, and how many there are of each. */
  void list(Exchange exchange, String reviewer) {
    String name = exchange.query("state");
    State state =
        Arrays.stream(State.values())
            .filter(each -> shown(each).equals(name.isEmpty() ? "held" : name))
            .findFirst()
            .orElseThrow(
                () ->
                    HttpFailure.badRequest(
                        "state", "\"state\" must be held, approved, rejected or released."));
    respond(exchange, state);
  }

  void approve(Exchange exchange, String reviewer) {
    decide(exchange, (id, body) -> gate.approve(id, reviewer));
  }

  void edit(Exchange exchange, String reviewer) {
    decide(
        exchange,
        (id, body) -> {
          String text = body.text("edit");
          if (text.length() > MAX_TEXT) {
            throw HttpFailure.badRequest(
                "edit", "\"edit\" has more than %,d characters.".formatted(MAX_TEXT));
          }
          gate.edit(id, reviewer, text);
        });
  }

  void reject(Exchange exchange, String reviewer) {
    decide(exchange, (id, body) -> gate.reject(id, reviewer, body.text("reason")));
  }

  private void decide(Exchange exchange, Decision decision) {
    JsonObject body = exchange.json();
    String id = body.text("id");
    String seen = body.text("text");
    // The gate's own lock: nobody may change the text between the look at it and the decision.
    synchronized (gate) {
      Item item =
          gate.items().stream()
              .filter(each -> each.candidate().id().equals(id))
              .findFirst()
              .orElseThrow(
                  () -> HttpFailure.invalid(404, "not_found", "id", "There is no such text."));
      if (!item.text().equals(seen)) {
        throw HttpFailure.invalid(
            409, "text_changed", "text", "Somebody has edited the text meanwhile: read it again.");
      }
      if (item.state() == State.RELEASED) {
        throw HttpFailure.invalid(409, "released", "id", "The text was released meanwhile.");
      }
      decision.take(id, body);
    }
    respond(exchange, State.HELD);
  }

  private void respond(Exchange exchange, State state) {
    List<Item> all = gate.items();
    exchange.send(
        Json.bytes(
            json -> {
              json.writeStartObject();
              json.writeArrayPropertyStart("texts");
              all.stream()
                  .filter(item -> item.state() == state)
                  .limit(MOST)
                  .forEach(item -> write(json, item));
              json.writeEndArray();
              json.writeObjectPropertyStart("counts");
              for (State each : State.values()) {
                json.writeNumberProperty(
                    shown(each), all.stream().filter(item -> item.state() == each).count());
              }
              json.writeEndObject();
              json.writeEndObject();
            }));
  }

  private static void write(JsonGenerator json, Item item) {
    json.writeStartObject();
    json.writeStringProperty("id", item.candidate().id());
    json.writeStringProperty("state", shown(item.state()));
    json.writeStringProperty("text", item.text());
    json.writeStringProperty("generated", item.candidate().text());
    json.writeArrayPropertyStart("reasons");
    item.candidate().reasons().forEach(json::writeString);
    json.writeEndArray();
    json.writeArrayPropertyStart("approved_by");
    item.approvedBy().forEach(json::writeString);
    json.writeEndArray();
    if (item.rejection() != null) {
      json.writeStringProperty("rejection", item.rejection());
    }
    DialogueJson.write(json, item.candidate().source(), Map.of("first", item.text()));
    json.writeEndObject();
  }

  private static String shown(State state) {
    return state.name().toLowerCase(Locale.ROOT);
  }
}
