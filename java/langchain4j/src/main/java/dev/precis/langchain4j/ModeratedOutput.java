package dev.precis.langchain4j;

import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.guardrail.OutputGuardrail;
import dev.langchain4j.guardrail.OutputGuardrailResult;

/** Blocks answers that a moderation model flags, before anybody reads them. */
public final class ModeratedOutput implements OutputGuardrail {
  private final PrecisModerationModel model;

  public ModeratedOutput(PrecisModerationModel model) {
    this.model = model;
  }

  @Override
  public OutputGuardrailResult validate(AiMessage message) {
    return message.text() != null && model.flags(message.text())
        ? fatal("The answer was blocked: it is toxic with a probability above the limit.")
        : success();
  }
}
