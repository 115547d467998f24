package dev.precis.langchain4j;

import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.data.message.ChatMessage;
import dev.langchain4j.data.message.SystemMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.exception.RateLimitException;
import dev.langchain4j.exception.UnsupportedFeatureException;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.langchain4j.model.chat.request.DefaultChatRequestParameters;
import dev.langchain4j.model.chat.request.ResponseFormatType;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.output.FinishReason;
import dev.langchain4j.model.output.TokenUsage;
import dev.precis.T5;
import dev.precis.generation.GeneratedTokens;
import dev.precis.generation.Generation;
import dev.precis.generation.GenerationCall;
import dev.precis.generation.GenerationOptions;
import dev.precis.generation.GenerationRequest;
import dev.precis.generation.TokenListener;
import dev.precis.generation.TooManyRequestsException;
import dev.precis.io.InvalidInputException;
import dev.precis.text.PromptTemplate;
import java.util.List;

/**
 * A T5 with a template and options of its own, as all models of text here use it.
 *
 * @param name of the model in responses
 * @param adapter name of an adapter that the T5 keeps; null: its default ones
 */
record TextModel(
    T5 t5, String name, PromptTemplate template, GenerationOptions options, String adapter) {

  /** A prompt's tokens and how they are continued. */
  record Prompt(int[] source, GenerationOptions options) {}

  /**
   * Reads a request: the last user message, after the system message if there is one. A T5 answers
   * one prompt; earlier turns are not part of it.
   */
  Prompt prompt(ChatRequest request) {
    return new Prompt(
        t5.tokenizer().encode(template.fill(text(request.messages()))),
        options(request.parameters()));
  }

  Prompt prompt(String text) {
    return new Prompt(t5.tokenizer().encode(template.fill(text)), options);
  }

  private static String text(List<ChatMessage> messages) {
    String system = null;
    String user = null;
    for (ChatMessage message : messages) {
      switch (message) {
        case SystemMessage its -> system = its.text();
        case UserMessage its -> {
          if (!its.hasSingleText()) {
            throw new UnsupportedFeatureException(
                "A T5 reads one text: a message with an image or another content, or with several"
                    + " texts, is not supported.");
          }
          user = its.singleText();
        }
        case AiMessage answer -> {} // of an earlier turn
        default ->
            throw new UnsupportedFeatureException(
                "A T5 reads system and user messages, not those of type %s."
                    .formatted(message.type()));
      }
    }
    if (user == null) {
      throw new InvalidRequestException("The request has no user message, which a T5 answers.");
    }
    return system == null ? user : system + "\n\n" + user;
  }

  private GenerationOptions options(ChatRequestParameters parameters) {
    refuse(
        parameters.toolChoice() != null,
        "ToolChoice." + parameters.toolChoice(),
        "it calls no tool");
    refuse(!parameters.toolSpecifications().isEmpty(), "a tool", "it calls none");
    refuse(
        parameters.responseFormat() != null
            && parameters.responseFormat().type() != ResponseFormatType.TEXT,
        "JSON response format",
        "it answers in text");
    refuse(!parameters.stopSequences().isEmpty(), "stopSequences", "it ends its texts itself");
    refuse(parameters.frequencyPenalty() != null, "frequencyPenalty", "it has none");
    refuse(parameters.presencePenalty() != null, "presencePenalty", "it has none");
    refuse(
        parameters.modelName() != null && !parameters.modelName().equals(name),
        "modelName " + parameters.modelName(),
        "this one is named " + name);
    try {
      GenerationOptions.Builder its = options.with();
      if (parameters.temperature() != null) {
        // Temperature 0 is the most probable token of each distribution.
        double temperature = parameters.temperature();
        its.sample(temperature > 0);
        its.temperature(temperature > 0 ? (float) temperature : 1);
      }
      if (parameters.topP() != null) {
        its.topP(parameters.topP().floatValue());
      }
      if (parameters.topK() != null) {
        its.topK(parameters.topK());
      }
      if (parameters.maxOutputTokens() != null) {
        its.maxNewTokens(parameters.maxOutputTokens());
      }
      return its.build();
    } catch (InvalidInputException e) {
      throw new InvalidRequestException(e.getMessage(), e);
    }
  }

  private static void refuse(boolean asked, String feature, String reason) {
    if (asked) {
      throw new UnsupportedFeatureException(
          "A T5 does not support %s: %s.".formatted(feature, reason));
    }
  }

  /** Returns the options as a request would have them, which listeners hear of. */
  ChatRequestParameters parameters() {
    DefaultChatRequestParameters.Builder<?> its =
        ChatRequestParameters.builder()
            .modelName(name)
            .maxOutputTokens(options.maxNewTokens())
            .temperature(options.sample() ? decimal(options.temperature()) : 0);
    if (options.sample()) {
      its.topP(decimal(options.topP()));
      its.topK(options.topK());
    }
    return its.build();
  }

  /** Returns the double with the same digits, which a cast does not give. */
  private static double decimal(float value) {
    return Double.parseDouble(Float.toString(value));
  }

  /**
   * Begins to generate, in one batch with the requests of other threads.
   *
   * @param onToken null: none
   */
  GenerationCall submit(Prompt prompt, TokenListener onToken) {
    try {
      return t5.submit(
          GenerationRequest.of(prompt.source(), prompt.options()).withAdapter(adapter),
          onToken,
          null);
    } catch (TooManyRequestsException e) {
      throw new RateLimitException(e.getMessage(), e);
    } catch (InvalidInputException e) {
      throw new InvalidRequestException(e.getMessage(), e);
    }
  }

  /** Waits for the text. */
  Generation await(GenerationCall call) {
    GeneratedTokens tokens = call.await().getFirst().getFirst();
    return t5.decode(tokens);
  }

  static TokenUsage usage(Prompt prompt, Generation generation) {
    return new TokenUsage(prompt.source().length, generation.tokens().length);
  }

  static FinishReason reason(Generation generation) {
    return generation.finished() ? FinishReason.STOP : FinishReason.LENGTH;
  }

  ChatResponse response(Prompt prompt, Generation generation) {
    return ChatResponse.builder()
        .aiMessage(AiMessage.from(generation.text()))
        .modelName(name)
        .tokenUsage(usage(prompt, generation))
        .finishReason(reason(generation))
        .build();
  }
}
