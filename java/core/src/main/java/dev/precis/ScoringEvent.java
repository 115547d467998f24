package dev.precis;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** An event of the flight recorder: a classifier scored texts together. */
@Name("dev.precis.Scoring")
@Label("Scoring")
@Description("One batch of a classifier")
@Category("Précis")
@StackTrace(false)
final class ScoringEvent extends Event {
  private static final ScoringEvent PROBE = new ScoringEvent();

  @Label("Texts")
  int texts;

  @Label("Tokens")
  int tokens;

  /** Returns an event that has begun; null where nobody records it. */
  static ScoringEvent start() {
    if (!PROBE.isEnabled()) {
      return null;
    }
    ScoringEvent event = new ScoringEvent();
    event.begin();
    return event;
  }
}
