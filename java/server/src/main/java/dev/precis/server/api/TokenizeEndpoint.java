package dev.precis.server.api;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.server.http.Endpoint;
import dev.precis.server.http.Exchange;
import dev.precis.server.http.HttpFailure;
import dev.precis.server.models.ServedModels;
import dev.precis.server.models.ServedModels.Served;

/** {@code POST /v1/tokenize}: the token ids of a text, as a model reads it. */
public final class TokenizeEndpoint implements Endpoint {
  private final ServedModels models;

  /** Makes the endpoint of these models. */
  public TokenizeEndpoint(ServedModels models) {
    this.models = models;
  }

  @Override
  public void handle(Exchange exchange) {
    RequestFields fields = new RequestFields(exchange.json());
    Served model = ModelChoice.any(fields, models);
    String prompt = fields.requiredText("prompt");
    boolean special = fields.bool("add_special_tokens", true);
    boolean texts = fields.bool("return_token_strs", false);
    fields.refuseOthers();
    int most =
        model.generator() != null
            ? exchange.limits().sourceTokens()
            : model.classifier().maxTokens();
    try {
      int[] ids = model.tokenizer().encode(prompt, special);
      exchange.send(
          Json.bytes(
              json -> {
                json.writeStartObject();
                json.writeNumberProperty("count", ids.length);
                json.writeNumberProperty("max_model_len", most);
                json.writeName("tokens");
                json.writeArray(ids, 0, ids.length);
                if (texts) {
                  json.writeName("token_strs");
                  json.writeStartArray();
                  for (int id : ids) {
                    json.writeString(model.tokenizer().idToToken(id));
                  }
                  json.writeEndArray();
                }
                json.writeEndObject();
              }));
    } catch (InvalidInputException e) {
      throw HttpFailure.badRequest("prompt", e.getMessage() + ".");
    }
  }
}
