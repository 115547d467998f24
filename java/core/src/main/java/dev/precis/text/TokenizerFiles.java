package dev.precis.text;

import dev.precis.io.FileDigest;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Utf8;
import dev.precis.text.NativeTokenizer.SpecialTokens;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;

/** Finds the tokenizer in a checkpoint's folder and builds it. */
final class TokenizerFiles {
  private TokenizerFiles() {}

  static Tokenizer load(Path folder) {
    Path tokenizerJson = folder.resolve("tokenizer.json");
    Path sentencePiece = folder.resolve("spiece.model");
    Path vocabulary = folder.resolve("vocab.json");
    Path merges = folder.resolve("merges.txt");
    TokenizerConfig config = TokenizerConfig.read(folder.resolve("tokenizer_config.json"));
    if (Files.exists(tokenizerJson)) {
      return build(TokenizerFile.read(tokenizerJson), tokenizerJson, config);
    }
    if (Files.exists(sentencePiece)) {
      SentencePieceModel model =
          SentencePieceModel.parse(TokenizerFile.read(sentencePiece), sentencePiece.toString());
      return build(model.toTokenizerJson(config.extraIds()), sentencePiece, config);
    }
    if (Files.exists(vocabulary) && Files.exists(merges)) {
      return build(ByteLevelBpe.toTokenizerJson(vocabulary, merges), vocabulary, config);
    }
    throw missing(folder);
  }

  private static InvalidInputException missing(Path folder) {
    return new InvalidInputException(
        folder
            + " has no tokenizer: neither tokenizer.json, nor spiece.model, nor vocab.json with"
            + " merges.txt");
  }

  /** Returns the hash of {@link Tokenizer#hash}. */
  static String hash(Path folder) {
    for (List<String> names :
        List.of(
            List.of("tokenizer.json"),
            List.of("spiece.model"),
            List.of("vocab.json", "merges.txt"))) {
      if (names.stream().allMatch(name -> Files.exists(folder.resolve(name)))) {
        return FileDigest.sha256(names.stream().map(folder::resolve).toList());
      }
    }
    throw missing(folder);
  }

  /**
   * Builds a tokenizer. The engine and the vocabulary are built from the same text at the same
   * time: each takes a good part of a tenth of a second, at the start of every run.
   */
  private static Tokenizer build(byte[] json, Path file, TokenizerConfig config) {
    String where = file.toString();
    CompletableFuture<Void> partsChecked = new CompletableFuture<>();
    FutureTask<Long> engine =
        new FutureTask<>(
            () -> {
              TokenizerLibrary.get();
              String text = decode(json, where);
              partsChecked.join();
              return NativeTokenizer.create(text, where);
            });
    Thread.ofPlatform().daemon().name("precis-tokenizer").start(engine);
    Vocabulary vocabulary;
    SpecialTokens specialTokens;
    try {
      vocabulary = TokenizerJson.read(json, where, () -> partsChecked.complete(null));
      specialTokens =
          new SpecialTokens(
              config.id("pad_token", "<pad>", vocabulary),
              config.id("eos_token", "</s>", vocabulary),
              config.id("unk_token", "<unk>", vocabulary));
    } catch (RuntimeException e) {
      if (!partsChecked.completeExceptionally(e)) {
        discard(engine);
      }
      throw e;
    }
    return new NativeTokenizer(await(engine), vocabulary, specialTokens, where);
  }

  /**
   * Decodes strictly. String's own decoder is several times faster and leaves a mark where it
   * replaces.
   */
  private static String decode(byte[] utf8, String where) {
    String text = new String(utf8, StandardCharsets.UTF_8);
    return text.indexOf('\uFFFD') < 0 ? text : Utf8.decode(ByteBuffer.wrap(utf8), where);
  }

  private static long await(FutureTask<Long> engine) {
    try {
      return engine.get();
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        default -> throw new IllegalStateException(e.getCause());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("Interrupted while loading the tokenizer", e);
    }
  }

  private static void discard(FutureTask<Long> engine) {
    try {
      TokenizerLibrary.get().deleteTokenizer(await(engine));
    } catch (RuntimeException e) {
      // Its reason is the one that is already on its way.
    }
  }
}
