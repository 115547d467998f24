package dev.precis.data;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import dev.precis.io.Printable;
import dev.precis.io.Reason;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;

/**
 * The files of a data set: a file by itself, or those of one split of a folder. Folders are read as
 * {@code datasets.save_to_disk} writes them, and as data sets lie on the hub: tables whose names
 * begin with the split, such as {@code data/train-00000-of-00002.parquet}. Where there is no table,
 * texts ({@code .txt}) are read: beside tables they describe the data.
 *
 * @param files in the order in which they are read
 * @param split the name of the split, or {@code null} where there is only one
 */
public record DataFiles(List<Path> files, String split) {
  /** The formats of tables, as help and messages list them. */
  public static final String TABLES =
      ".jsonl, .ndjson, .json, .csv or .tsv (each also with .gz or .zst), .parquet or .arrow";

  private static final int MOST_FILES = 10_000;
  private static final Pattern SHARD = Pattern.compile("[-_.]\\d+-of-\\d+$");
  private static final Pattern SPLIT =
      Pattern.compile("^(?:.*[^A-Za-z])?(train|training|validation|valid|val|dev|eval|test)$");

  /** Names that are descriptions, not tables. */
  private static final Set<String> DESCRIPTIONS =
      Set.of("dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json");

  /** Copies the list. */
  public DataFiles {
    files = List.copyOf(files);
  }

  /**
   * Finds the files.
   *
   * @param data a file or a folder; {@code -} stands for standard input
   * @throws InvalidInputException if a folder holds no tables, or it is not clear which are meant
   */
  public static DataFiles of(Path data, DataOptions options) {
    if (!Files.isDirectory(data)) {
      if (options.split() != null) {
        throw new InvalidInputException(
            data + " is a file, which has no splits; name a folder, or leave the split out");
      }
      return new DataFiles(List.of(data), null);
    }
    Map<String, List<Path>> splits = splits(data);
    if (splits.isEmpty()) {
      throw new InvalidInputException(
          "%s is a folder without data files: %s, files of datasets.save_to_disk, or .txt"
              .formatted(data, TABLES));
    }
    String split = choose(data, splits.keySet(), options);
    return new DataFiles(splits.get(split), split.isEmpty() ? null : split);
  }

  private static String choose(Path data, Set<String> splits, DataOptions options) {
    if (options.split() != null) {
      if (!splits.contains(options.split())) {
        throw new InvalidInputException(
            "%s has no split '%s'; it has: %s"
                .formatted(data, Printable.of(options.split()), shown(splits)));
      }
      return options.split();
    }
    if (splits.size() == 1) {
      return splits.iterator().next();
    }
    for (String preferred : options.preferredSplits()) {
      if (splits.contains(preferred)) {
        options
            .listener()
            .note(
                "%s: the split '%s' is read; the others are %s."
                    .formatted(
                        data,
                        preferred,
                        splits.stream()
                            .filter(each -> !each.equals(preferred))
                            .map(DataFiles::shown)
                            .collect(Collectors.joining(", "))));
        return preferred;
      }
    }
    throw new InvalidInputException(
        "%s has several splits: %s; name one with --split".formatted(data, shown(splits)));
  }

  private static String shown(Set<String> splits) {
    return splits.stream().map(DataFiles::shown).collect(Collectors.joining(", "));
  }

  private static String shown(String split) {
    return split.isEmpty() ? "files without a split's name" : Printable.of(split);
  }

  private static Map<String, List<Path>> splits(Path folder) {
    Path dictionary = folder.resolve("dataset_dict.json");
    if (Files.isRegularFile(dictionary)) {
      Map<String, List<Path>> splits = new TreeMap<>();
      for (String split : Json.readObject(dictionary).texts("splits")) {
        splits.put(split, saved(child(dictionary, folder, split)));
      }
      return splits;
    }
    if (Files.isRegularFile(folder.resolve("state.json"))) {
      return Map.of("", saved(folder));
    }
    return tables(folder);
  }

  /** Returns the files of a folder that {@code Dataset.save_to_disk} wrote. */
  private static List<Path> saved(Path folder) {
    Path state = folder.resolve("state.json");
    JsonObject json = Json.readObject(state);
    List<Path> files = new ArrayList<>();
    for (JsonNode file : json.node().path("_data_files")) {
      String name = file.path("filename").asString("");
      Path path = child(state, folder, name);
      if (!Files.isRegularFile(path)) {
        throw new InvalidInputException(
            "%s names the file \"%s\", which does not exist".formatted(state, Printable.of(name)));
      }
      files.add(path);
    }
    if (json.has("_indices_data_files") && !json.node().path("_indices_data_files").isEmpty()) {
      throw new InvalidInputException(
          folder + " holds a selection of rows; save it after flatten_indices()");
    }
    if (files.isEmpty()) {
      throw json.wrong("_data_files", "a list of files");
    }
    return files;
  }

  /** Returns a file or folder that a description names; it must lie in the same folder. */
  private static Path child(Path description, Path folder, String name) {
    if (name.isEmpty() || !name.matches("[\\w][\\w. +-]*") || name.contains("..")) {
      throw new InvalidInputException(
          "%s names \"%s\", which is not a plain file name"
              .formatted(description, Printable.of(name)));
    }
    return folder.resolve(name);
  }

  /** Returns the tables of a folder and its folders by their splits, each in order. */
  private static Map<String, List<Path>> tables(Path folder) {
    Map<String, List<Path>> splits = new TreeMap<>();
    try (Stream<Path> found = Files.walk(folder, 3)) {
      List<Path> data =
          found.filter(file -> isData(folder, file)).limit(MOST_FILES + 1L).sorted().toList();
      List<Path> tables = data.stream().filter(file -> !isText(file)).toList();
      List<Path> files = tables.isEmpty() ? data : tables;
      if (files.size() > MOST_FILES) {
        throw new InvalidInputException(
            "%s holds more than %d data files".formatted(folder, MOST_FILES));
      }
      for (Path file : files) {
        splits.computeIfAbsent(splitOf(folder, file), any -> new ArrayList<>()).add(file);
      }
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot read " + folder + ": " + Reason.of(e), e);
    }
    splits.forEach((split, files) -> checkOneFormat(folder, split, files));
    return splits;
  }

  /** Returns true if a file holds text, by its name. */
  static boolean isText(Path file) {
    return file.getFileName() != null
        && DataFormat.of(file.getFileName().toString())
            .filter(format -> format == DataFormat.TEXT)
            .isPresent();
  }

  private static boolean isData(Path folder, Path file) {
    String name = file.getFileName().toString();
    for (Path part : folder.relativize(file)) {
      if (part.toString().startsWith(".")) {
        return false;
      }
    }
    return Files.isRegularFile(file)
        && !DESCRIPTIONS.contains(name)
        && DataFormat.of(name).isPresent();
  }

  /** Returns the split that a file's name or its folder's name says; empty if neither does. */
  private static String splitOf(Path folder, Path file) {
    String name = DataFormat.baseName(file.getFileName().toString());
    Matcher matcher = SPLIT.matcher(SHARD.matcher(name).replaceFirst(""));
    if (matcher.matches()) {
      return matcher.group(1);
    }
    Path parent = file.getParent();
    if (!parent.equals(folder)) {
      matcher = SPLIT.matcher(parent.getFileName().toString());
      return matcher.matches() ? matcher.group(1) : "";
    }
    return "";
  }

  private static void checkOneFormat(Path folder, String split, List<Path> files) {
    Set<String> formats = new TreeSet<>();
    Set<Path> folders = new TreeSet<>();
    for (Path file : files) {
      formats.add(DataFormat.of(file.getFileName().toString()).orElseThrow().extension());
      folders.add(folder.relativize(file.getParent()));
    }
    if (formats.size() > 1) {
      throw new InvalidInputException(
          "%s holds files of several formats%s: .%s; name one file"
              .formatted(
                  folder,
                  split.isEmpty() ? "" : " for the split '" + split + "'",
                  String.join(", .", formats)));
    }
    if (folders.size() > 1) {
      throw new InvalidInputException(
          "%s holds data files in several folders: %s; name one of them"
              .formatted(
                  folder,
                  folders.stream()
                      .limit(10)
                      .map(each -> each.toString().isEmpty() ? "." : each.toString())
                      .map(Printable::of)
                      .collect(Collectors.joining(", "))));
    }
  }
}
