package dev.precis.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.langchain4j.data.embedding.Embedding;
import dev.langchain4j.data.message.SystemMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.data.segment.TextSegment;
import dev.langchain4j.exception.AuthenticationException;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.exception.ModelNotFoundException;
import dev.langchain4j.http.client.jdk.JdkHttpClient;
import dev.langchain4j.model.StreamingResponseHandler;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.moderation.Moderation;
import dev.langchain4j.model.openai.OpenAiChatModel;
import dev.langchain4j.model.openai.OpenAiEmbeddingModel;
import dev.langchain4j.model.openai.OpenAiLanguageModel;
import dev.langchain4j.model.openai.OpenAiModerationModel;
import dev.langchain4j.model.openai.OpenAiStreamingChatModel;
import dev.langchain4j.model.openai.OpenAiStreamingLanguageModel;
import dev.langchain4j.model.output.FinishReason;
import dev.langchain4j.model.output.Response;
import dev.precis.server.http.ApiKey;
import java.net.http.HttpClient;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** LangChain4j's client of OpenAI's API, as it is. */
class LangChain4jClientTest {
  private static final String KEY = "a-key-of-more-than-16-characters";

  private static ServerRun run;

  @BeforeAll
  static void start() {
    run = new ServerRun(new ServerOptions().key(ApiKey.of(KEY, "test")));
  }

  @AfterAll
  static void stop() {
    run.close();
  }

  private static String base() {
    return run.server.address() + "v1";
  }

  private static OpenAiChatModel.OpenAiChatModelBuilder chat() {
    return OpenAiChatModel.builder()
        .baseUrl(base())
        .apiKey(KEY)
        .modelName("t5-tiny")
        .maxCompletionTokens(8)
        .maxRetries(0);
  }

  private static String library(String prompt) {
    return run.t5.generate(prompt, run.t5.defaultOptions().with().maxNewTokens(8).build()).text();
  }

  @ParameterizedTest
  @EnumSource(HttpClient.Version.class)
  void chats(HttpClient.Version version) {
    OpenAiChatModel model =
        chat()
            .httpClientBuilder(
                JdkHttpClient.builder().httpClientBuilder(HttpClient.newBuilder().version(version)))
            .build();
    ChatResponse response = model.chat(UserMessage.from("Hello"));
    assertEquals(library("Hello"), response.aiMessage().text());
    assertEquals(FinishReason.LENGTH, response.finishReason());
    assertEquals(8, response.tokenUsage().outputTokenCount());
    assertEquals("t5-tiny", response.modelName());
  }

  @Test
  void sampledChatsRepeatWithTheirSeed() {
    OpenAiChatModel model = chat().temperature(1.5).topP(0.9).seed(7).build();
    assertEquals(model.chat("Hello"), model.chat("Hello"));
  }

  @Test
  void streamedChats() throws Exception {
    OpenAiStreamingChatModel model =
        OpenAiStreamingChatModel.builder()
            .baseUrl(base())
            .apiKey(KEY)
            .modelName("t5-tiny")
            .maxCompletionTokens(8)
            .build();
    StringBuilder parts = new StringBuilder();
    CompletableFuture<ChatResponse> whole = new CompletableFuture<>();
    model.chat(
        ChatRequest.builder().messages(UserMessage.from("Hello")).build(),
        new StreamingChatResponseHandler() {
          @Override
          public void onPartialResponse(String part) {
            parts.append(part);
          }

          @Override
          public void onCompleteResponse(ChatResponse response) {
            whole.complete(response);
          }

          @Override
          public void onError(Throwable error) {
            whole.completeExceptionally(error);
          }
        });
    ChatResponse response = whole.get(60, TimeUnit.SECONDS);
    assertEquals(library("Hello"), parts.toString());
    assertEquals(library("Hello"), response.aiMessage().text());
    assertEquals(8, response.tokenUsage().outputTokenCount());
  }

  @Test
  void completions() throws Exception {
    OpenAiLanguageModel model =
        OpenAiLanguageModel.builder()
            .baseUrl(base())
            .apiKey(KEY)
            .modelName("t5-tiny")
            .maxRetries(0)
            .build();
    Response<String> response = model.generate("Hello");
    assertEquals(run.t5.generate("Hello").text(), response.content());
    assertTrue(response.tokenUsage().outputTokenCount() > 0);

    StringBuilder parts = new StringBuilder();
    CompletableFuture<Response<String>> whole = new CompletableFuture<>();
    OpenAiStreamingLanguageModel.builder()
        .baseUrl(base())
        .apiKey(KEY)
        .modelName("t5-tiny")
        .build()
        .generate(
            "Hello",
            new StreamingResponseHandler<String>() {
              @Override
              public void onNext(String part) {
                parts.append(part);
              }

              @Override
              public void onComplete(Response<String> response) {
                whole.complete(response);
              }

              @Override
              public void onError(Throwable error) {
                whole.completeExceptionally(error);
              }
            });
    assertEquals(response.content(), whole.get(60, TimeUnit.SECONDS).content());
    assertEquals(response.content(), parts.toString());
  }

  @Test
  void embeddings() {
    List<Embedding> found =
        OpenAiEmbeddingModel.builder()
            .baseUrl(base())
            .apiKey(KEY)
            .modelName("t5-tiny")
            .maxRetries(0)
            .build()
            .embedAll(List.of(TextSegment.from("one"), TextSegment.from("two")))
            .content();
    assertEquals(2, found.size());
    assertEquals(run.t5.config().dModel(), found.getLast().dimension());
  }

  @Test
  void moderations() {
    OpenAiModerationModel model =
        OpenAiModerationModel.builder()
            .baseUrl(base())
            .apiKey(KEY)
            .modelName("roberta-tiny")
            .maxRetries(0)
            .build();
    Moderation moderation = model.moderate("Hello").content();
    double hate = run.classifier.score(List.of("Hello")).getFirst().probabilities().get("hate");
    assertEquals(hate >= 0.5, moderation.flagged());
  }

  @Test
  void failuresAreTheClientsOwn() {
    assertThrows(
        AuthenticationException.class,
        () -> chat().apiKey("another-key-of-16-characters").build().chat("Hello"));
    assertThrows(
        ModelNotFoundException.class, () -> chat().modelName("none").build().chat("Hello"));
    InvalidRequestException refused =
        assertThrows(
            InvalidRequestException.class,
            () -> chat().frequencyPenalty(1.0).build().chat("Hello"));
    assertTrue(refused.getMessage().contains("frequency_penalty"), refused.getMessage());
  }

  @Test
  void systemMessagesStandBeforeThePrompt() {
    assertEquals(
        library("Be short.\n\nHello"),
        chat()
            .build()
            .chat(SystemMessage.from("Be short."), UserMessage.from("Hello"))
            .aiMessage()
            .text());
  }
}
