package dev.precis;

import dev.precis.device.Device;
import dev.precis.device.DeviceOptions;
import dev.precis.io.Resources;
import dev.precis.ops.Ops;
import java.lang.foreign.Arena;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;

/**
 * The device that a model runs on, and everything that the model has opened. Calls are serialized,
 * because one call uses every thread of the context.
 */
final class Engine implements AutoCloseable {
  private final String owner;
  private final Resources resources = new Resources();
  private final ReentrantLock lock = new ReentrantLock();
  private final Ops ops;
  private final Arena arena;
  private boolean closed;

  /**
   * Opens a device.
   *
   * @param owner what it is for, such as {@code model}: the message after closing names it
   */
  Engine(String owner, DeviceOptions options) {
    this.owner = owner;
    ops = resources.add(Ops.open(options));
    try {
      arena = Arena.ofShared();
      resources.add(arena::close);
    } catch (RuntimeException | Error e) {
      resources.close();
      throw e;
    }
  }

  Device device() {
    return ops.device();
  }

  Ops ops() {
    return ops;
  }

  /** Returns the owner of memory that lives as long as the engine. */
  Arena arena() {
    return arena;
  }

  /** Adds what {@link #close} closes, before everything that was added earlier. */
  <T extends AutoCloseable> T add(T resource) {
    return resources.add(resource);
  }

  /**
   * Runs a call while no other one runs.
   *
   * @throws IllegalStateException if the engine is closed
   */
  <T> T serialized(Supplier<T> call) {
    lock.lock();
    try {
      if (closed) {
        throw new IllegalStateException("This " + owner + " is closed.");
      }
      return call.get();
    } finally {
      lock.unlock();
    }
  }

  /** Waits for the running call and closes everything; a second call does nothing. */
  @Override
  public void close() {
    lock.lock();
    try {
      closed = true;
      resources.close();
    } finally {
      lock.unlock();
    }
  }
}
