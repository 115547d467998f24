package dev.precis.generation;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** An event of the flight recorder: sources were encoded together. */
@Name("dev.precis.Encoding")
@Label("Encoding")
@Description("One run of the encoder, and the cross-attention's keys and values of its sources")
@Category("Précis")
@StackTrace(false)
final class EncodingEvent extends Event {
  private static final EncodingEvent PROBE = new EncodingEvent();

  @Label("Sources")
  int sources;

  @Label("Source Tokens")
  int tokens;

  /** Returns an event that has begun; null where nobody records it. */
  static EncodingEvent start() {
    if (!PROBE.isEnabled()) {
      return null;
    }
    EncodingEvent event = new EncodingEvent();
    event.begin();
    return event;
  }
}
