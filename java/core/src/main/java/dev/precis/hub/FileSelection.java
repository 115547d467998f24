package dev.precis.hub;

import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The files of a repository that are needed. Of a model: configuration, tokenizer and one format of
 * weights, in the order in which they are looked for when it is opened. Of a data set: its tables.
 *
 * @param plain the files to fetch
 * @param index an index among them that names further files, its shards
 */
record FileSelection(List<String> plain, Optional<String> index) {
  private static final String INDEX = ".index.json";
  private static final Pattern TABLE =
      Pattern.compile(".+\\.((csv|tsv|json|jsonl|ndjson|txt)(\\.gz|\\.zst)?|parquet|arrow)");
  private static final Set<String> DESCRIPTIONS =
      Set.of(
          "config.json",
          "generation_config.json",
          "tokenizer.json",
          "tokenizer_config.json",
          "special_tokens_map.json",
          "added_tokens.json",
          "spiece.model",
          "vocab.json",
          "merges.txt",
          "adapter_config.json");

  /** Returns the selection; empty if the repository has nothing that can be used. */
  static Optional<FileSelection> of(RepositoryKind kind, Collection<String> names) {
    return switch (kind) {
      case MODEL -> model(Set.copyOf(names));
      case DATASET -> {
        List<String> tables =
            names.stream()
                .filter(name -> TABLE.matcher(name).matches())
                .filter(name -> !name.equals("dataset_infos.json"))
                .sorted()
                .toList();
        yield tables.isEmpty()
            ? Optional.empty()
            : Optional.of(new FileSelection(tables, Optional.empty()));
      }
    };
  }

  private static Optional<FileSelection> model(Set<String> names) {
    List<String> files = new ArrayList<>(names.stream().filter(DESCRIPTIONS::contains).toList());
    Optional<String> weights =
        names.contains("config.json")
            ? first(
                names,
                "model.safetensors",
                "model.safetensors" + INDEX,
                "pytorch_model.bin",
                "pytorch_model.bin" + INDEX)
            : Optional.empty();
    Optional<String> adapter =
        names.contains("adapter_config.json")
            ? first(names, "adapter_model.safetensors", "adapter_model.bin")
            : Optional.empty();
    if (weights.isEmpty() && adapter.isEmpty()) {
      return Optional.empty();
    }
    weights.ifPresent(files::add);
    adapter.ifPresent(files::add);
    return Optional.of(
        new FileSelection(
            files.stream().sorted().toList(), weights.filter(name -> name.endsWith(INDEX))));
  }

  private static Optional<String> first(Set<String> names, String... wanted) {
    return Stream.of(wanted).filter(names::contains).findFirst();
  }

  /** Returns the files that an index names. */
  static List<String> shards(Path index) {
    JsonObject map = Json.readObject(index).object("weight_map");
    return map.keys().stream().map(map::text).distinct().sorted().toList();
  }
}
