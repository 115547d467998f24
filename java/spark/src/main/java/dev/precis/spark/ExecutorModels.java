package dev.precis.spark;

import java.util.HashMap;
import java.util.Map;
import java.util.function.Supplier;
import org.apache.spark.TaskContext;
import org.apache.spark.util.TaskCompletionListener;

/**
 * The models of an executor's process. The first task that needs a model loads it, and all tasks
 * share it. It stays for later tasks until another one is to be loaded while nobody uses it, or
 * until the process ends.
 */
final class ExecutorModels {
  private static final Map<Object, Shared<?>> LOADED = new HashMap<>();

  private ExecutorModels() {}

  private static final class Shared<M extends AutoCloseable> {
    private final M model;
    private int users;

    Shared(M model) {
      this.model = model;
    }
  }

  /** The use of a model until {@link #close}. */
  static final class Lease<M extends AutoCloseable> implements AutoCloseable {
    private final Shared<M> shared;
    private boolean closed;

    private Lease(Shared<M> shared) {
      this.shared = shared;
    }

    M model() {
      return shared.model;
    }

    /** Ends the use; a second call does nothing. */
    @Override
    public void close() {
      synchronized (LOADED) {
        shared.users -= closed ? 0 : 1;
        closed = true;
      }
    }
  }

  /**
   * Returns a model that was loaded with the same key, or loads it.
   *
   * @param load is called by one task at a time, so that two do not fill the memory
   */
  static <M extends AutoCloseable> Lease<M> lease(Object key, Class<M> kind, Supplier<M> load) {
    synchronized (LOADED) {
      Shared<?> shared = LOADED.get(key);
      if (shared == null) {
        closeUnused();
        shared = new Shared<>(load.get());
        LOADED.put(key, shared);
      }
      shared.users++;
      return leaseOf(shared, kind);
    }
  }

  @SuppressWarnings("unchecked") // the model's class is checked
  private static <M extends AutoCloseable> Lease<M> leaseOf(Shared<?> shared, Class<M> kind) {
    kind.cast(shared.model);
    return new Lease<>((Shared<M>) shared);
  }

  /**
   * Runs an action when this thread's task ends, in whatever way, before those that came earlier.
   */
  static void atEndOfTask(Runnable action) {
    TaskContext.get().addTaskCompletionListener((TaskCompletionListener) context -> action.run());
  }

  /** Closes every model that no task uses. */
  static void closeUnused() {
    synchronized (LOADED) {
      LOADED
          .values()
          .removeIf(
              shared -> {
                if (shared.users > 0) {
                  return false;
                }
                try {
                  shared.model.close();
                } catch (Exception e) {
                  throw new IllegalStateException("A model cannot be closed", e);
                }
                return true;
              });
    }
  }

  /** Returns the number of models that are loaded. */
  static int loaded() {
    synchronized (LOADED) {
      return LOADED.size();
    }
  }
}
