package dev.precis.langchain4j;

import dev.langchain4j.model.chat.StreamingChatModel;
import dev.langchain4j.model.chat.listener.ChatModelListener;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.langchain4j.model.chat.response.PartialResponse;
import dev.langchain4j.model.chat.response.PartialResponseContext;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.chat.response.StreamingHandle;
import dev.precis.T5;
import dev.precis.generation.GenerationCall;
import dev.precis.text.TokenStream;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicReference;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A T5 as a chat model that hands out its answer piece by piece, on a virtual thread of the
 * request; see {@link PrecisChatModel} for what it answers. Thread-safe.
 */
public final class PrecisStreamingChatModel implements StreamingChatModel {
  private static final Logger LOG = LoggerFactory.getLogger(PrecisStreamingChatModel.class);

  private final TextModel model;
  private final List<ChatModelListener> listeners;

  private PrecisStreamingChatModel(TextModel model, List<ChatModelListener> listeners) {
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
    public PrecisStreamingChatModel build() {
      return new PrecisStreamingChatModel(textModel(), listeners);
    }
  }

  /** The way to end an answer early. */
  private static final class Handle implements StreamingHandle {
    private final AtomicReference<GenerationCall> call = new AtomicReference<>();
    private volatile boolean cancelled;

    @Override
    public void cancel() {
      cancelled = true;
      GenerationCall running = call.get();
      if (running != null) {
        running.cancel();
      }
    }

    @Override
    public boolean isCancelled() {
      return cancelled;
    }
  }

  /**
   * {@inheritDoc}
   *
   * <p>What a T5 cannot do is thrown here; what goes wrong later reaches the handler, as does what
   * the handler itself throws, which ends nothing. A cancelled answer ends without another call of
   * the handler.
   */
  @Override
  public void doChat(ChatRequest request, StreamingChatResponseHandler handler) {
    TextModel.Prompt prompt = model.prompt(request);
    TokenStream text = model.t5().tokenizer().stream(true);
    Handle handle = new Handle();
    GenerationCall call;
    try {
      call =
          model.submit(
              prompt,
              (source, sequence, token, logProbability) ->
                  pass(handler, handle, text.append(token)));
    } catch (RuntimeException e) {
      fail(handler, e);
      return;
    }
    handle.call.set(call);
    Thread.ofVirtual().name("precis-stream").start(() -> run(prompt, call, text, handle, handler));
  }

  private void run(
      TextModel.Prompt prompt,
      GenerationCall call,
      TokenStream text,
      Handle handle,
      StreamingChatResponseHandler handler) {
    try (call) {
      var generation = model.await(call);
      pass(handler, handle, text.finish());
      if (!handle.isCancelled()) { // it may have been complete before it was cancelled
        handler.onCompleteResponse(model.response(prompt, generation));
      }
    } catch (CancellationException e) {
      if (!handle.isCancelled()) {
        fail(handler, e);
      }
    } catch (Throwable e) {
      fail(handler, e);
    }
  }

  /** Tells the handler of an error; what it throws then has nowhere to go. */
  private static void fail(StreamingChatResponseHandler handler, Throwable error) {
    try {
      handler.onError(error);
    } catch (RuntimeException e) {
      LOG.warn("A handler of an answer failed as it heard of an error", e);
    }
  }

  private static void pass(StreamingChatResponseHandler handler, Handle handle, String piece) {
    if (piece.isEmpty() || handle.isCancelled()) {
      return;
    }
    try {
      handler.onPartialResponse(new PartialResponse(piece), new PartialResponseContext(handle));
    } catch (RuntimeException e) {
      fail(handler, e);
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
