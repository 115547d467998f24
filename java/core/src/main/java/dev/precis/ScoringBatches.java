package dev.precis;

import dev.precis.io.FlightRecorder;
import dev.precis.io.PendingCall;
import dev.precis.text.Encoding;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.function.Function;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;

/**
 * Scores the texts of many calls in batches. Each call's texts come in the order of their lengths;
 * the calls take turns, so that one with many texts holds up none with a few.
 */
final class ScoringBatches {
  /** A call's texts. */
  final class Call {
    private final List<Encoding> texts;
    private final int[] order;
    private final IntConsumer progress;
    private final float[][] logits;
    private final PendingCall<List<float[]>> pending;
    private volatile boolean cancelled;
    private int next;

    private Call(List<Encoding> texts, IntConsumer progress) {
      this.texts = texts;
      this.progress = progress;
      logits = new float[texts.size()][];
      pending = new PendingCall<>("Scoring", () -> cancelled = true);
      order =
          IntStream.range(0, texts.size())
              .boxed()
              .sorted(Comparator.comparingInt(i -> texts.get(i).length()))
              .mapToInt(Integer::intValue)
              .toArray();
    }

    /** Waits for the logits of each text, in order, and reports progress on this thread. */
    List<float[]> await() {
      return pending.await();
    }

    private boolean hasNext() {
      return next < order.length;
    }

    private Encoding nextText() {
      return texts.get(order[next]);
    }
  }

  /** A text of a batch. */
  private record Text(Call call, int index) {}

  private final Function<List<Encoding>, List<float[]>> model;
  private final int mostTokens;
  private final List<Call> calls = new ArrayList<>();

  /**
   * Makes it for a model.
   *
   * @param model computes the logits of a batch of texts
   * @param mostTokens of a batch; a longer text is a batch of its own
   */
  ScoringBatches(Function<List<Encoding>, List<float[]>> model, int mostTokens) {
    this.model = model;
    this.mostTokens = mostTokens;
  }

  /**
   * Makes a call, which {@link #add} takes over.
   *
   * @param progress receives the number of texts that are done
   */
  Call call(List<Encoding> texts, IntConsumer progress) {
    return new Call(texts, progress);
  }

  /** Adds a call; on the model's thread. */
  void add(Call call) {
    if (call.hasNext()) {
      calls.add(call);
    } else {
      call.pending.complete(List.of());
    }
  }

  /** Scores one batch and returns whether there are others; on the model's thread. */
  boolean step() {
    for (Call each : List.copyOf(calls)) {
      if (each.cancelled) {
        end(each, new CancellationException("Scoring was cancelled."));
      }
    }
    List<Text> batch = nextBatch();
    if (!batch.isEmpty()) {
      score(batch);
    }
    return !calls.isEmpty();
  }

  private void end(Call call, Throwable reason) {
    calls.remove(call);
    call.pending.fail(reason);
  }

  private List<Text> nextBatch() {
    List<Text> batch = new ArrayList<>();
    int tokens = 0;
    boolean more = true;
    while (more) {
      more = false;
      for (Call each : calls) {
        if (each.hasNext()
            && (batch.isEmpty() || tokens + each.nextText().length() <= mostTokens)) {
          tokens += each.nextText().length();
          batch.add(new Text(each, each.order[each.next++]));
          more = true;
        }
      }
    }
    if (!calls.isEmpty()) {
      calls.add(calls.removeFirst()); // the next one begins the next batch
    }
    return batch;
  }

  private void score(List<Text> batch) {
    List<Call> of = batch.stream().map(Text::call).distinct().toList();
    List<Encoding> texts = batch.stream().map(each -> each.call.texts.get(each.index)).toList();
    ScoringEvent event = FlightRecorder.PRESENT ? ScoringEvent.start() : null;
    List<float[]> logits;
    try {
      logits = model.apply(texts);
    } catch (RuntimeException | Error e) {
      of.forEach(each -> end(each, e));
      return;
    }
    if (event != null) {
      event.texts = texts.size();
      event.tokens = texts.stream().mapToInt(Encoding::length).sum();
      event.commit();
    }
    for (int i = 0; i < batch.size(); i++) {
      batch.get(i).call.logits[batch.get(i).index] = logits.get(i);
    }
    for (Call each : of) {
      int done = each.next;
      each.pending.callback(() -> each.progress.accept(done));
      if (!each.hasNext()) {
        calls.remove(each);
        each.pending.complete(List.of(each.logits));
      }
    }
  }
}
