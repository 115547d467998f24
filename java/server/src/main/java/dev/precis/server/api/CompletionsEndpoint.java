package dev.precis.server.api;

import dev.precis.server.http.Endpoint;
import dev.precis.server.http.Exchange;
import dev.precis.server.http.HttpFailure;
import dev.precis.server.metrics.ServerMetrics;
import dev.precis.server.models.ServedModels;
import dev.precis.server.models.ServedModels.Served;
import dev.precis.server.models.TextGenerator;
import java.util.List;
import tools.jackson.databind.JsonNode;

/** {@code POST /v1/completions}: generates for whole prompts. */
public final class CompletionsEndpoint implements Endpoint {
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
    boolean logProbabilities = logProbabilities(fields);
    List<int[]> sources = new Prompts(generator, exchange.limits(), "prompt").read(fields);
    TextRequest request =
        TextRequest.read(fields, model, sources, decoding, logProbabilities, exchange.limits());
    new TextResponse(request, new CompletionForm(), metrics).answer(exchange);
  }

  /** Reads {@code logprobs}, the number of alternatives beside each token that was chosen. */
  private static boolean logProbabilities(RequestFields fields) {
    JsonNode value = fields.node("logprobs");
    if (value == null) {
      return false;
    }
    if (!value.isIntegralNumber() || value.intValue() != 0) {
      throw HttpFailure.unsupported(
          "logprobs",
          "\"logprobs\" must be 0 here, which gives those of the chosen tokens: alternatives are"
              + " not kept.");
    }
    return true;
  }
}
