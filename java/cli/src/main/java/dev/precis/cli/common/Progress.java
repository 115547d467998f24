package dev.precis.cli.common;

import java.time.Duration;

/**
 * Shows progress on standard error. On a terminal it is one line that keeps changing, fits 80
 * columns and is gone when it is closed. Elsewhere, as in a log, {@link #step} prints a line at
 * every tenth of the whole, and after 30 seconds without one.
 */
public final class Progress implements AutoCloseable {
  private static final int WIDTH = 79;
  private static final long INTERVAL_NANOS = 100_000_000;
  private static final long LOG_INTERVAL_NANOS = 30_000_000_000L;

  private final Terminal terminal;
  private final boolean quiet;
  private final boolean visible;
  private final long start = System.nanoTime();
  private long shownAt = start - INTERVAL_NANOS;
  private long loggedAt = start;
  private int shownLength;

  public Progress(Terminal terminal, boolean quiet) {
    this.terminal = terminal;
    this.quiet = quiet;
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

  /**
   * Shows a line for a step that is done.
   *
   * @param done steps that are done, this one included
   * @param total all steps
   */
  public void step(long done, long total, String line) {
    show(line);
    long now = System.nanoTime();
    boolean tenth = 10 * done / total > 10 * (done - 1) / total;
    if (!quiet && !visible && (tenth || now - loggedAt >= LOG_INTERVAL_NANOS)) {
      terminal.err().println(line.strip());
      loggedAt = now;
    }
  }

  /** Prints a line that stays, above the one that changes. */
  public void print(String line) {
    if (!quiet) {
      clear();
      terminal.err().println(line);
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
      terminal.redraw("");
    }
  }

  private void draw(String line) {
    terminal.redraw(line + " ".repeat(Math.max(0, shownLength - line.length())));
    shownLength = line.length();
  }
}
