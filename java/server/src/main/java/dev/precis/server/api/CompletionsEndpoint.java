package dev.precis.server.api;

import dev.precis.generation.GeneratedTokens;
import dev.precis.io.Json;
import dev.precis.server.http.Endpoint;
import dev.precis.server.http.Exchange;
import dev.precis.server.http.HttpFailure;
import dev.precis.server.models.ServedModels;
import dev.precis.server.models.ServedModels.Served;
import dev.precis.server.models.TextGenerator;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

/** {@code POST /v1/completions}: generates for whole prompts. */
public final class CompletionsEndpoint implements Endpoint {
  private final ServedModels models;

  /** Makes the endpoint of these models. */
  public CompletionsEndpoint(ServedModels models) {
    this.models = models;
  }

  @Override
  public void handle(Exchange exchange) {
    RequestFields fields = new RequestFields(exchange.json());
    fields.ignore("user");
    Served model = ModelChoice.generator(fields, models);
    TextGenerator generator = model.generator();
    DecodingFields decoding =
        DecodingFields.read(fields, generator.options(), exchange.limits(), "max_tokens");
    List<int[]> sources = new Prompts(generator, exchange.limits(), "prompt").read(fields);
    fields.refuseOthers();
    int n = decoding.options().numReturnSequences();
    if (sources.size() * n > exchange.limits().sequences()) {
      throw HttpFailure.badRequest(
          "n",
          "%d prompts with an n of %d are more than %d results."
              .formatted(sources.size(), n, exchange.limits().sequences()));
    }
    List<ResultText> texts = new ArrayList<>();
    List<Boolean> finished = new ArrayList<>();
    for (List<GeneratedTokens> results : generator.generate(sources, decoding.options())) {
      for (GeneratedTokens result : results) {
        ResultText text = new ResultText(generator.tokenizer().stream(true), decoding.stops());
        for (int token : result.tokens()) {
          text.add(token, 0, generator.isEnd(token));
        }
        text.finish();
        texts.add(text);
        finished.add(result.finished() || text.stopped());
      }
    }
    exchange.send(json(model, sources, texts, finished));
  }

  private static byte[] json(
      Served model, List<int[]> sources, List<ResultText> texts, List<Boolean> finished) {
    return Json.bytes(
        json -> {
          json.writeStartObject();
          json.writeStringProperty("id", "cmpl-" + UUID.randomUUID());
          json.writeStringProperty("object", "text_completion");
          json.writeNumberProperty("created", Instant.now().getEpochSecond());
          json.writeStringProperty("model", model.name());
          json.writeName("choices");
          json.writeStartArray();
          for (int i = 0; i < texts.size(); i++) {
            json.writeStartObject();
            json.writeNumberProperty("index", i);
            json.writeStringProperty("text", texts.get(i).text());
            json.writeNullProperty("logprobs");
            json.writeStringProperty("finish_reason", finished.get(i) ? "stop" : "length");
            json.writeEndObject();
          }
          json.writeEndArray();
          int prompt = sources.stream().mapToInt(source -> source.length).sum();
          new Usage(prompt, texts.stream().mapToInt(ResultText::count).sum()).write(json);
          json.writeEndObject();
        });
  }
}
