package dev.precis.cli.common;

/** While open, Ctrl-C and a polite kill let the work at hand end well before the process does. */
public final class Interruption implements AutoCloseable {
  private final Thread hook;

  /**
   * Begins to listen; the work is that of the calling thread.
   *
   * @param stop asks the work to end
   */
  public Interruption(Runnable stop) {
    Thread working = Thread.currentThread();
    hook =
        new Thread(
            () -> {
              stop.run();
              try {
                working.join();
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
            });
    Runtime.getRuntime().addShutdownHook(hook);
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
