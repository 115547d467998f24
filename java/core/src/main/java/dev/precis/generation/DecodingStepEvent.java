package dev.precis.generation;

import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import jdk.jfr.Timespan;

/** An event of the flight recorder: each sequence of a batch got a token, or more by drafts. */
@Name("dev.precis.DecodingStep")
@Label("Decoding Step")
@Description(
    "One token for each sequence of the batch, or more where drafts are accepted; the steps of a"
        + " beam search are not recorded")
@Category("Précis")
@StackTrace(false)
final class DecodingStepEvent extends Event {
  private static final DecodingStepEvent PROBE = new DecodingStepEvent();

  @Label("Batch Size")
  @Description("Sequences, of all requests together")
  int rows;

  @Label("Draft Tokens")
  @Description("Tokens of drafts that were verified: rows beside those of the sequences")
  int drafted;

  @Label("Tokens")
  @Description("Tokens that were generated, of all sequences together")
  int tokens;

  @Label("Requests")
  int requests;

  @Label("Waiting Requests")
  int waiting;

  @Label("Cache Size")
  @Description("Bytes of the keys and values")
  @DataAmount
  long cacheBytes;

  @Label("Kernel Time")
  @Description("From the call of the first operation to the end of the last one")
  @Timespan
  long kernelTime;

  /** Returns an event that has begun; null where nobody records it. */
  static DecodingStepEvent start() {
    if (!PROBE.isEnabled()) {
      return null;
    }
    DecodingStepEvent event = new DecodingStepEvent();
    event.begin();
    return event;
  }
}
