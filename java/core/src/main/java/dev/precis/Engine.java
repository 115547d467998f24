package dev.precis;

import dev.precis.device.Device;
import dev.precis.device.DeviceOptions;
import dev.precis.io.Resources;
import dev.precis.ops.Ops;
import java.lang.foreign.Arena;
import java.util.function.Supplier;

/**
 * The device that a model runs on, the thread that its calls run on, and everything that the model
 * has opened.
 */
final class Engine implements AutoCloseable {
  private final Resources resources = new Resources();
  private final EngineThread thread;
  private final Ops ops;
  private final Arena arena;

  private Engine(EngineThread thread, DeviceOptions options) {
    this.thread = thread;
    ops = resources.add(Ops.open(options));
    try {
      arena = Arena.ofShared();
      resources.add(arena::close);
    } catch (RuntimeException | Error e) {
      resources.close();
      throw e;
    }
  }

  /**
   * Opens a device.
   *
   * @param owner what it is for, such as {@code model}: messages name it
   */
  static Engine open(String owner, DeviceOptions options) {
    EngineThread thread = new EngineThread(owner);
    try {
      return thread.run(() -> new Engine(thread, options));
    } catch (RuntimeException | Error e) {
      thread.close(() -> {});
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

  /** Runs a call on the engine's thread, see {@link EngineThread#run}. */
  <T> T run(Supplier<T> call) {
    return thread.run(call);
  }

  /** Runs a short call between two steps, see {@link EngineThread#ask}. */
  <T> T ask(Supplier<T> call) {
    return thread.ask(call);
  }

  /** Hands a message to the work, see {@link EngineThread#post}. */
  void post(Runnable message) {
    thread.post(message);
  }

  /** Sets the work of many steps, see {@link EngineThread#work}. */
  void work(EngineThread.Work work) {
    thread.work(work);
  }

  /** Waits for the calls that were accepted and closes everything; a second call does nothing. */
  @Override
  public void close() {
    thread.close(resources::close);
  }
}
