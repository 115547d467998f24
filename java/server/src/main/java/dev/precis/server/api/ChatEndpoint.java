package dev.precis.server.api;

import dev.precis.generation.GenerationOptions;
import dev.precis.server.http.Endpoint;
import dev.precis.server.http.Exchange;
import dev.precis.server.http.HttpFailure;
import dev.precis.server.metrics.ServerMetrics;
import dev.precis.server.models.ServedModels;
import dev.precis.server.models.ServedModels.Served;
import dev.precis.server.models.TextGenerator;
import dev.precis.text.PromptTemplate;
import java.util.List;
import tools.jackson.databind.JsonNode;

/**
 * {@code POST /v1/chat/completions}: generates for the last user message, filled into a template.
 */
public final class ChatEndpoint implements Endpoint {
  private final ServedModels models;
  private final ServerMetrics metrics;
  private final PromptTemplate template;

  /** Makes the endpoint of these models. */
  public ChatEndpoint(ServedModels models, ServerMetrics metrics, PromptTemplate template) {
    this.models = models;
    this.metrics = metrics;
    this.template = template;
  }

  @Override
  public void handle(Exchange exchange) {
    RequestFields fields = new RequestFields(exchange.json());
    Served model = ModelChoice.generator(fields, models);
    TextGenerator generator = model.generator();
    if (fields.has("max_tokens") && fields.has("max_completion_tokens")) {
      throw HttpFailure.badRequest(
          "max_tokens", "\"max_tokens\" and \"max_completion_tokens\" are mutually exclusive.");
    }
    String maxTokens = fields.has("max_tokens") ? "max_tokens" : "max_completion_tokens";
    DecodingFields decoding =
        DecodingFields.read(fields, generator.options(), exchange.limits(), maxTokens);
    refuseTools(fields);
    boolean logProbabilities = fields.bool("logprobs", false);
    int alternatives = fields.integer("top_logprobs", 0, GenerationOptions.MOST_ALTERNATIVES, 0);
    if (alternatives > 0 && !logProbabilities) {
      throw HttpFailure.badRequest(
          "top_logprobs", "\"top_logprobs\" needs \"logprobs\" to be true.");
    }
    String prompt = new ChatMessages(fields.node("messages")).prompt(template);
    int[] source = new Prompts(generator, exchange.limits(), "messages").encode(prompt, -1);
    TextRequest request =
        TextRequest.read(
            fields,
            model,
            List.of(source),
            decoding,
            logProbabilities ? alternatives : TextRequest.NO_LOG_PROBABILITIES,
            exchange.limits());
    new TextResponse(request, new ChatForm(), metrics).answer(exchange);
  }

  private static void refuseTools(RequestFields fields) {
    String sentence = "is not supported: these models do not call functions.";
    for (String name : List.of("tools", "functions")) {
      fields.neutral(name, value -> value.isArray() && value.isEmpty(), sentence);
    }
    for (String name : List.of("tool_choice", "function_call")) {
      fields.neutral(
          name,
          value ->
              value.isString()
                  && (value.stringValue().equals("none") || value.stringValue().equals("auto")),
          sentence);
    }
    fields.neutral(
        "response_format",
        value -> value.isObject() && isText(value.get("type")),
        "must be text: these models are not held to a format.");
    fields.neutral(
        "modalities",
        value -> value.isArray() && value.size() == 1 && isText(value.get(0)),
        "must be text: these models generate nothing else.");
  }

  private static boolean isText(JsonNode value) {
    return value != null && value.isString() && value.stringValue().equals("text");
  }
}
