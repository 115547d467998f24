package dev.precis.langchain4j;

import dev.langchain4j.data.message.Content;
import dev.langchain4j.data.message.TextContent;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.guardrail.InputGuardrail;
import dev.langchain4j.guardrail.InputGuardrailResult;

/** Blocks user messages that a moderation model flags, before any model reads them. */
public final class ModeratedInput implements InputGuardrail {
  private final PrecisModerationModel model;

  public ModeratedInput(PrecisModerationModel model) {
    this.model = model;
  }

  @Override
  public InputGuardrailResult validate(UserMessage message) {
    for (Content content : message.contents()) {
      if (content instanceof TextContent text && model.flags(text.text())) {
        return fatal("The message was blocked: it is toxic with a probability above the limit.");
      }
    }
    return success();
  }
}
