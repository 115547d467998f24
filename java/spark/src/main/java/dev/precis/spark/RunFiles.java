package dev.precis.spark;

import dev.precis.io.AtomicFile;
import dev.precis.training.RunFolder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/** The files of a run folder on their way between the driver and the tasks, by relative path. */
final class RunFiles {
  private static final String CHECKPOINTS = "checkpoints";
  private static final String CONFIG = "config.json";

  private RunFiles() {}

  /** Reads a run's files, except hidden ones. */
  static TreeMap<String, byte[]> read(Path folder) {
    TreeMap<String, byte[]> files = new TreeMap<>();
    try (Stream<Path> all = Files.walk(folder)) {
      for (Path file : all.filter(Files::isRegularFile).toList()) {
        Path relative = folder.relativize(file);
        if (!relative.toString().startsWith(".")
            && !file.getFileName().toString().startsWith(".")) {
          files.put(relative.toString(), Files.readAllBytes(file));
        }
      }
      return files;
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot read " + folder + ": " + e.getMessage(), e);
    }
  }

  /** Writes a run's files into an empty folder. */
  static void write(Map<String, byte[]> files, Path folder) {
    files.forEach((name, bytes) -> write(folder.resolve(name), bytes));
  }

  private static void write(Path file, byte[] bytes) {
    try {
      Files.createDirectories(file.getParent());
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot write " + file + ": " + e.getMessage(), e);
    }
    AtomicFile.write(
        file,
        channel -> {
          ByteBuffer content = ByteBuffer.wrap(bytes);
          while (content.hasRemaining()) {
            channel.write(content);
          }
        });
  }

  /**
   * Makes the driver's run what the tasks' is: first its logs, then its checkpoints and its result,
   * each whole, so that a driver that is killed resumes from the one or the other.
   */
  static void install(TreeMap<String, byte[]> files, RunFolder run) {
    Map<String, TreeMap<String, byte[]>> folders = new TreeMap<>();
    files.forEach(
        (name, bytes) -> {
          int slash = folderEnd(name);
          if (slash >= 0) {
            folders
                .computeIfAbsent(name.substring(0, slash), each -> new TreeMap<>())
                .put(name.substring(slash + 1), bytes);
          } else if (!name.equals(CONFIG)) {
            write(run.folder().resolve(name), bytes);
          }
        });
    List<Long> kept = new ArrayList<>();
    folders.forEach(
        (name, content) -> {
          if (name.startsWith(CHECKPOINTS)) {
            long step = Long.parseLong(name.substring(name.lastIndexOf('-') + 1));
            kept.add(step);
            if (!same(content, run.checkpointPath(step))) {
              run.checkpoint(step, folder -> write(content, folder));
            }
          }
        });
    run.checkpoints().stream().filter(step -> !kept.contains(step)).forEach(run::removeCheckpoint);
    folders.forEach(
        (name, content) -> {
          if (!name.startsWith(CHECKPOINTS)) {
            run.result(name, folder -> write(content, folder));
          }
        });
    run.openMetrics(Long.MAX_VALUE);
  }

  private static boolean same(TreeMap<String, byte[]> content, Path folder) {
    if (!Files.isDirectory(folder)) {
      return false;
    }
    TreeMap<String, byte[]> there = read(folder);
    return there.keySet().equals(content.keySet())
        && content.entrySet().stream()
            .allMatch(each -> Arrays.equals(each.getValue(), there.get(each.getKey())));
  }

  /** Returns where the name of a checkpoint's or result's folder ends; -1: a file of the run. */
  private static int folderEnd(String name) {
    int first = name.indexOf('/');
    return name.startsWith(CHECKPOINTS + "/") ? name.indexOf('/', first + 1) : first;
  }
}
