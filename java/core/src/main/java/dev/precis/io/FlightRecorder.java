package dev.precis.io;

/** Tells whether the program's Java has the flight recorder; a reduced one may lack it. */
public final class FlightRecorder {
  /** True if events can be recorded. Where it is false, no class of theirs may be used. */
  public static final boolean PRESENT = ModuleLayer.boot().findModule("jdk.jfr").isPresent();

  private FlightRecorder() {}
}
