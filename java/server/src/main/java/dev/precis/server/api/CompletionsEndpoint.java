package dev.precis.server.api;

import dev.precis.server.http.Endpoint;
import dev.precis.server.http.Exchange;
import dev.precis.server.metrics.ServerMetrics;
import dev.precis.server.models.ServedModels;
import dev.precis.server.models.ServedModels.Served;
import dev.precis.server.models.TextGenerator;
import java.util.List;

/** {@code POST /v1/completions}: generates for whole prompts. */
public final class CompletionsEndpoint implements Endpoint {
  private static final int MOST_ALTERNATIVES = 5; // as in OpenAI's API

  private final ServedModels models;
  private final ServerMetrics metrics;

  /** Makes the endpoint of these models. */
  public CompletionsEndpoint(ServedModels models, ServerMetrics metrics) {
    this.models = models;
    this.metrics = metrics;
  }

  @Override
  public void handle(Exchange exchange) {
    RequestFields fields = new RequestFields(exchange.json());
    Served model = ModelChoice.generator(fields, models);
    TextGenerator generator = model.generator();
    DecodingFields decoding =
        DecodingFields.read(fields, generator.options(), exchange.limits(), "max_tokens");
    fields.neutral(
        "echo",
        value -> value.isBoolean() && !value.booleanValue(),
        "is not supported: the model's text begins behind the prompt.");
    fields.neutral(
        "suffix",
        value -> value.isString() && value.stringValue().isEmpty(),
        "is not supported: the model continues a prompt at its end.");
    int alternatives =
        fields.integer("logprobs", 0, MOST_ALTERNATIVES, TextRequest.NO_LOG_PROBABILITIES);
    List<int[]> sources = new Prompts(generator, exchange.limits(), "prompt").read(fields);
    TextRequest request =
        TextRequest.read(fields, model, sources, decoding, alternatives, exchange.limits());
    new TextResponse(request, new CompletionForm(), metrics).answer(exchange);
  }
}
