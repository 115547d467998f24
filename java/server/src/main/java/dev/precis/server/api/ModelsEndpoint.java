package dev.precis.server.api;

import dev.precis.io.Json;
import dev.precis.server.http.Endpoint;
import dev.precis.server.http.Exchange;
import dev.precis.server.http.HttpFailure;
import dev.precis.server.models.ServedModels;
import dev.precis.server.models.ServedModels.Served;
import tools.jackson.core.JsonGenerator;

/** {@code GET /v1/models} and {@code GET /v1/models/NAME}: the models that are served. */
public final class ModelsEndpoint implements Endpoint {
  private final ServedModels models;

  /** Makes the endpoint of these models. */
  public ModelsEndpoint(ServedModels models) {
    this.models = models;
  }

  @Override
  public void handle(Exchange exchange) {
    String name = exchange.pathBelow("/v1/models");
    if (!name.isEmpty()) {
      Served model =
          models
              .find(name)
              .orElseThrow(() -> HttpFailure.unknownModel("There is no model of this name here."));
      exchange.send(Json.bytes(json -> write(json, model)));
      return;
    }
    exchange.send(
        Json.bytes(
            json -> {
              json.writeStartObject();
              json.writeStringProperty("object", "list");
              json.writeName("data");
              json.writeStartArray();
              models.all().forEach(model -> write(json, model));
              json.writeEndArray();
              json.writeEndObject();
            }));
  }

  private static void write(JsonGenerator json, Served model) {
    json.writeStartObject();
    json.writeStringProperty("id", model.name());
    json.writeStringProperty("object", "model");
    json.writeNumberProperty("created", model.since().getEpochSecond());
    json.writeStringProperty("owned_by", "precis");
    json.writeStringProperty("kind", model.generator() != null ? "generator" : "classifier");
    if (model.base() != null) {
      json.writeStringProperty("parent", model.base());
    }
    if (model.classifier() != null) {
      json.writeName("labels");
      json.writeStartArray();
      model.classifier().labels().forEach(json::writeString);
      json.writeEndArray();
    }
    json.writeEndObject();
  }
}
