package dev.precis.langchain4j;

import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.listener.ChatModelListener;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.precis.T5;
import dev.precis.generation.GenerationCall;
import java.util.List;

/**
 * A T5 as a chat model: it answers the last user message, put behind the system message if there is
 * one. Earlier turns, tools, images and JSON are not for a T5: turns are left out, the others are
 * refused. Thread-safe; requests of several threads run in one batch.
 */
public final class PrecisChatModel implements ChatModel {
  private final TextModel model;
  private final List<ChatModelListener> listeners;

  private PrecisChatModel(TextModel model, List<ChatModelListener> listeners) {
    this.model = model;
    this.listeners = listeners;
  }

  /** Returns a builder of a model on a T5, which stays the caller's. */
  public static Builder builder(T5 t5) {
    return new Builder(t5);
  }

  /** Collects the options. */
  public static final class Builder extends TextModelBuilder<Builder> {
    private List<ChatModelListener> listeners = List.of();

    private Builder(T5 t5) {
      super(t5);
    }

    /** Sets who hears of requests, responses and errors. */
    public Builder listeners(List<ChatModelListener> listeners) {
      this.listeners = List.copyOf(listeners);
      return this;
    }

    /** Returns the model. */
    public PrecisChatModel build() {
      return new PrecisChatModel(textModel(), listeners);
    }
  }

  @Override
  public ChatResponse doChat(ChatRequest request) {
    TextModel.Prompt prompt = model.prompt(request);
    try (GenerationCall call = model.submit(prompt, null)) {
      return model.response(prompt, model.await(call));
    }
  }

  @Override
  public ChatRequestParameters defaultRequestParameters() {
    return model.parameters();
  }

  @Override
  public List<ChatModelListener> listeners() {
    return listeners;
  }
}
