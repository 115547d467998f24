package dev.precis.training;

import dev.precis.io.AtomicFile;
import dev.precis.io.FileDigest;
import dev.precis.io.InvalidInputException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The SHA-256 of each file of a checkpoint, in the format of {@code sha256sum}, so that {@code
 * sha256sum --check} reads it too. The last line is that of the position of the run: a list that
 * was cut short is recognized.
 */
final class Checksums {
  static final String NAME = "SHA256SUMS";

  private static final Pattern LINE = Pattern.compile("([0-9a-f]{64})  (.+)");

  private Checksums() {}

  /**
   * Writes the list for all files in a folder.
   *
   * @param last name of the file that the list ends with
   */
  static void write(Path folder, String last) {
    StringBuilder list = new StringBuilder();
    for (String name : names(folder, last)) {
      list.append(FileDigest.sha256(List.of(folder.resolve(name))));
      list.append("  ").append(name).append('\n');
    }
    AtomicFile.writeText(folder.resolve(NAME), list.toString());
  }

  private static List<String> names(Path folder, String last) {
    try (Stream<Path> all = Files.walk(folder)) {
      TreeSet<String> names = new TreeSet<>();
      all.filter(Files::isRegularFile)
          .forEach(file -> names.add(folder.relativize(file).toString().replace('\\', '/')));
      names.remove(NAME);
      names.remove(last);
      return Stream.concat(names.stream(), Stream.of(last)).toList();
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot read " + folder + ": " + e.getMessage(), e);
    }
  }

  /**
   * Compares the files of a folder with its list. A folder without one is of an older version, and
   * is taken as it is.
   *
   * @param last name of the file that the list must end with
   * @throws InvalidInputException where a file is missing or is not what was written
   */
  static void verify(Path folder, String last) {
    if (!Files.exists(folder.resolve(NAME))) {
      return;
    }
    Map<String, String> expected = new LinkedHashMap<>();
    for (String line : text(folder.resolve(NAME)).split("\n")) {
      Matcher parts = LINE.matcher(line);
      if (!parts.matches()) {
        throw damaged(folder, NAME);
      }
      expected.put(parts.group(2), parts.group(1));
    }
    if (!expected.containsKey(last)) {
      throw damaged(folder, NAME);
    }
    for (Map.Entry<String, String> each : expected.entrySet()) {
      Path file = folder.resolve(each.getKey()).normalize();
      if (!file.startsWith(folder.normalize()) || !Files.isRegularFile(file)) {
        throw new InvalidInputException(folder + ": " + each.getKey() + " is missing");
      }
      if (!FileDigest.sha256(List.of(file)).equals(each.getValue())) {
        throw damaged(folder, each.getKey());
      }
    }
  }

  private static String text(Path file) {
    try {
      return new String(Files.readAllBytes(file), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot read " + file + ": " + e.getMessage(), e);
    }
  }

  private static InvalidInputException damaged(Path folder, String name) {
    return new InvalidInputException(
        folder + ": " + name + " is damaged: it is not what the run wrote");
  }
}
