package dev.precis;

import dev.precis.checkpoint.PeftAdapter;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Resources;
import dev.precis.t5.T5Weights;
import dev.precis.t5.T5Weights.Adapters;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The adapters of a model, packed beside its weights: the default ones, and those that requests
 * choose by name. They change on the model's thread; any thread may look for them.
 */
final class ModelAdapters implements AutoCloseable {
  private record Packed(Adapters adapters, Arena memory) {}

  private final Engine engine;
  private final T5Weights weights;
  private final Map<String, Packed> named = new ConcurrentHashMap<>();
  private volatile Packed standard;

  /** Packs the default adapters. */
  ModelAdapters(Engine engine, T5Weights weights, List<Path> folders) {
    this.engine = engine;
    this.weights = weights;
    standard = pack(folders);
    standard.adapters.use();
  }

  private Packed pack(List<Path> folders) {
    Arena arena = Arena.ofShared();
    try (Resources opened = new Resources()) {
      List<PeftAdapter> adapters =
          folders.stream().map(each -> opened.add(PeftAdapter.open(each))).toList();
      return new Packed(weights.pack(adapters, engine.ops(), arena), arena);
    } catch (RuntimeException | Error e) {
      arena.close();
      throw e;
    }
  }

  /** Returns the adapters of a name, the default ones for null; null if there are none. */
  Adapters of(String name) {
    Packed found = name == null ? standard : named.get(name);
    return found == null ? null : found.adapters;
  }

  /**
   * Returns the adapters of a name, the default ones for null.
   *
   * @throws InvalidInputException if there are none of this name
   */
  Adapters require(String name) {
    Adapters found = of(name);
    if (found == null) {
      throw new InvalidInputException("The model keeps no adapter of the name " + name + ".");
    }
    return found;
  }

  /** Returns the names, in alphabetical order. */
  Set<String> names() {
    return new TreeSet<>(named.keySet());
  }

  /** Replaces the default adapters; no request may be running. */
  void replaceStandard(List<Path> folders) {
    Packed before = standard;
    standard = pack(folders);
    standard.adapters.use();
    before.memory.close();
  }

  /**
   * Adds an adapter.
   *
   * @throws InvalidInputException if the name is taken or the adapter does not fit
   */
  void add(String name, Path folder) {
    if (named.containsKey(name)) {
      throw new InvalidInputException(
          "The model keeps an adapter of the name " + name + " already: remove it first.");
    }
    named.put(name, pack(List.of(folder)));
  }

  /**
   * Removes an adapter; no request may be running.
   *
   * @throws InvalidInputException if there is none of this name
   */
  void remove(String name) {
    Packed removed = named.remove(name);
    if (removed == null) {
      throw new InvalidInputException("The model keeps no adapter of the name " + name + ".");
    }
    removed.memory.close();
  }

  @Override
  public void close() {
    named.values().forEach(each -> each.memory.close());
    standard.memory.close();
  }
}
