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
import java.util.Comparator;
import java.util.List;
import java.util.UUID;
import java.util.stream.IntStream;
import tools.jackson.databind.JsonNode;

/**
 * {@code POST /v1/rerank}: orders documents by the score of a classifier with one logit, such as a
 * reward model. The query is its template's prompt.
 */
public final class RerankEndpoint implements Endpoint {
  private final ServedModels models;
  private final ServerMetrics metrics;

  /** Makes the endpoint of these models. */
  public RerankEndpoint(ServedModels models, ServerMetrics metrics) {
    this.models = models;
    this.metrics = metrics;
  }

  @Override
  public void handle(Exchange exchange) {
    RequestFields fields = new RequestFields(exchange.json());
    Served model = ModelChoice.classifier(fields, models);
    TextClassifier classifier = model.classifier();
    if (classifier.labels().size() != 1) {
      throw HttpFailure.badRequest(
          "model",
          "Reranking needs a model with one logit, but this one has %d: use /v1/moderations."
              .formatted(classifier.labels().size()));
    }
    String query = fields.text("query");
    if (classifier.readsPrompt() && query == null) {
      throw RequestFields.missing("query");
    }
    if (!classifier.readsPrompt() && query != null) {
      throw HttpFailure.unsupported(
          "query", "This model scores texts alone, without a \"query\": leave it out.");
    }
    List<String> documents = documents(fields);
    Texts.requireFew("documents", documents.size(), exchange.limits());
    int top = fields.integer("top_n", 1, Integer.MAX_VALUE, documents.size());
    boolean texts = fields.bool("return_documents", false);
    fields.ignore("user").refuseOthers();
    List<Scores> scores;
    try {
      scores = classifier.score(query, documents);
    } catch (InvalidInputException e) {
      throw HttpFailure.badRequest("documents", e.getMessage() + ".");
    }
    int tokens = documents.stream().mapToInt(text -> classifier.encode(text).length).sum();
    metrics.read(model.name(), tokens);
    List<Integer> order =
        IntStream.range(0, scores.size())
            .boxed()
            .sorted(Comparator.comparingDouble(i -> -logit(scores.get(i))))
            .limit(top)
            .toList();
    exchange.send(
        Json.bytes(
            json -> {
              json.writeStartObject();
              json.writeStringProperty("id", "rerank-" + UUID.randomUUID());
              json.writeStringProperty("model", model.name());
              json.writeName("results");
              json.writeStartArray();
              for (int i : order) {
                json.writeStartObject();
                json.writeNumberProperty("index", i);
                json.writeNumberProperty("relevance_score", probability(scores.get(i)));
                json.writeNumberProperty("logit", logit(scores.get(i)));
                if (texts) {
                  json.writeName("document");
                  json.writeStartObject();
                  json.writeStringProperty("text", documents.get(i));
                  json.writeEndObject();
                }
                json.writeEndObject();
              }
              json.writeEndArray();
              json.writeName("usage");
              json.writeStartObject();
              json.writeNumberProperty("total_tokens", tokens);
              json.writeEndObject();
              json.writeEndObject();
            }));
  }

  private static double logit(Scores scores) {
    return scores.logits().values().iterator().next();
  }

  private static double probability(Scores scores) {
    return scores.probabilities().values().iterator().next();
  }

  /** Returns the documents: texts, or objects with a text. */
  private static List<String> documents(RequestFields fields) {
    JsonNode value = fields.node("documents");
    if (value == null) {
      throw RequestFields.missing("documents");
    }
    List<String> documents = new ArrayList<>();
    for (JsonNode each : value) {
      JsonNode text = each.isObject() ? each.get("text") : each;
      if (text != null && text.isString()) {
        documents.add(text.stringValue());
      }
    }
    if (!value.isArray() || documents.isEmpty() || documents.size() != value.size()) {
      throw HttpFailure.badRequest(
          "documents", "\"documents\" must be a list of texts, or of objects with a \"text\".");
    }
    return documents;
  }
}
