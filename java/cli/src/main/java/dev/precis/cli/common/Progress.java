package dev.precis.cli.common;

import java.time.Duration;

/**
 * Shows progress in one line on standard error that keeps changing; only on a terminal, elsewhere
 * it says nothing. The line fits 80 columns, and is gone when it is closed.
 */
public final class Progress implements AutoCloseable {
  private static final int WIDTH = 79;
  private static final long INTERVAL_NANOS = 100_000_000;

  private final Terminal terminal;
  private final boolean visible;
  private final long start = System.nanoTime();
  private long shownAt = start - INTERVAL_NANOS;
  private int shownLength;

  public Progress(Terminal terminal, boolean quiet) {
    this.terminal = terminal;
    visible = terminal.errIsTerminal() && !quiet;
  }

  /** Shows a line, unless the last one is younger than a tenth of a second. */
  public void show(String line) {
    long now = System.nanoTime();
    if (visible && now - shownAt >= INTERVAL_NANOS) {
      draw(line.length() > WIDTH ? line.substring(0, WIDTH) : line);
      shownAt = now;
    }
  }

  /** Returns the seconds since the beginning. */
  public double seconds() {
    return (System.nanoTime() - start) / 1e9;
  }

  /** Returns how long the rest takes at the speed so far: "0:41 left". */
  public String left(double doneFraction) {
    if (doneFraction <= 0) {
      return "";
    }
    return clock(seconds() * (1 - doneFraction) / doneFraction) + " left";
  }

  /** Formats seconds as "0:41" or "2:03:00". */
  public static String clock(double seconds) {
    Duration d = Duration.ofSeconds(Math.round(seconds));
    return d.toHours() > 0
        ? "%d:%02d:%02d".formatted(d.toHours(), d.toMinutesPart(), d.toSecondsPart())
        : "%d:%02d".formatted(d.toMinutes(), d.toSecondsPart());
  }

  @Override
  public void close() {
    clear();
  }

  /** Takes the line away, until another one is shown. */
  public void clear() {
    if (shownLength > 0) {
      draw("");
      terminal.err().print("\r");
      terminal.err().flush();
    }
  }

  private void draw(String line) {
    terminal.err().print("\r" + line + " ".repeat(Math.max(0, shownLength - line.length())));
    terminal.err().flush();
    shownLength = line.length();
  }
}
