package dev.precis.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.server.ServerRun.Answer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** {@code POST /v1/completions}, by the JDK's client. */
class CompletionsTest {
  private static ServerRun run;

  @BeforeAll
  static void start() {
    run = new ServerRun(ServerOptions.DEFAULT);
  }

  @AfterAll
  static void stop() {
    run.close();
  }

  @Test
  void aPromptIsCompletedAsByTheLibrary() throws Exception {
    String expected =
        run.models.find("t5-tiny").orElseThrow().generator().tokenizer().decode(tokens(), true);
    Answer answer =
        run.post("/v1/completions", "{\"model\":\"t5-tiny\",\"prompt\":\"Hi!\",\"max_tokens\":9}");
    assertEquals(200, answer.status(), answer.response().body());
    assertEquals("text_completion", answer.json().at("/object").asString());
    assertEquals(expected, answer.json().at("/choices/0/text").asString());
    assertEquals(9, answer.json().at("/usage/completion_tokens").asInt());
    assertTrue(!expected.isBlank());
  }

  private static int[] tokens() {
    var generator = run.models.find("t5-tiny").orElseThrow().generator();
    return generator
        .generate(
            java.util.List.of(generator.tokenizer().encode("Hi!")),
            generator.options().with().maxNewTokens(9).build())
        .getFirst()
        .getFirst()
        .tokens();
  }

  @Test
  void unknownFieldsAreRefusedByName() throws Exception {
    Answer answer = run.post("/v1/completions", "{\"prompt\":\"Hi\",\"grammar\":\"x\"}");
    assertEquals(400, answer.status());
    assertEquals("grammar", answer.json().at("/error/param").asString());
  }
}
