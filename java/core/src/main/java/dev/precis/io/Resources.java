package dev.precis.io;

import java.util.ArrayList;
import java.util.List;

/**
 * Resources that are closed together, the newest first. If one of them fails to close, the others
 * are closed all the same.
 *
 * <p>Not thread-safe.
 */
public final class Resources implements AutoCloseable {
  private final List<AutoCloseable> opened = new ArrayList<>();

  /** Makes an empty collection. */
  public Resources() {}

  /** Adds a resource and returns it. */
  public <T extends AutoCloseable> T add(T resource) {
    opened.add(resource);
    return resource;
  }

  /**
   * Closes all resources; a second call does nothing.
   *
   * @throws IllegalStateException if one or more of them fail
   */
  @Override
  public void close() {
    IllegalStateException failure = null;
    for (AutoCloseable each : opened.reversed()) {
      try {
        each.close();
      } catch (Exception e) {
        if (failure == null) {
          failure = new IllegalStateException("Closing failed", e);
        } else {
          failure.addSuppressed(e);
        }
      }
    }
    opened.clear();
    if (failure != null) {
      throw failure;
    }
  }
}
