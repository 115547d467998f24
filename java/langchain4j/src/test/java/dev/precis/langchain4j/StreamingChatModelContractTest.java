package dev.precis.langchain4j;

import dev.langchain4j.model.chat.StreamingChatModel;
import dev.langchain4j.model.chat.common.AbstractStreamingChatModelIT;
import dev.langchain4j.model.chat.listener.ChatModelListener;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.precis.T5;
import java.util.List;
import org.junit.jupiter.api.AfterAll;

/** LangChain4j's tests of streaming chat models, those left out that docs/langchain4j.md lists. */
class StreamingChatModelContractTest extends AbstractStreamingChatModelIT {
  private final T5 t5 = ChatContract.load();

  @AfterAll
  void close() {
    t5.close();
  }

  @Override
  protected List<StreamingChatModel> models() {
    return List.of(createModelWith(ChatRequestParameters.builder().build()));
  }

  @Override
  protected StreamingChatModel createModelWith(ChatRequestParameters parameters) {
    return ChatContract.with(PrecisStreamingChatModel.builder(t5), parameters).build();
  }

  @Override
  public StreamingChatModel createModelWith(ChatModelListener listener) {
    return PrecisStreamingChatModel.builder(t5)
        .options(ChatContract.knowing(t5))
        .listeners(List.of(listener))
        .build();
  }

  @Override
  protected ChatRequestParameters createIntegrationSpecificParameters(int maxOutputTokens) {
    return ChatRequestParameters.builder().maxOutputTokens(maxOutputTokens).build();
  }

  // They ask for knowledge of the world, for a translation and for an earlier turn.

  @Override
  protected void should_respect_user_message(StreamingChatModel model) {}

  @Override
  protected void should_respect_system_message(StreamingChatModel model) {}

  @Override
  protected void should_respect_multiple_messages(StreamingChatModel model) {}

  @Override
  protected boolean supportsDefaultRequestParameters() {
    return false;
  }

  @Override
  protected boolean supportsModelNameParameter() {
    return false;
  }

  @Override
  protected boolean supportsStopSequencesParameter() {
    return false;
  }

  @Override
  protected boolean supportsStreamingCancellation() {
    return false; // the test waits half a minute; LangChain4jTest cancels an answer too
  }

  @Override
  protected boolean supportsTools() {
    return false;
  }

  @Override
  protected boolean supportsToolChoiceRequired() {
    return false;
  }

  @Override
  protected boolean supportsToolChoiceRequiredWithSingleTool() {
    return false;
  }

  @Override
  protected boolean supportsToolChoiceRequiredWithMultipleTools() {
    return false;
  }

  @Override
  protected boolean supportsJsonResponseFormat() {
    return false;
  }

  @Override
  protected boolean supportsJsonResponseFormatWithSchema() {
    return false;
  }

  @Override
  protected boolean supportsJsonResponseFormatWithRawSchema() {
    return false;
  }

  @Override
  protected boolean supportsToolsAndJsonResponseFormatWithSchema() {
    return false;
  }

  @Override
  protected boolean supportsSingleImageInputAsBase64EncodedString() {
    return false;
  }

  @Override
  protected boolean supportsMultipleImageInputsAsBase64EncodedStrings() {
    return false;
  }

  @Override
  protected boolean supportsSingleImageInputAsPublicURL() {
    return false;
  }

  @Override
  protected boolean supportsMultipleImageInputsAsPublicURLs() {
    return false;
  }

  @Override
  protected boolean assertResponseId() {
    return false; // a call in the process has no ID
  }
}
