package dev.precis.io;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import org.slf4j.LoggerFactory;

/**
 * Sentences about input that is usable but not followed to the letter: a setting without effect
 * here, a tensor that nothing reads. Each is said once in a process. Thread-safe.
 */
public final class Notes {
  private static final String LOGGER = "dev.precis";
  private static final int MOST_REMEMBERED = 1000;
  private static final Set<String> SAID = ConcurrentHashMap.newKeySet();

  private static volatile Consumer<String> listener;

  private Notes() {}

  /**
   * Sets the receiver of notes; null, the default, logs them as warnings of the logger {@code
   * dev.precis}.
   */
  public static void listener(Consumer<String> receiver) {
    listener = receiver;
  }

  /** Says a sentence, unless it was said before. Control characters are escaped. */
  public static void say(String sentence) {
    if (SAID.size() < MOST_REMEMBERED && !SAID.add(sentence)) {
      return;
    }
    String shown = Printable.line(sentence);
    Consumer<String> receiver = listener;
    if (receiver != null) {
      receiver.accept(shown);
    } else {
      LoggerFactory.getLogger(LOGGER).warn(shown);
    }
  }

  /** Forgets what was said, for tests. */
  static void forget() {
    SAID.clear();
  }
}
