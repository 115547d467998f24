package dev.precis.cli.common;

/** While open, SIGINT and SIGTERM let the current work finish in order before the process ends. */
public final class GracefulShutdown implements AutoCloseable {
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
