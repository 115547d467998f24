package dev.precis.langchain4j;

import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.model.chat.StreamingChatModel;
import dev.langchain4j.model.chat.common.AbstractStreamingChatModelListenerIT;
import dev.langchain4j.model.chat.listener.ChatModelListener;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.precis.T5;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;

/** LangChain4j's tests of what listeners of chat models hear. */
class StreamingChatModelListenerContractTest extends AbstractStreamingChatModelListenerIT {
  private static T5 t5;

  @BeforeAll
  static void load() {
    t5 = ChatContract.load();
  }

  @AfterAll
  static void close() {
    t5.close();
  }

  @Override
  protected StreamingChatModel createModel(ChatModelListener listener) {
    ChatRequestParameters parameters =
        ChatRequestParameters.builder()
            .temperature(temperature())
            .topP(topP())
            .maxOutputTokens(maxTokens())
            .build();
    return ChatContract.with(PrecisStreamingChatModel.builder(t5), parameters)
        .listeners(List.of(listener))
        .build();
  }

  @Override
  protected String modelName() {
    return "t5-tiny";
  }

  @Override
  protected StreamingChatModel createFailingModel(ChatModelListener listener) {
    return PrecisStreamingChatModel.builder(t5)
        .options(ChatContract.refusing())
        .listeners(List.of(listener))
        .build();
  }

  @Override
  protected Class<? extends Exception> expectedExceptionClass() {
    return InvalidRequestException.class;
  }

  @Override
  protected boolean supportsTools() {
    return false;
  }

  @Override
  protected boolean assertResponseId() {
    return false; // a call in the process has no ID
  }

  @Override
  protected boolean assertFinishReason() {
    return false; // a limit of so few tokens is reached
  }
}
