package dev.precis.langchain4j;

import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.common.AbstractChatModelIT;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.precis.T5;
import java.util.List;
import org.junit.jupiter.api.AfterAll;

/** LangChain4j's tests of chat models, those left out that docs/langchain4j.md lists. */
class ChatModelContractTest extends AbstractChatModelIT {
  private final T5 t5 = ChatContract.load();

  @AfterAll
  void close() {
    t5.close();
  }

  @Override
  protected List<ChatModel> models() {
    return List.of(createModelWith(ChatRequestParameters.builder().build()));
  }

  @Override
  protected ChatModel createModelWith(ChatRequestParameters parameters) {
    return ChatContract.with(PrecisChatModel.builder(t5), parameters).build();
  }

  @Override
  protected ChatRequestParameters createIntegrationSpecificParameters(int maxOutputTokens) {
    return ChatRequestParameters.builder().maxOutputTokens(maxOutputTokens).build();
  }

  // They ask for knowledge of the world, for a translation and for an earlier turn.

  @Override
  protected void should_respect_user_message(ChatModel model) {}

  @Override
  protected void should_respect_system_message(ChatModel model) {}

  @Override
  protected void should_respect_multiple_messages(ChatModel model) {}

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
