package dev.precis.spring;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Classifier;
import dev.precis.T5;
import dev.precis.generation.Generation;
import dev.precis.io.InvalidInputException;
import dev.precis.text.PromptTemplate;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.SystemMessage;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.document.Document;
import org.springframework.ai.embedding.EmbeddingModel;
import org.springframework.ai.moderation.ModerationModel;
import org.springframework.ai.moderation.ModerationPrompt;
import org.springframework.ai.moderation.ModerationResult;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import reactor.core.publisher.Flux;

class PrecisAutoConfigurationTest {
  private static final Path FIXTURES = Path.of("../core/src/test/resources/fixtures");
  private static final String TEXT = "Tom: The battery is dead.\nAnn: I will bring a new one.";
  private static final ChatOptions SHORT = ChatOptions.builder().maxTokens(12).build();

  private final ApplicationContextRunner context =
      new ApplicationContextRunner()
          .withConfiguration(AutoConfigurations.of(PrecisAutoConfiguration.class))
          .withPropertyValues("precis.threads=2");

  private ApplicationContextRunner withModel() {
    return context.withPropertyValues("precis.model=" + FIXTURES.resolve("t5-tiny"));
  }

  private static Generation expected(T5 t5, String prompt) {
    return t5.generate(prompt, t5.defaultOptions().with().maxNewTokens(12).build());
  }

  @Test
  void withoutPropertiesThereIsNothing() {
    context.run(
        its -> {
          assertTrue(its.getBeansOfType(T5.class).isEmpty());
          assertTrue(its.getBeansOfType(ChatModel.class).isEmpty());
          assertTrue(its.getBeansOfType(ModerationModel.class).isEmpty());
        });
  }

  @Test
  void aModelAnswersTheLastUserMessage() {
    withModel()
        .run(
            its -> {
              T5 t5 = its.getBean(T5.class);
              ChatResponse response =
                  its.getBean(ChatModel.class)
                      .call(
                          new Prompt(
                              List.of(
                                  new SystemMessage("Be brief."),
                                  new UserMessage("before"),
                                  new AssistantMessage("an answer"),
                                  new UserMessage(TEXT)),
                              SHORT));
              Generation want = expected(t5, "Be brief.\n\n" + TEXT);
              assertEquals(want.text(), response.getResult().getOutput().getText());
              assertEquals("length", response.getResult().getMetadata().getFinishReason());
              assertEquals("t5-tiny", response.getMetadata().getModel());
              assertEquals(12, response.getMetadata().getUsage().getCompletionTokens());
            });
  }

  @Test
  void theTemplateIsAProperty() {
    withModel()
        .withPropertyValues("precis.template=Sum up: {dialogue}")
        .run(
            its ->
                assertEquals(
                    expected(its.getBean(T5.class), "Sum up: " + TEXT).text(),
                    its.getBean(ChatModel.class)
                        .call(new Prompt(TEXT, SHORT))
                        .getResult()
                        .getOutput()
                        .getText()));
  }

  @Test
  void aStreamIsTheWholeText() {
    withModel()
        .run(
            its -> {
              List<ChatResponse> pieces =
                  its.getBean(ChatModel.class).stream(new Prompt(TEXT, SHORT))
                      .collectList()
                      .block();
              StringBuilder text = new StringBuilder();
              pieces.forEach(piece -> text.append(piece.getResult().getOutput().getText()));
              assertEquals(expected(its.getBean(T5.class), TEXT).text(), text.toString());
              assertTrue(pieces.size() > 2);
              assertEquals("length", pieces.getLast().getResult().getMetadata().getFinishReason());
            });
  }

  @Test
  void whoeverLeavesAStreamTakesItsRowsOut() {
    withModel()
        .run(
            its -> {
              T5 t5 = its.getBean(T5.class);
              Flux<ChatResponse> endless =
                  its.getBean(ChatModel.class).stream(
                      new Prompt(TEXT, ChatOptions.builder().maxTokens(100_000).build()));
              assertEquals(2, endless.take(2).collectList().block().size());
              assertEquals(12, expected(t5, TEXT).tokens().length);
            });
  }

  @Test
  void whatAT5CannotDoIsRefusedByName() {
    withModel()
        .run(
            its -> {
              ChatModel model = its.getBean(ChatModel.class);
              refused(model, "frequency", ChatOptions.builder().frequencyPenalty(1.0).build());
              refused(model, "presence", ChatOptions.builder().presencePenalty(1.0).build());
              refused(model, "stop", ChatOptions.builder().stopSequences(List.of("x")).build());
              refused(model, "named other", ChatOptions.builder().model("other").build());
              assertThrows(
                  InvalidInputException.class,
                  () -> model.call(new Prompt(new SystemMessage("Be brief."))));
              assertThrows(
                  InvalidInputException.class,
                  () -> model.call(new Prompt(TEXT, ChatOptions.builder().topP(7.0).build())));
            });
  }

  private static void refused(ChatModel model, String part, ChatOptions options) {
    String said =
        assertThrows(
                UnsupportedOperationException.class, () -> model.call(new Prompt(TEXT, options)))
            .getMessage();
    assertTrue(said.contains(part), said);
  }

  @Test
  void textsAreRepresentedByTheEncoder() {
    withModel()
        .run(
            its -> {
              T5 t5 = its.getBean(T5.class);
              EmbeddingModel model = its.getBean(EmbeddingModel.class);
              float[] got = model.embed(TEXT);
              float[] want = t5.embedTokens(List.of(t5.tokenizer().encode(TEXT)), null).getFirst();
              assertEquals(model.dimensions(), got.length);
              double length = 0;
              for (float each : want) {
                length += (double) each * each;
              }
              for (int i = 0; i < want.length; i++) {
                assertEquals(want[i] / Math.sqrt(length), got[i], 1e-6);
              }
              assertEquals(2, model.embed(List.of(TEXT, "Hello.")).size());
              assertArrayEquals(got, model.embed(new Document(TEXT)));
            });
  }

  @Test
  void aClassifierModerates() {
    context
        .withPropertyValues("precis.classifier=" + FIXTURES.resolve("roberta-tiny"))
        .run(
            its -> {
              double hate =
                  its.getBean(Classifier.class)
                      .score(List.of(TEXT))
                      .getFirst()
                      .probabilities()
                      .get("hate");
              ModerationResult result =
                  its.getBean(ModerationModel.class)
                      .call(new ModerationPrompt(TEXT))
                      .getResult()
                      .getOutput()
                      .getResults()
                      .getFirst();
              assertEquals(hate, result.getCategoryScores().getHate());
              assertEquals(hate > 0.5, result.isFlagged());
              assertEquals(hate > 0.5, result.getCategories().isHate());
              assertFalse(result.getCategories().isViolence());
            });
  }

  @Test
  void badPropertiesAreASentence() {
    failed("precis.model=/nowhere/at/all", "/nowhere/at/all");
    failed("precis.threshold=2", "precis.threshold must be 0 to 1");
    failed("precis.unwanted-labels=rude", "which are: nothate, hate");
  }

  private void failed(String property, String part) {
    context
        .withPropertyValues("precis.classifier=" + FIXTURES.resolve("roberta-tiny"), property)
        .run(
            its -> {
              Throwable cause = its.getStartupFailure();
              while (cause.getCause() != null) {
                cause = cause.getCause();
              }
              assertTrue(cause.getMessage().contains(part), cause.toString());
            });
  }

  @Test
  void aBeanOfTheApplicationTakesItsPlace() {
    withModel()
        .withBean(
            "own",
            ChatModel.class,
            () ->
                new ChatModel() {
                  @Override
                  public ChatResponse call(Prompt prompt) {
                    throw new UnsupportedOperationException();
                  }
                })
        .run(its -> assertEquals(1, its.getBeansOfType(ChatModel.class).size()));
  }

  /** The T5 is the context's: it is closed with it. */
  @Test
  void theModelIsClosedWithTheContext() {
    T5[] kept = new T5[1];
    withModel().run(its -> kept[0] = its.getBean(T5.class));
    assertThrows(
        IllegalStateException.class, () -> kept[0].generate(PromptTemplate.DEFAULT.fill(TEXT)));
  }
}
