package dev.precis.training;

import dev.precis.io.FileTree;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/**
 * Remembers what was in a run's folder before the run, so that a start that fails can remove what
 * it wrote and nothing else.
 *
 * @param names entries of the folder; empty where it did not exist
 * @param existing the innermost folder on the way that existed
 */
record Leftovers(Set<String> names, Path existing) {
  /** Looks at a folder, which need not exist. */
  static Leftovers of(Path folder) {
    Path existing = folder.toAbsolutePath();
    while (existing.getParent() != null && !Files.exists(existing)) {
      existing = existing.getParent();
    }
    Set<String> names = new HashSet<>();
    if (Files.isDirectory(folder)) {
      for (Path each : entries(folder)) {
        names.add(each.getFileName().toString());
      }
    }
    return new Leftovers(Set.copyOf(names), existing);
  }

  /** Removes what was not there, and the folders that were made on the way. */
  void removeOthers(Path folder) {
    for (Path each : entries(folder)) {
      if (!names.contains(each.getFileName().toString())) {
        FileTree.delete(each);
      }
    }
    try {
      for (Path made = folder.toAbsolutePath();
          !made.equals(existing) && entries(made).isEmpty();
          made = made.getParent()) {
        Files.delete(made);
      }
    } catch (IOException e) {
      // An empty folder is no obstacle to the next start.
    }
  }

  private static List<Path> entries(Path folder) {
    try (Stream<Path> all = Files.list(folder)) {
      return all.toList();
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot read " + folder + ": " + e.getMessage(), e);
    }
  }
}
