package dev.precis.langchain4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.langchain4j.agent.tool.ToolSpecification;
import dev.langchain4j.data.image.Image;
import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.data.message.ImageContent;
import dev.langchain4j.data.message.SystemMessage;
import dev.langchain4j.data.message.TextContent;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.data.segment.TextSegment;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.exception.UnsupportedFeatureException;
import dev.langchain4j.guardrail.InputGuardrailException;
import dev.langchain4j.guardrail.OutputGuardrailException;
import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.listener.ChatModelListener;
import dev.langchain4j.model.chat.listener.ChatModelResponseContext;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ResponseFormat;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.PartialResponse;
import dev.langchain4j.model.chat.response.PartialResponseContext;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.output.FinishReason;
import dev.langchain4j.model.output.Response;
import dev.langchain4j.service.AiServices;
import dev.langchain4j.store.embedding.EmbeddingSearchRequest;
import dev.langchain4j.store.embedding.inmemory.InMemoryEmbeddingStore;
import dev.precis.Classifier;
import dev.precis.T5;
import dev.precis.generation.Generation;
import dev.precis.generation.GenerationOptions;
import dev.precis.io.InvalidInputException;
import dev.precis.tensor.DType;
import dev.precis.text.PromptTemplate;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class LangChain4jTest {
  private static final Path FIXTURES = Path.of("../core/src/test/resources/fixtures");
  private static final String TEXT = "Tom: The battery is dead.\nAnn: I will bring a new one.";
  private static final GenerationOptions SHORT =
      GenerationOptions.builder().maxNewTokens(12).build();

  private static T5 t5;
  private static Classifier classifier;

  @BeforeAll
  static void load() {
    t5 = T5.load(FIXTURES.resolve("t5-tiny"), new T5.LoadOptions().dtype(DType.FLOAT32).threads(2));
    classifier = Classifier.load(FIXTURES.resolve("roberta-tiny"));
  }

  @AfterAll
  static void close() {
    t5.close();
    classifier.close();
  }

  private static Generation expected(String prompt, GenerationOptions options) {
    return t5.generate(prompt, options);
  }

  private static PrecisChatModel chat() {
    return PrecisChatModel.builder(t5).options(SHORT).build();
  }

  @Test
  void itAnswersTheLastUserMessage() {
    ChatResponse response =
        chat()
            .chat(UserMessage.from("before"), AiMessage.from("an answer"), UserMessage.from(TEXT));
    Generation want = expected(TEXT, SHORT);
    assertEquals(want.text(), response.aiMessage().text());
    assertEquals("t5-tiny", response.modelName());
    assertEquals(
        want.finished() ? FinishReason.STOP : FinishReason.LENGTH, response.finishReason());
    assertEquals(want.tokens().length, response.tokenUsage().outputTokenCount());
    assertEquals(t5.tokenizer().encode(TEXT).length, response.tokenUsage().inputTokenCount());
  }

  @Test
  void theSystemMessageAndTheTemplateAreReadToo() {
    ChatModel model =
        PrecisChatModel.builder(t5)
            .name("summaries")
            .options(SHORT)
            .template(PromptTemplate.DEFAULT)
            .build();
    ChatResponse response = model.chat(SystemMessage.from("Be brief."), UserMessage.from(TEXT));
    assertEquals("summaries", response.modelName());
    assertEquals(
        expected(PromptTemplate.DEFAULT.fill("Be brief.\n\n" + TEXT), SHORT).text(),
        response.aiMessage().text());
  }

  @Test
  void aRequestHasParametersOfItsOwn() {
    ChatRequest request =
        ChatRequest.builder()
            .messages(UserMessage.from(TEXT))
            .temperature(0.7)
            .topK(20)
            .topP(0.9)
            .maxOutputTokens(6)
            .build();
    GenerationOptions sampled =
        SHORT.with().sample(true).temperature(0.7f).topK(20).topP(0.9f).maxNewTokens(6).build();
    assertEquals(expected(TEXT, sampled).text(), chat().chat(request).aiMessage().text());
    ChatRequest greedy =
        ChatRequest.builder().messages(UserMessage.from(TEXT)).temperature(0.0).build();
    assertEquals(expected(TEXT, SHORT).text(), chat().chat(greedy).aiMessage().text());
  }

  @Test
  void whatAT5CannotDoIsRefusedByName() {
    refused("a tool", r -> r.toolSpecifications(ToolSpecification.builder().name("t").build()));
    refused("JSON", r -> r.responseFormat(ResponseFormat.JSON));
    refused("stopSequences", r -> r.stopSequences(List.of("x")));
    refused("frequencyPenalty", r -> r.frequencyPenalty(1.0));
    refused("presencePenalty", r -> r.presencePenalty(1.0));
    refused("modelName other", r -> r.modelName("other"));
    refused(
        "text",
        r ->
            r.messages(
                UserMessage.from(
                    TextContent.from("look"),
                    ImageContent.from(Image.builder().url("https://example.org/a.png").build()))));
    assertThrows(InvalidRequestException.class, () -> chat().chat(SystemMessage.from("Be brief.")));
    String said =
        assertThrows(
                InvalidRequestException.class,
                () ->
                    chat()
                        .chat(
                            ChatRequest.builder()
                                .messages(UserMessage.from(TEXT))
                                .topP(7.0)
                                .build()))
            .getMessage();
    assertTrue(said.contains("top-p"), said);
  }

  private static void refused(String part, UnaryOperator<ChatRequest.Builder> change) {
    ChatRequest request =
        change.apply(ChatRequest.builder().messages(UserMessage.from(TEXT))).build();
    String said =
        assertThrows(UnsupportedFeatureException.class, () -> chat().chat(request)).getMessage();
    assertTrue(said.contains(part), said);
  }

  private static class Collected implements StreamingChatResponseHandler {
    final List<String> pieces = new ArrayList<>();
    final CompletableFuture<ChatResponse> response = new CompletableFuture<>();

    @Override
    public void onPartialResponse(String piece) {
      pieces.add(piece);
    }

    @Override
    public void onCompleteResponse(ChatResponse complete) {
      response.complete(complete);
    }

    @Override
    public void onError(Throwable error) {
      response.completeExceptionally(error);
    }
  }

  @Test
  void theStreamedPiecesAreTheWholeText() throws Exception {
    PrecisStreamingChatModel model = PrecisStreamingChatModel.builder(t5).options(SHORT).build();
    List<Collected> all = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      all.add(new Collected());
      model.chat(TEXT + i, all.getLast());
    }
    for (int i = 0; i < 4; i++) {
      String want = expected(TEXT + i, SHORT).text();
      ChatResponse response = all.get(i).response.get(60, TimeUnit.SECONDS);
      assertEquals(want, response.aiMessage().text());
      assertEquals(want, String.join("", all.get(i).pieces));
      assertTrue(all.get(i).pieces.size() > 1);
    }
  }

  @Test
  void aStreamThatIsCancelledEnds() throws Exception {
    GenerationOptions endless = SHORT.with().maxNewTokens(4000).minNewTokens(4000).build();
    PrecisStreamingChatModel model = PrecisStreamingChatModel.builder(t5).options(endless).build();
    CountDownLatch cancelled = new CountDownLatch(1);
    Collected collected =
        new Collected() {
          @Override
          public void onPartialResponse(PartialResponse piece, PartialResponseContext context) {
            context.streamingHandle().cancel();
            cancelled.countDown();
          }
        };
    model.chat(TEXT, collected);
    assertTrue(cancelled.await(60, TimeUnit.SECONDS));
    long start = System.nanoTime();
    assertEquals(expected(TEXT, SHORT).text(), chat().chat(TEXT));
    assertTrue(System.nanoTime() - start < TimeUnit.SECONDS.toNanos(30), "its rows were kept");
    assertFalse(collected.response.isDone());
  }

  @Test
  void listenersHearOfResponses() {
    List<String> heard = new ArrayList<>();
    ChatModelListener listener =
        new ChatModelListener() {
          @Override
          public void onResponse(ChatModelResponseContext context) {
            heard.add(context.chatResponse().aiMessage().text());
          }
        };
    PrecisChatModel model =
        PrecisChatModel.builder(t5).options(SHORT).listeners(List.of(listener)).build();
    assertEquals(List.of(model.chat(TEXT)), heard);
  }

  @Test
  void aLanguageModel() {
    Response<String> response =
        PrecisLanguageModel.builder(t5).options(SHORT).build().generate(TEXT);
    assertEquals(expected(TEXT, SHORT).text(), response.content());
    assertEquals(12, response.tokenUsage().outputTokenCount());
    assertEquals(FinishReason.LENGTH, response.finishReason());
  }

  @Test
  void moderationIsTheClassifiersProbability() {
    String rude = "Shut up, you stupid fool, that is disgusting nonsense.";
    double p = classifier.score(List.of(rude)).getFirst().probabilities().get("hate");
    PrecisModerationModel below = new PrecisModerationModel(classifier, List.of("hate"), p - 1e-6);
    PrecisModerationModel above = new PrecisModerationModel(classifier, List.of("hate"), p + 1e-6);
    assertEquals(rude, below.moderate(rude).content().flaggedText());
    assertTrue(below.moderate(UserMessage.from(rude)).content().flagged());
    assertFalse(above.moderate(rude).content().flagged());
    assertThrows(
        InvalidInputException.class,
        () -> new PrecisModerationModel(classifier, List.of("rude"), 0.5));
    assertThrows(
        InvalidInputException.class,
        () -> new PrecisModerationModel(classifier, List.of("hate"), 2));
  }

  @Test
  void scoresAreTheLabelsLogits() {
    PrecisScoringModel model = new PrecisScoringModel(classifier, "nothate", "{query} [{text}]");
    List<Double> scores =
        model
            .scoreAll(
                List.of(TextSegment.from("a {query}"), TextSegment.from("Thank you.")), "Kind?")
            .content();
    assertEquals(
        classifier.score(List.of("Kind? [a {query}]", "Kind? [Thank you.]")).stream()
            .map(each -> each.logits().get("nothate"))
            .toList(),
        scores);
    assertThrows(
        InvalidInputException.class, () -> new PrecisScoringModel(classifier, null, "{text}"));
    assertThrows(
        InvalidInputException.class, () -> new PrecisScoringModel(classifier, "hate", "{query}"));
  }

  /** The dialogue that is nearest to a question grounds the answer. */
  @Test
  void retrievalGroundsAnAnswer() {
    PrecisEmbeddingModel model = new PrecisEmbeddingModel(t5, null);
    List<TextSegment> documents =
        List.of(
            TextSegment.from("Tom: The battery of my radio is dead."),
            TextSegment.from("Ann: We need two dozen rolls from the baker."),
            TextSegment.from("Kim: My flight to Rome leaves at noon."));
    InMemoryEmbeddingStore<TextSegment> store = new InMemoryEmbeddingStore<>();
    store.addAll(model.embedAll(documents).content(), documents);
    assertEquals(model.dimension(), model.embed("Hello.").content().dimension());
    String question = "Kim: My flight to Rome leaves at noon!";
    TextSegment found =
        store
            .search(
                EmbeddingSearchRequest.builder()
                    .queryEmbedding(model.embed(question).content())
                    .maxResults(1)
                    .build())
            .matches()
            .getFirst()
            .embedded();
    assertEquals(documents.get(2), found);
    String prompt = found.text() + "\n\n" + question;
    assertEquals(expected(prompt, SHORT).text(), chat().chat(prompt));
  }

  private interface Assistant {
    String answer(String text);
  }

  @Test
  void guardrailsBlockWhatIsFlagged() {
    PrecisModerationModel all = new PrecisModerationModel(classifier, List.of("hate"), 0);
    PrecisModerationModel none = new PrecisModerationModel(classifier, List.of("hate"), 1);
    Assistant open = assistant(none, none);
    assertEquals(expected(TEXT, SHORT).text(), open.answer(TEXT));
    assertThrows(InputGuardrailException.class, () -> assistant(all, none).answer(TEXT));
    assertThrows(OutputGuardrailException.class, () -> assistant(none, all).answer(TEXT));
  }

  private static Assistant assistant(PrecisModerationModel input, PrecisModerationModel output) {
    return AiServices.builder(Assistant.class)
        .chatModel(chat())
        .inputGuardrails(new ModeratedInput(input))
        .outputGuardrails(new ModeratedOutput(output))
        .build();
  }
}
