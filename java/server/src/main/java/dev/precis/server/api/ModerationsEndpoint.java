package dev.precis.server.api;

import dev.precis.Classifier.Scores;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.server.http.Endpoint;
import dev.precis.server.http.Exchange;
import dev.precis.server.http.HttpFailure;
import dev.precis.server.metrics.ServerMetrics;
import dev.precis.server.models.ServedModels;
import dev.precis.server.models.ServedModels.Served;
import dev.precis.server.models.TextClassifier;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import tools.jackson.core.JsonGenerator;
import tools.jackson.databind.JsonNode;

/**
 * {@code POST /v1/moderations}: the probabilities of a classifier's labels. The categories are its
 * own labels; a label is true from a probability of one half on.
 */
public final class ModerationsEndpoint implements Endpoint {
  private static final double THRESHOLD = 0.5;

  private final ServedModels models;
  private final ServerMetrics metrics;

  /** Makes the endpoint of these models. */
  public ModerationsEndpoint(ServedModels models, ServerMetrics metrics) {
    this.models = models;
    this.metrics = metrics;
  }

  @Override
  public void handle(Exchange exchange) {
    RequestFields fields = new RequestFields(exchange.json());
    Served model = ModelChoice.classifier(fields, models);
    TextClassifier classifier = model.classifier();
    if (classifier.readsPrompt()) {
      throw HttpFailure.badRequest(
          "model", "This reward model reads a prompt beside the text: use /v1/rerank.");
    }
    if (classifier.flags().isEmpty()) {
      throw HttpFailure.badRequest(
          "model",
          "It is not known which of this model's labels, %s, flag a text: start the server with"
                  .formatted(String.join(", ", classifier.labels()))
              + " --moderation-label LABEL.");
    }
    List<String> texts = texts(fields, exchange);
    fields.refuseOthers();
    List<Scores> scores;
    try {
      scores = classifier.score(null, texts);
    } catch (InvalidInputException e) {
      throw HttpFailure.badRequest("input", e.getMessage() + ".");
    }
    metrics.read(
        model.name(), texts.stream().mapToInt(text -> classifier.encode(text).length).sum());
    exchange.send(json(model, scores));
  }

  /** Returns the texts: one, a list, or a list of parts of type text, which are one input. */
  private static List<String> texts(RequestFields fields, Exchange exchange) {
    JsonNode value = fields.node("input");
    List<String> texts = new ArrayList<>();
    if (value != null && value.isArray() && !value.isEmpty() && value.get(0).isObject()) {
      for (JsonNode part : value) {
        JsonNode text = part.get("text");
        if (text == null || !text.isString()) {
          throw HttpFailure.unsupported(
              "input", "\"input\" has a part that is no text, but this model reads nothing else.");
        }
        texts.add(text.stringValue());
      }
      return List.of(String.join("\n", texts));
    }
    List<String> all = fields.texts("input");
    if (all == null) {
      throw RequestFields.missing("input");
    }
    Texts.requireFew("input", all.size(), exchange.limits());
    return all;
  }

  private static byte[] json(Served model, List<Scores> scores) {
    return Json.bytes(
        json -> {
          json.writeStartObject();
          json.writeStringProperty("id", "modr-" + UUID.randomUUID());
          json.writeStringProperty("model", model.name());
          json.writeName("results");
          json.writeStartArray();
          scores.forEach(each -> write(json, model.classifier(), each));
          json.writeEndArray();
          json.writeEndObject();
        });
  }

  private static void write(JsonGenerator json, TextClassifier classifier, Scores scores) {
    json.writeStartObject();
    json.writeBooleanProperty(
        "flagged",
        classifier.flags().stream()
            .anyMatch(label -> scores.probabilities().get(label) >= THRESHOLD));
    json.writeName("categories");
    json.writeStartObject();
    scores.probabilities().forEach((label, p) -> json.writeBooleanProperty(label, p >= THRESHOLD));
    json.writeEndObject();
    json.writeName("category_scores");
    json.writeStartObject();
    scores.probabilities().forEach(json::writeNumberProperty);
    json.writeEndObject();
    json.writeEndObject();
  }
}
