package dev.precis.server.api;

import dev.precis.io.Json;
import dev.precis.server.http.Endpoint;
import dev.precis.server.http.Exchange;
import dev.precis.server.http.HttpFailure;
import dev.precis.server.metrics.ServerMetrics;
import dev.precis.server.models.ServedModels;
import dev.precis.server.models.ServedModels.Served;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Base64;
import java.util.List;
import tools.jackson.core.JsonGenerator;

/**
 * {@code POST /v1/embeddings}: the mean of the encoder's last states, scaled to length 1 as
 * OpenAI's vectors are.
 */
public final class EmbeddingsEndpoint implements Endpoint {
  private final ServedModels models;
  private final ServerMetrics metrics;

  /** Makes the endpoint of these models. */
  public EmbeddingsEndpoint(ServedModels models, ServerMetrics metrics) {
    this.models = models;
    this.metrics = metrics;
  }

  @Override
  public void handle(Exchange exchange) {
    RequestFields fields = new RequestFields(exchange.json());
    fields.ignore("user");
    Served model = ModelChoice.generator(fields, models);
    String format = fields.text("encoding_format");
    if (format != null && !format.equals("float") && !format.equals("base64")) {
      throw HttpFailure.badRequest(
          "encoding_format", "\"encoding_format\" must be float or base64.");
    }
    int size = model.generator().embeddingSize();
    fields.neutral(
        "dimensions",
        value -> value.isIntegralNumber() && value.intValue() == size,
        "must be %d, the size of this model's states, or left out.".formatted(size));
    List<int[]> sources = new Prompts(model.generator(), exchange.limits(), "input").read(fields);
    fields.refuseOthers();
    List<float[]> vectors = model.generator().embed(sources);
    int tokens = sources.stream().mapToInt(source -> source.length).sum();
    metrics.read(model.name(), tokens);
    exchange.send(json(model, vectors, "base64".equals(format), tokens));
  }

  private static byte[] json(Served model, List<float[]> vectors, boolean base64, int tokens) {
    return Json.bytes(
        json -> {
          json.writeStartObject();
          json.writeStringProperty("object", "list");
          json.writeStringProperty("model", model.name());
          json.writeName("data");
          json.writeStartArray();
          for (int i = 0; i < vectors.size(); i++) {
            json.writeStartObject();
            json.writeStringProperty("object", "embedding");
            json.writeNumberProperty("index", i);
            json.writeName("embedding");
            write(json, unit(vectors.get(i)), base64);
            json.writeEndObject();
          }
          json.writeEndArray();
          json.writeName("usage");
          json.writeStartObject();
          json.writeNumberProperty("prompt_tokens", tokens);
          json.writeNumberProperty("total_tokens", tokens);
          json.writeEndObject();
          json.writeEndObject();
        });
  }

  private static void write(JsonGenerator json, float[] vector, boolean base64) {
    if (base64) {
      ByteBuffer bytes =
          ByteBuffer.allocate(vector.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
      bytes.asFloatBuffer().put(vector);
      json.writeString(Base64.getEncoder().encodeToString(bytes.array()));
      return;
    }
    json.writeStartArray();
    for (float each : vector) {
      json.writeNumber(each);
    }
    json.writeEndArray();
  }

  private static float[] unit(float[] vector) {
    double squares = 0;
    for (float each : vector) {
      squares += (double) each * each;
    }
    double length = Math.sqrt(squares);
    float[] unit = new float[vector.length];
    for (int i = 0; i < unit.length; i++) {
      unit[i] = length == 0 ? 0 : (float) (vector[i] / length);
    }
    return unit;
  }
}
