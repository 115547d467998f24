package dev.precis.cli.report;

/**
 * A curve that reports show.
 *
 * @param key in metrics.jsonl
 * @param mayBeLogarithmic whether it has a log axis where its values are far apart
 */
public record Curve(String key, String title, boolean mayBeLogarithmic) {
  static Curve of(String key, String title) {
    return new Curve(key, title, false);
  }

  /** Returns a curve whose values can be orders of magnitude apart. */
  static Curve wide(String key, String title) {
    return new Curve(key, title, true);
  }
}
