package dev.precis.training;

import dev.precis.io.AtomicFile;
import dev.precis.io.FileTree;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Keeps a run on disk: {@code config.json} (all options, defaults included), {@code metrics.jsonl}
 * (one object per step, flushed) and {@code checkpoints/step-N/}. A checkpoint is written under a
 * temporary name, synced and renamed, so that one with its final name is complete.
 *
 * <p>Only one process can have a run open.
 */
public final class RunFolder implements AutoCloseable {
  private static final String CONFIG = "config.json";
  private static final String STEP = "step-";

  private final Path folder;
  private final FileChannel lock;
  private final Leftovers before;
  private Consumer<String> notes = note -> {};
  private boolean discarded;
  private StepLog metrics;

  private RunFolder(Path folder, FileChannel lock, Leftovers before) {
    this.folder = folder;
    this.lock = lock;
    this.before = before;
  }

  /** Returns whether a folder holds a run, complete or not. */
  public static boolean holdsRun(Path folder) {
    return Files.exists(folder.resolve(CONFIG));
  }

  /**
   * Creates a new run.
   *
   * @param config every option that the run's numbers depend on
   * @throws InvalidInputException where the folder already holds a run
   */
  public static RunFolder create(Path folder, ObjectNode config) {
    if (holdsRun(folder)) {
      throw new InvalidInputException(
          folder + " already holds a run: resume it with --resume, or choose another --output");
    }
    if (Files.exists(folder) && !Files.isDirectory(folder)) {
      throw new InvalidInputException(folder + " is a file, not a folder for a run");
    }
    RunFolder run = open(folder);
    try {
      run.write(CONFIG, config.toPrettyString() + "\n");
      run.openMetrics(0);
      return run;
    } catch (RuntimeException | Error e) {
      run.close();
      throw e;
    }
  }

  /**
   * Opens a run to resume it.
   *
   * @param config as it would be for a new run; options that differ from the run's own are refused
   * @throws InvalidInputException where there is no run, or another one
   */
  public static RunFolder resume(Path folder, ObjectNode config) {
    if (!holdsRun(folder)) {
      throw new InvalidInputException(folder + " holds no run to resume: leave out --resume");
    }
    JsonObject before = Json.readObject(folder.resolve(CONFIG));
    differing("", before.node(), Json.parseObject(config.toString(), "the options").node())
        .ifPresent(
            what -> {
              throw new InvalidInputException(
                  folder + " was started with " + what + ": resume with the same options");
            });
    return open(folder);
  }

  private static Optional<String> differing(String path, ObjectNode before, ObjectNode now) {
    List<String> keys = new ArrayList<>(before.propertyNames());
    now.propertyNames().stream().filter(key -> !before.has(key)).forEach(keys::add);
    for (String key : keys) {
      JsonNode old = before.get(key);
      JsonNode present = now.get(key);
      JsonNode hash = before.get(key + "_sha256");
      if (hash != null && hash.equals(now.get(key + "_sha256"))) {
        continue; // the same contents under another name
      }
      if (old instanceof ObjectNode o && present instanceof ObjectNode p) {
        Optional<String> inside = differing(path + key + ".", o, p);
        if (inside.isPresent()) {
          return inside;
        }
      } else if (old == null || present == null || !old.equals(present)) {
        return Optional.of(path + key + " = " + old + ", not " + present);
      }
    }
    return Optional.empty();
  }

  private static RunFolder open(Path folder) {
    Leftovers before = Leftovers.of(folder);
    try {
      Files.createDirectories(folder.resolve("checkpoints"));
      FileChannel channel =
          FileChannel.open(
              folder.resolve(".lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
      try {
        FileLock held = channel.tryLock();
        if (held == null) {
          channel.close();
          throw new InvalidInputException(folder + " is in use by another process");
        }
      } catch (OverlappingFileLockException e) {
        channel.close();
        throw new InvalidInputException(folder + " is in use by this process", e);
      }
      return new RunFolder(folder, channel, before);
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot make the run " + folder + ": " + e.getMessage(), e);
    }
  }

  public Path folder() {
    return folder;
  }

  /**
   * Makes {@link #close} remove what a new run wrote, unless its first step was done: the command
   * that failed can be corrected and started again.
   */
  public RunFolder discardUnlessBegun() {
    discarded = true;
    return this;
  }

  /** Keeps the run from now on: its first step is done, or it is to be resumed. */
  public void begin() {
    discarded = false;
  }

  /** Sends sentences for people, such as that a damaged file was mended, to a receiver. */
  public RunFolder notes(Consumer<String> receiver) {
    notes = receiver;
    return this;
  }

  void note(String sentence) {
    notes.accept(sentence);
  }

  /** Writes a text file of the run atomically. */
  public void write(String name, String text) {
    AtomicFile.writeText(folder.resolve(name), text);
  }

  /** Opens the metrics of a run that continues after a step; lines of later steps are removed. */
  public void openMetrics(long lastStep) {
    if (metrics != null) {
      metrics.close();
    }
    metrics = log("metrics.jsonl", lastStep);
  }

  /**
   * Opens another log of one object per line, each with its {@code step}.
   *
   * @param lastStep lines of later steps are removed
   */
  public StepLog log(String name, long lastStep) {
    StepLog log = StepLog.open(folder.resolve(name), lastStep);
    if (log.damaged() > 0) {
      note(
          "%s had %,d damaged lines, which are removed."
              .formatted(folder.resolve(name), log.damaged()));
    }
    return log;
  }

  /** Adds a line to the metrics. */
  public void metric(ObjectNode line) {
    metrics.add(line);
  }

  /** Returns the lines of the metrics so far. */
  public List<ObjectNode> metrics() {
    return StepLog.read(folder.resolve("metrics.jsonl"));
  }

  /** Writes the files of a checkpoint into a folder. */
  public interface Content {
    void writeTo(Path folder);
  }

  /** Writes a checkpoint, which gets its final name once it is complete. */
  public void checkpoint(long step, Content content) {
    Path target = checkpointPath(step);
    writeFolder(target, content);
  }

  /**
   * Writes another folder of the run as a checkpoint is written; an old one stays complete until it
   * is replaced.
   */
  public void result(String name, Content content) {
    writeFolder(folder.resolve(name), content);
  }

  private void writeFolder(Path target, Content content) {
    Path temporary = AtomicFile.temporary(target);
    try {
      Files.createDirectories(temporary);
      content.writeTo(temporary);
      AtomicFile.syncFolder(temporary);
      if (Files.exists(target)) {
        Path old = AtomicFile.temporary(target);
        Files.move(target, old, StandardCopyOption.ATOMIC_MOVE);
        Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
        FileTree.delete(old);
      } else {
        Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
      }
      AtomicFile.syncFolder(target.getParent());
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot write " + target + ": " + e.getMessage(), e);
    } finally {
      FileTree.delete(temporary);
    }
  }

  /** Returns the folder of a checkpoint. */
  public Path checkpointPath(long step) {
    return folder.resolve("checkpoints").resolve(STEP + step);
  }

  /** Returns the steps of all checkpoints, ascending. */
  public List<Long> checkpoints() {
    try (Stream<Path> all = Files.list(folder.resolve("checkpoints"))) {
      return all.map(path -> path.getFileName().toString())
          .filter(name -> name.matches(STEP + "\\d{1,18}"))
          .map(name -> Long.parseLong(name.substring(STEP.length())))
          .sorted()
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot read " + folder + ": " + e.getMessage(), e);
    }
  }

  /** Returns the step of the newest checkpoint, if there is one. */
  public Optional<Long> newestCheckpoint() {
    List<Long> all = checkpoints();
    return all.isEmpty() ? Optional.empty() : Optional.of(all.getLast());
  }

  /** Removes all checkpoints but the newest and the best. */
  public void prune(int keep, long best) {
    List<Long> all = checkpoints();
    for (int i = 0; i < all.size() - keep; i++) {
      if (all.get(i) != best) {
        FileTree.delete(checkpointPath(all.get(i)));
      }
    }
  }

  /** Removes one checkpoint. */
  public void removeCheckpoint(long step) {
    FileTree.delete(checkpointPath(step));
  }

  /** Removes what a killed process left half-written. */
  public void removeLeftovers() {
    for (Path place : List.of(folder, folder.resolve("checkpoints"))) {
      try (Stream<Path> all = Files.list(place)) {
        all.filter(path -> path.getFileName().toString().matches("\\..*\\.tmp"))
            .toList()
            .forEach(FileTree::delete);
      } catch (IOException e) {
        throw new UncheckedIOException("Cannot read " + place + ": " + e.getMessage(), e);
      }
    }
  }

  @Override
  public void close() {
    try {
      if (metrics != null) {
        metrics.close();
      }
      lock.close();
      if (discarded) {
        before.removeOthers(folder);
      }
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot close the run " + folder, e);
    }
  }
}
