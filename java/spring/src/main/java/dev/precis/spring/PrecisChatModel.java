package dev.precis.spring;

import dev.precis.T5;
import dev.precis.generation.Generation;
import dev.precis.generation.GenerationCall;
import dev.precis.generation.GenerationOptions;
import dev.precis.generation.GenerationRequest;
import dev.precis.generation.TokenListener;
import dev.precis.io.InvalidInputException;
import dev.precis.text.PromptTemplate;
import dev.precis.text.TokenStream;
import java.util.List;
import java.util.concurrent.CancellationException;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.messages.MessageType;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.metadata.ChatGenerationMetadata;
import org.springframework.ai.chat.metadata.ChatResponseMetadata;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.chat.prompt.Prompt;
import reactor.core.publisher.Flux;
import reactor.core.publisher.FluxSink;

/**
 * A T5 as Spring AI's chat model: it answers the last user message, put behind the system message
 * if there is one. Earlier turns are left out; media, stop sequences and penalties are refused with
 * an {@link UnsupportedOperationException}. Thread-safe: requests of several threads run in one
 * batch.
 */
public final class PrecisChatModel implements ChatModel {
  private final T5 t5;
  private final PromptTemplate template;
  private final String name;

  /**
   * Makes a model.
   *
   * @param t5 stays the caller's
   * @param template makes a prompt of a message
   */
  public PrecisChatModel(T5 t5, PromptTemplate template) {
    this.t5 = t5;
    this.template = template;
    name = t5.folder().getFileName().toString();
  }

  @Override
  public ChatResponse call(Prompt prompt) {
    int[] source = source(prompt);
    try (GenerationCall call = submit(source, prompt, null)) {
      Generation generation = t5.decode(call.await().getFirst().getFirst());
      return response(
          generation.text(),
          generation.finished() ? "stop" : "length",
          new DefaultUsage(source.length, generation.tokens().length));
    }
  }

  /**
   * {@inheritDoc}
   *
   * <p>The answer comes in pieces, on a virtual thread; the last response has no text, but the
   * reason of the end and the usage. Without a subscriber nothing runs, and one that leaves takes
   * its rows out of the batch.
   */
  @Override
  public Flux<ChatResponse> stream(Prompt prompt) {
    return Flux.create(
        sink -> {
          int[] source = source(prompt);
          TokenStream text = t5.tokenizer().stream(true);
          GenerationCall call =
              submit(
                  source,
                  prompt,
                  (index, sequence, token, logProbability) -> pass(sink, text.append(token)));
          sink.onDispose(call::cancel);
          Thread.ofVirtual()
              .name("precis-stream")
              .start(() -> run(call, text, source.length, sink));
        });
  }

  private void run(
      GenerationCall call, TokenStream text, int sourceTokens, FluxSink<ChatResponse> sink) {
    try (call) {
      Generation generation = t5.decode(call.await().getFirst().getFirst());
      pass(sink, text.finish());
      sink.next(
          response(
              "",
              generation.finished() ? "stop" : "length",
              new DefaultUsage(sourceTokens, generation.tokens().length)));
      sink.complete();
    } catch (CancellationException e) {
      if (!sink.isCancelled()) {
        sink.error(e);
      }
    } catch (Throwable e) {
      sink.error(e);
    }
  }

  private void pass(FluxSink<ChatResponse> sink, String piece) {
    if (!piece.isEmpty()) {
      sink.next(response(piece, null, null));
    }
  }

  private ChatResponse response(String text, String reason, DefaultUsage usage) {
    ChatResponseMetadata.Builder metadata = ChatResponseMetadata.builder().model(name);
    if (usage != null) {
      metadata.usage(usage);
    }
    return new ChatResponse(
        List.of(
            new org.springframework.ai.chat.model.Generation(
                new AssistantMessage(text),
                ChatGenerationMetadata.builder().finishReason(reason).build())),
        metadata.build());
  }

  private GenerationCall submit(int[] source, Prompt prompt, TokenListener onToken) {
    return t5.submit(GenerationRequest.of(source, options(prompt.getOptions())), onToken, null);
  }

  private int[] source(Prompt prompt) {
    String system = null;
    String user = null;
    for (Message message : prompt.getInstructions()) {
      if (message.getMessageType() == MessageType.SYSTEM) {
        system = message.getText();
      } else if (message instanceof UserMessage its) {
        refuse(!its.getMedia().isEmpty(), "reads text, not media");
        user = its.getText();
      } else {
        refuse(message.getMessageType() == MessageType.TOOL, "calls no tools");
      }
    }
    if (user == null) {
      throw new InvalidInputException("The prompt has no user message, which a T5 answers");
    }
    boolean instructed = system != null && !system.isBlank();
    return t5.tokenizer().encode(template.fill(instructed ? system + "\n\n" + user : user));
  }

  private GenerationOptions options(ChatOptions options) {
    GenerationOptions defaults = t5.defaultOptions();
    if (options == null) {
      return defaults;
    }
    refuse(options.getFrequencyPenalty() != null, "has no frequency penalty");
    refuse(options.getPresencePenalty() != null, "has no presence penalty");
    refuse(
        options.getStopSequences() != null && !options.getStopSequences().isEmpty(),
        "has no stop sequences: it ends its texts");
    refuse(
        options.getModel() != null && !options.getModel().equals(name),
        "named %s is not one named %s".formatted(name, options.getModel()));
    GenerationOptions.Builder its = defaults.with();
    if (options.getTemperature() != null) {
      double temperature = options.getTemperature();
      its.sample(temperature > 0).temperature(temperature > 0 ? (float) temperature : 1);
    }
    if (options.getTopP() != null) {
      its.topP(options.getTopP().floatValue());
    }
    if (options.getTopK() != null) {
      its.topK(options.getTopK());
    }
    if (options.getMaxTokens() != null) {
      its.maxNewTokens(options.getMaxTokens());
    }
    return its.build();
  }

  private static void refuse(boolean asked, String sentence) {
    if (asked) {
      throw new UnsupportedOperationException("A T5 " + sentence + ".");
    }
  }
}
