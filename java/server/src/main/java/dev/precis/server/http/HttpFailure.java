package dev.precis.server.http;

import dev.precis.io.Json;

/** A request that is refused or fails, as the client is told: one sentence in OpenAI's form. */
public final class HttpFailure extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final int status;
  private final String type;
  private final String code;
  private final String parameter;

  private HttpFailure(int status, String type, String code, String parameter, String sentence) {
    super(sentence);
    this.status = status;
    this.type = type;
    this.code = code;
    this.parameter = parameter;
  }

  /**
   * Returns the failure of a request that is wrong.
   *
   * @param parameter name of the field that is wrong; null: no single one is
   */
  public static HttpFailure badRequest(String parameter, String sentence) {
    return invalid(400, null, parameter, sentence);
  }

  /** Returns the failure of a request with a field that this server does not follow. */
  public static HttpFailure unsupported(String parameter, String sentence) {
    return invalid(400, "unsupported_parameter", parameter, sentence);
  }

  /** Returns the failure of a request for a model that is not served. */
  public static HttpFailure unknownModel(String sentence) {
    return invalid(404, "model_not_found", "model", sentence);
  }

  /**
   * Returns the failure of a request that must be made differently.
   *
   * @param status an HTTP status of 400 or more
   * @param code a word for programs; null: none
   * @param parameter name of the field that is wrong; null: no single one is
   */
  public static HttpFailure invalid(int status, String code, String parameter, String sentence) {
    return new HttpFailure(status, "invalid_request_error", code, parameter, sentence);
  }

  /** Returns the failure of a request while as many as the server allows are waiting. */
  public static HttpFailure tooManyRequests(String sentence) {
    return new HttpFailure(429, "rate_limit_error", "rate_limit_exceeded", null, sentence);
  }

  /**
   * Returns a failure of the server.
   *
   * @param status an HTTP status of 500 or more
   */
  public static HttpFailure ofServer(int status, String code, String sentence) {
    return new HttpFailure(status, "server_error", code, null, sentence);
  }

  /** Returns the HTTP status. */
  public int status() {
    return status;
  }

  /** Returns true if the same request may succeed a little later. */
  public boolean retryable() {
    return status == 429 || status == 503;
  }

  /** Returns the body of the response, a JSON object. */
  public byte[] json() {
    return Json.bytes(
        json -> {
          json.writeStartObject();
          json.writeName("error");
          json.writeStartObject();
          json.writeStringProperty("message", getMessage());
          json.writeStringProperty("type", type);
          json.writeStringProperty("param", parameter);
          json.writeStringProperty("code", code);
          json.writeEndObject();
          json.writeEndObject();
        });
  }
}
