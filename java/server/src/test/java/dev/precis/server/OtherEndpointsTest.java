package dev.precis.server;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Classifier.Scores;
import dev.precis.server.ServerRun.Answer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Base64;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The endpoints that generate no text. */
class OtherEndpointsTest {
  private static ServerRun run;

  @BeforeAll
  static void start() {
    run = new ServerRun(new ServerOptions());
  }

  @AfterAll
  static void stop() {
    run.close();
  }

  @Test
  void modelsAreListed() throws Exception {
    Answer answer = run.get("/v1/models");
    assertEquals(3, answer.at("/data").size(), answer.body());
    assertEquals("t5-tiny", answer.at("/data/1/parent").asString());
    assertEquals("tuned", run.get("/v1/models/tuned").at("/id").asString());
    assertEquals(404, run.get("/v1/models/none").status());
  }

  @Test
  void moderationsAreTheClassifiersProbabilities() throws Exception {
    List<String> texts = List.of("What a day.", "I am here.");
    List<Scores> expected = run.classifier.score(texts);
    Answer answer =
        run.post(
            "/v1/moderations",
            "{\"model\":\"roberta-tiny\",\"input\":[\"What a day.\",\"I am here.\"]}");
    assertEquals(200, answer.status(), answer.body());
    String flag = run.classifier.labels().getLast();
    for (int i = 0; i < texts.size(); i++) {
      double p = expected.get(i).probabilities().get(flag);
      assertEquals(p, answer.at("/results/" + i + "/category_scores/" + flag).doubleValue(), 1e-6);
      assertEquals(p >= 0.5, answer.at("/results/" + i + "/flagged").booleanValue());
    }
  }

  @Test
  void embeddingsAreMeansOfLengthOne() throws Exception {
    float[] mean =
        run.t5.embedTokens(List.of(run.t5.tokenizer().encode("Hello there")), null).getFirst();
    double length = 0;
    for (float each : mean) {
      length += (double) each * each;
    }
    float[] unit = new float[mean.length];
    for (int i = 0; i < unit.length; i++) {
      unit[i] = (float) (mean[i] / Math.sqrt(length));
    }
    Answer floats =
        run.post("/v1/embeddings", "{\"model\":\"t5-tiny\",\"input\":[\"Bye\",\"Hello there\"]}");
    Answer base64 =
        run.post(
            "/v1/embeddings",
            "{\"model\":\"t5-tiny\",\"input\":\"Hello there\",\"encoding_format\":\"base64\"}");
    float[] found = new float[unit.length];
    for (int i = 0; i < found.length; i++) {
      found[i] = floats.at("/data/1/embedding/" + i).floatValue();
    }
    assertArrayEquals(unit, found, floats.body());
    ByteBuffer.wrap(Base64.getDecoder().decode(base64.at("/data/0/embedding").asString()))
        .order(ByteOrder.LITTLE_ENDIAN)
        .asFloatBuffer()
        .get(found);
    assertArrayEquals(unit, found);
  }

  @Test
  void tokensAreTheTokenizers() throws Exception {
    Answer answer =
        run.post(
            "/v1/tokenize",
            "{\"model\":\"t5-tiny\",\"prompt\":\"Hello there\",\"return_token_strs\":true}");
    int[] expected = run.t5.tokenizer().encode("Hello there");
    assertEquals(expected.length, answer.at("/count").asInt(), answer.body());
    for (int i = 0; i < expected.length; i++) {
      assertEquals(expected[i], answer.at("/tokens/" + i).asInt());
      assertEquals(
          run.t5.tokenizer().idToToken(expected[i]), answer.at("/token_strs/" + i).asString());
    }
  }

  @Test
  void rerankingNeedsOneLogit() throws Exception {
    Answer answer = run.post("/v1/rerank", "{\"query\":\"x\",\"documents\":[\"y\"]}");
    assertEquals(400, answer.status());
    assertTrue(answer.error().contains("one logit"), answer.error());
  }

  @Test
  void healthAndMetricsAreShown() throws Exception {
    assertEquals(200, run.get("/health/live").status());
    assertEquals(200, run.get("/health/ready").status());
    run.post("/v1/completions", "{\"model\":\"t5-tiny\",\"prompt\":\"Hi\",\"max_tokens\":5}");
    Answer answer = run.get("/metrics");
    assertEquals(200, answer.status());
    for (String name :
        List.of(
            "precis_requests_total{endpoint=\"/v1/completions\"",
            "precis_tokens_total{kind=\"generated\",model=\"t5-tiny\"",
            "precis_first_token_seconds_bucket{",
            "precis_token_time_seconds_count{",
            "precis_queue{model=\"t5-tiny\"",
            "precis_batch{model=\"t5-tiny\"",
            "precis_kv_bytes{model=\"t5-tiny\"")) {
      assertTrue(answer.body().contains(name), () -> name + " is not in\n" + answer.body());
    }
  }

  @Test
  void thePageLoadsNothingFromElsewhere() throws Exception {
    Answer page = run.get("/");
    assertEquals(200, page.status());
    String policy = page.response().headers().firstValue("Content-Security-Policy").orElse("");
    assertTrue(policy.startsWith("default-src 'none'; script-src 'self'"), policy);
    for (String path : List.of("/", "/style.css", "/playground.js")) {
      Answer file = run.get(path);
      assertEquals(200, file.status(), path);
      assertFalse(file.body().matches("(?s).*(https?:)?//[a-z]+[.][a-z].*"), path);
      assertEquals(
          "nosniff", file.response().headers().firstValue("X-Content-Type-Options").orElse(""));
    }
  }
}
