package dev.precis.checkpoint;

import dev.precis.io.AtomicFile;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Reason;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;

/** What a Hugging Face folder has beside its weights, and its identity. */
public final class ModelFolder {
  /** What transformers and we read besides the weights. */
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
          "merges.txt");

  private ModelFolder() {}

  /** Copies configuration and tokenizer to another folder, which is made; each file atomically. */
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
   * The SHA-256 of the weights' files, in the order of their names: what makes sure that a model is
   * the one it was.
   *
   * @throws InvalidInputException where the folder has no weights
   */
  public static String weightsHash(Path folder) {
    try (Stream<Path> files = Files.list(folder)) {
      List<Path> weights =
          files
              .filter(f -> f.getFileName().toString().matches(".*\\.(safetensors|bin)"))
              .filter(Files::isRegularFile)
              .sorted()
              .toList();
      if (weights.isEmpty()) {
        throw new InvalidInputException(folder + " has no weights");
      }
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      for (Path file : weights) {
        digest.update(file.getFileName().toString().getBytes(StandardCharsets.UTF_8));
        addFile(digest, file);
      }
      return HexFormat.of().formatHex(digest.digest());
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot read " + folder + ": " + Reason.of(e), e);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("Every Java has SHA-256", e);
    }
  }

  /** The SHA-256 of a file. */
  public static String fileHash(Path file) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      addFile(digest, file);
      return HexFormat.of().formatHex(digest.digest());
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot read " + file + ": " + Reason.of(e), e);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("Every Java has SHA-256", e);
    }
  }

  private static void addFile(MessageDigest digest, Path file) throws IOException {
    try (InputStream in = new DigestInputStream(Files.newInputStream(file), digest)) {
      byte[] buffer = new byte[1 << 20];
      while (in.read(buffer) >= 0) {
        // Reading is what updates the digest.
      }
    }
  }
}
