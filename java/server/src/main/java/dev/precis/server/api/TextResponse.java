package dev.precis.server.api;

import dev.precis.generation.GeneratedTokens;
import dev.precis.generation.TokenListener;
import dev.precis.io.Json;
import dev.precis.server.http.EventStream;
import dev.precis.server.http.Exchange;
import dev.precis.server.metrics.ServerMetrics;
import dev.precis.server.models.TextGenerator;
import dev.precis.text.Tokenizer;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
import java.util.function.Consumer;
import java.util.function.IntFunction;
import tools.jackson.core.JsonGenerator;

/** Runs a request for text and answers it, whole or as a stream. One thread uses it, once. */
final class TextResponse {
  private final TextRequest request;
  private final ResponseForm form;
  private final ServerMetrics metrics;
  private final String id;
  private final long created = Instant.now().getEpochSecond();
  private final List<Result> results = new ArrayList<>();
  private EventStream events; // null: the response is sent whole
  private int unfinished;

  /** A result as it grows. */
  private final class Result {
    private final int index;
    private final ResultText text;
    private int reported; // tokens whose log-probabilities were sent
    private String reason; // null: it is not finished

    Result(int index, ResultText text) {
      this.index = index;
      this.text = text;
    }
  }

  /** Thrown by a listener when stop texts have ended all results, which ends the work on them. */
  private static final class CompleteException extends RuntimeException {
    private static final long serialVersionUID = 1;

    CompleteException() {
      super(null, null, false, false);
    }
  }

  TextResponse(TextRequest request, ResponseForm form, ServerMetrics metrics) {
    this.request = request;
    this.form = form;
    this.metrics = metrics;
    id = form.idPrefix() + UUID.randomUUID();
    TextGenerator generator = request.model().generator();
    int count = request.sources().size() * perSource();
    for (int i = 0; i < count; i++) {
      results.add(
          new Result(
              i, new ResultText(generator.tokenizer().stream(true), request.decoding().stops())));
    }
    unfinished = count;
  }

  private int perSource() {
    return request.decoding().options().numReturnSequences();
  }

  private Result result(int source, int sequence) {
    return results.get(source * perSource() + sequence);
  }

  /** Generates and answers. */
  void answer(Exchange exchange) {
    ServerMetrics.Generation measured =
        metrics.generation(request.model().name(), promptTokens(), results.size());
    if (request.streams()) {
      events = exchange.events();
      if (form.announces()) {
        results.forEach(result -> sendPiece(result, "", true));
      }
    }
    try {
      request
          .model()
          .generator()
          .generate(
              request.sources(),
              request.decoding().options(),
              new TokenListener() {
                @Override
                public void token(int source, int sequence, int token, float logProbability) {
                  measured.token();
                  take(result(source, sequence), token, logProbability);
                }

                @Override
                public void alternatives(
                    int source, int sequence, int[] tokens, float[] logProbabilities) {
                  Tokenizer tokenizer = request.model().generator().tokenizer();
                  // A vocabulary's padding has no name.
                  IntFunction<String> name =
                      id -> Objects.requireNonNullElse(tokenizer.idToToken(id), "");
                  result(source, sequence).text.alternatives(tokens, logProbabilities, name);
                }
              },
              this::finish);
    } catch (CompleteException e) {
      // A stop text has ended every result.
    } finally {
      measured.end(results.stream().mapToInt(result -> result.text.count()).sum());
    }
    if (events == null) {
      exchange.send(whole());
      return;
    }
    if (request.usage()) {
      events.send(document(form.pieceObject(), json -> {}, true));
    }
    events.end();
  }

  private void take(Result result, int token, float logProbability) {
    if (result.reason != null) {
      return;
    }
    boolean ends = request.model().generator().isEnd(token);
    String piece = result.text.add(token, logProbability, ends);
    if (!piece.isEmpty() && events != null) {
      sendPiece(result, piece, false);
    }
    if (result.text.stopped()) {
      finish(result, true);
      if (unfinished == 0) {
        throw new CompleteException();
      }
    }
  }

  /** Takes the results of a source, when all of them are complete. */
  private void finish(int source, List<GeneratedTokens> of) {
    for (int i = 0; i < of.size(); i++) {
      Result result = results.get(source * perSource() + i);
      GeneratedTokens tokens = of.get(i);
      if (result.text.count() == 0) {
        // Beams are not heard of before they are complete.
        for (int token : tokens.tokens()) {
          take(result, token, 0);
        }
      }
      if (result.reason == null) {
        finish(result, tokens.finished());
      }
    }
  }

  private void finish(Result result, boolean ended) {
    String rest = result.text.finish();
    result.reason = ended || result.text.stopped() ? "stop" : "length";
    if (events != null) {
      sendPiece(result, rest, false);
    }
    unfinished--;
  }

  private void sendPiece(Result result, String piece, boolean first) {
    List<ResultText.Token> tokens = result.text.tokens();
    int to = result.reason != null ? tokens.size() : result.text.certain();
    List<ResultText.Token> news =
        new ArrayList<>(tokens.subList(Math.min(result.reported, to), to));
    result.reported = Math.max(result.reported, to);
    events.send(
        document(
            form.pieceObject(),
            json ->
                choice(
                    json,
                    result,
                    news,
                    () -> form.writePiece(json, piece, first),
                    request.logProbabilities() && !first),
            false));
  }

  private byte[] whole() {
    return document(
        form.object(),
        json -> {
          for (Result result : results) {
            choice(
                json,
                result,
                result.text.tokens(),
                () -> form.writeText(json, result.text.text()),
                request.logProbabilities());
          }
        },
        true);
  }

  private void choice(
      JsonGenerator json,
      Result result,
      List<ResultText.Token> tokens,
      Runnable text,
      boolean logProbabilities) {
    json.writeStartObject();
    json.writeNumberProperty("index", result.index);
    text.run();
    if (logProbabilities) {
      json.writeName("logprobs");
      form.writeLogProbabilities(json, tokens);
    } else {
      json.writeNullProperty("logprobs");
    }
    json.writeStringProperty("finish_reason", result.reason);
    json.writeEndObject();
  }

  private byte[] document(String object, Consumer<JsonGenerator> choices, boolean usage) {
    return Json.bytes(
        json -> {
          json.writeStartObject();
          json.writeStringProperty("id", id);
          json.writeStringProperty("object", object);
          json.writeNumberProperty("created", created);
          json.writeStringProperty("model", request.model().name());
          json.writeName("choices");
          json.writeStartArray();
          choices.accept(json);
          json.writeEndArray();
          if (usage) {
            int generated = results.stream().mapToInt(result -> result.text.count()).sum();
            new Usage(promptTokens(), generated).write(json);
          }
          json.writeEndObject();
        });
  }

  private int promptTokens() {
    return request.sources().stream().mapToInt(source -> source.length).sum();
  }
}
