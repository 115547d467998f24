package dev.precis.cli.common;

import java.util.List;
import sun.misc.Signal;

/**
 * While open, SIGINT, SIGTERM and SIGHUP let the current work finish in order before the process
 * ends, with 128 + the number of the signal. A second signal ends the process at once.
 */
public final class GracefulShutdown implements AutoCloseable {
  private static final List<String> SIGNALS = List.of("INT", "TERM", "HUP");

  private static volatile boolean inProgress;

  private final Thread hook;

  /**
   * Installs the shutdown hook, which waits for the calling thread.
   *
   * @param stop asks the work to end
   */
  public GracefulShutdown(Runnable stop) {
    Thread working = Thread.currentThread();
    hook =
        new Thread(
            () -> {
              inProgress = true;
              SIGNALS.forEach(GracefulShutdown::endAtOnceOn);
              stop.run();
              try {
                working.join();
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
            });
    Runtime.getRuntime().addShutdownHook(hook);
  }

  /**
   * Returns whether the process is ending on a signal. The thread that works must then return:
   * System.exit would wait for the hook, which waits for that thread.
   */
  public static boolean inProgress() {
    return inProgress;
  }

  private static void endAtOnceOn(String signal) {
    try {
      Signal.handle(
          new Signal(signal), second -> Runtime.getRuntime().halt(128 + second.getNumber()));
    } catch (IllegalArgumentException e) {
      // The system has no such signal, or the JVM was started with -Xrs.
    }
  }

  @Override
  public void close() {
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      // The process is going down: the hook waits for this thread.
    }
  }
}
