package dev.precis.checkpoint;

import dev.precis.io.AtomicFile;
import dev.precis.io.FileDigest;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.Printable;
import dev.precis.io.Reason;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** Copies what a Hugging Face folder has beside its weights, and identifies its weights. */
public final class ModelFolder {
  /** Files besides the weights that transformers and this engine read. */
  private static final List<String> COMPANIONS =
      List.of(
          "config.json",
          "generation_config.json",
          "tokenizer.json",
          "tokenizer_config.json",
          "special_tokens_map.json",
          "added_tokens.json",
          "spiece.model",
          "vocab.json",
          "merges.txt",
          "vocab.txt");

  private ModelFolder() {}

  /**
   * Returns the {@code config.json} of a model folder.
   *
   * @throws InvalidInputException if the folder holds an adapter instead of a model
   */
  public static Path config(Path folder) {
    Path config = folder.resolve("config.json");
    Path adapter = folder.resolve("adapter_config.json");
    if (!Files.exists(config) && Files.isRegularFile(adapter)) {
      String base =
          Json.readObject(adapter)
              .optionalText("base_model_name_or_path")
              .filter(name -> !name.isBlank())
              .map(name -> " (" + Printable.of(name) + ")")
              .orElse("");
      throw new InvalidInputException(
          "%s is an adapter, not a model: name it with --adapter, and its base model%s with --model"
              .formatted(folder, base));
    }
    return config;
  }

  /**
   * Copies configuration and tokenizer to another folder, which is created if it does not exist;
   * each file atomically.
   *
   * @throws UncheckedIOException if a file cannot be read or written
   */
  public static void copyCompanions(Path from, Path to) {
    try {
      Files.createDirectories(to);
      for (String name : COMPANIONS) {
        Path file = from.resolve(name);
        if (Files.isRegularFile(file)) {
          AtomicFile.write(
              to.resolve(name),
              channel -> {
                try (InputStream in = Files.newInputStream(file)) {
                  byte[] buffer = new byte[1 << 16];
                  for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                    ByteBuffer bytes = ByteBuffer.wrap(buffer, 0, n);
                    while (bytes.hasRemaining()) {
                      channel.write(bytes);
                    }
                  }
                }
              });
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot copy " + from + " to " + to + ": " + Reason.of(e), e);
    }
  }

  /**
   * Returns the SHA-256 of the weight files, of their names and contents in the order of their
   * names: it shows whether a model is still the one it was.
   *
   * @throws InvalidInputException if the folder has no weights
   * @throws UncheckedIOException if reading fails
   */
  public static String weightsHash(Path folder) {
    FileDigest digest = FileDigest.sha256();
    List<Path> weights = weightFiles(folder);
    if (weights.isEmpty()) {
      throw new InvalidInputException(folder + " has no weights");
    }
    for (Path file : weights) {
      digest.add(file.getFileName().toString()).add(file);
    }
    return digest.hex();
  }

  private static List<Path> weightFiles(Path folder) {
    try (Stream<Path> files = Files.list(folder)) {
      return files
          .filter(f -> f.getFileName().toString().matches(".*\\.(safetensors|bin)"))
          .filter(Files::isRegularFile)
          .sorted()
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot read " + folder + ": " + Reason.of(e), e);
    }
  }

  /**
   * Returns the SHA-256 of a file.
   *
   * @throws UncheckedIOException if reading fails
   */
  public static String fileHash(Path file) {
    return FileDigest.sha256(List.of(file));
  }
}
