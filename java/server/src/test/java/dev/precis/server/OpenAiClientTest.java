package dev.precis.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.core.http.StreamResponse;
import com.openai.errors.BadRequestException;
import com.openai.errors.NotFoundException;
import com.openai.errors.UnauthorizedException;
import com.openai.models.chat.completions.ChatCompletion;
import com.openai.models.chat.completions.ChatCompletionChunk;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.chat.completions.ChatCompletionStreamOptions;
import com.openai.models.chat.completions.ChatCompletionTokenLogprob;
import com.openai.models.completions.Completion;
import com.openai.models.completions.CompletionChoice;
import com.openai.models.completions.CompletionCreateParams;
import com.openai.models.embeddings.CreateEmbeddingResponse;
import com.openai.models.embeddings.EmbeddingCreateParams;
import com.openai.models.models.Model;
import com.openai.models.moderations.Moderation;
import com.openai.models.moderations.ModerationCreateParams;
import dev.precis.server.http.ApiKey;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The official client for Java, as it is. */
class OpenAiClientTest {
  private static final String KEY = "a-key-of-more-than-16-characters";

  private static ServerRun run;
  private static OpenAIClient client;

  @BeforeAll
  static void start() {
    run = new ServerRun(new ServerOptions().key(ApiKey.of(KEY, "test")));
    client = client(KEY);
  }

  private static OpenAIClient client(String key) {
    return OpenAIOkHttpClient.builder()
        .baseUrl(run.server.address() + "v1")
        .apiKey(key)
        .maxRetries(0)
        .build();
  }

  @AfterAll
  static void stop() {
    client.close();
    run.close();
  }

  private static String library(String prompt, int tokens) {
    return run.t5
        .generate(prompt, run.t5.defaultOptions().with().maxNewTokens(tokens).build())
        .text();
  }

  @Test
  void completions() {
    Completion completion =
        client
            .completions()
            .create(
                CompletionCreateParams.builder()
                    .model("t5-tiny")
                    .prompt("Hello")
                    .maxTokens(8)
                    .logprobs(2)
                    .build());
    assertEquals(library("Hello", 8), completion.choices().getFirst().text());
    assertTrue(completion.usage().orElseThrow().completionTokens() > 0);
    CompletionChoice.Logprobs found = completion.choices().getFirst().logprobs().orElseThrow();
    int tokens = found.tokenLogprobs().orElseThrow().size();
    assertTrue(tokens > 3);
    assertEquals(tokens, found.topLogprobs().orElseThrow().size());
  }

  @Test
  void alternativesOfChats() {
    ChatCompletion chat =
        client
            .chat()
            .completions()
            .create(
                ChatCompletionCreateParams.builder()
                    .model("t5-tiny")
                    .addUserMessage("Hello")
                    .maxCompletionTokens(4)
                    .logprobs(true)
                    .topLogprobs(7)
                    .build());
    List<ChatCompletionTokenLogprob> tokens =
        chat.choices().getFirst().logprobs().orElseThrow().content().orElseThrow();
    assertTrue(tokens.size() >= 3);
    for (ChatCompletionTokenLogprob each : tokens) {
      assertEquals(7, each.topLogprobs().size());
      assertEquals(each.logprob(), each.topLogprobs().getFirst().logprob(), 1e-5);
    }
  }

  @Test
  void chats() {
    ChatCompletionCreateParams.Builder params =
        ChatCompletionCreateParams.builder()
            .model("t5-tiny")
            .addUserMessage("Hello")
            .maxCompletionTokens(8);
    ChatCompletion chat = client.chat().completions().create(params.build());
    assertEquals(library("Hello", 8), chat.choices().getFirst().message().content().orElseThrow());
    params.streamOptions(ChatCompletionStreamOptions.builder().includeUsage(true).build());
    StringBuilder text = new StringBuilder();
    AtomicLong tokens = new AtomicLong();
    try (StreamResponse<ChatCompletionChunk> stream =
        client.chat().completions().createStreaming(params.build())) {
      stream.stream()
          .forEach(
              chunk -> {
                chunk.choices().forEach(choice -> choice.delta().content().ifPresent(text::append));
                chunk.usage().ifPresent(usage -> tokens.set(usage.completionTokens()));
              });
    }
    assertEquals(library("Hello", 8), text.toString());
    assertEquals(chat.usage().orElseThrow().completionTokens(), tokens.get());
  }

  @Test
  void embeddings() {
    CreateEmbeddingResponse response =
        client
            .embeddings()
            .create(
                EmbeddingCreateParams.builder()
                    .model("t5-tiny")
                    .inputOfArrayOfStrings(List.of("one", "two"))
                    .build());
    assertEquals(2, response.data().size());
    assertEquals(run.t5.config().dModel(), response.data().getLast().embedding().size());
  }

  @Test
  void moderations() {
    Moderation moderation =
        client
            .moderations()
            .create(ModerationCreateParams.builder().model("roberta-tiny").input("Hello").build())
            .results()
            .getFirst();
    Map<String, Double> expected =
        run.classifier.score(List.of("Hello")).getFirst().probabilities();
    assertEquals(expected.get("hate") >= 0.5, moderation.flagged());
    assertEquals(expected.get("hate"), moderation.categoryScores().hate(), 1e-6);
    assertEquals(
        expected.get("nothate"),
        moderation.categoryScores()._additionalProperties().get("nothate").convert(Double.class),
        1e-6);
  }

  @Test
  void models() {
    List<String> ids = client.models().list().data().stream().map(Model::id).toList();
    assertEquals(List.of("t5-tiny", "tuned", "roberta-tiny"), ids);
    assertEquals("tuned", client.models().retrieve("tuned").id());
  }

  @Test
  void failuresAreTheClientsOwn() {
    CompletionCreateParams.Builder params =
        CompletionCreateParams.builder().model("t5-tiny").prompt("Hello").maxTokens(8);
    BadRequestException refused =
        assertThrows(
            BadRequestException.class,
            () -> client.completions().create(params.frequencyPenalty(1).build()));
    assertEquals("frequency_penalty", refused.param().orElseThrow());
    assertThrows(
        NotFoundException.class, () -> client.completions().create(params.model("none").build()));
    OpenAIClient stranger = client("another-key-of-16-characters");
    assertThrows(UnauthorizedException.class, () -> stranger.models().list());
    stranger.close();
  }
}
