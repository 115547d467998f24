package dev.precis.text;

import dev.precis.io.FileDigest;
import dev.precis.io.InvalidInputException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Finds the tokenizer in a checkpoint's folder and builds it. */
final class TokenizerFiles {
  private static final String BYTES_CLASS = "ByT5Tokenizer";
  private static final List<List<String>> KINDS =
      List.of(
          List.of("tokenizer.json"),
          List.of("spiece.model"),
          List.of("vocab.json", "merges.txt"),
          List.of(TokenizerConfig.WORD_PIECES));

  private TokenizerFiles() {}

  /**
   * A tokenizer as a folder describes it.
   *
   * @param pad id of the token that pads a batch, or -1
   * @param eos id of the token that ends a text, or -1
   * @param unk id of unknown text, or -1
   * @param cleanUp whether decoded text loses the spaces before punctuation
   */
  record Loaded(TokenizerPipeline pipeline, int pad, int eos, int unk, boolean cleanUp) {}

  /** Builds the tokenizer of a folder. */
  static Loaded load(Path folder) {
    TokenizerConfig config = TokenizerConfig.read(folder);
    Path tokenizerJson = folder.resolve("tokenizer.json");
    Path sentencePiece = folder.resolve("spiece.model");
    Path vocabulary = folder.resolve("vocab.json");
    Path merges = folder.resolve("merges.txt");
    if (Files.exists(tokenizerJson)) {
      return read(TokenizerFile.read(tokenizerJson), tokenizerJson, config);
    }
    if (Files.exists(sentencePiece)) {
      SentencePieceModel model =
          SentencePieceModel.parse(TokenizerFile.read(sentencePiece), sentencePiece.toString());
      return read(model.toTokenizerJson(config.extraIds()), sentencePiece, config);
    }
    if (Files.exists(vocabulary) && Files.exists(merges)) {
      byte[] json = ByteLevelBpe.toTokenizerJson(vocabulary, merges, config);
      return read(json, vocabulary, config);
    }
    Path words = folder.resolve(TokenizerConfig.WORD_PIECES);
    if (Files.exists(words)) {
      return read(WordPieceVocabulary.toTokenizerJson(words, config), words, config);
    }
    if (config.tokenizerClass().equals(BYTES_CLASS)) {
      String where = folder.resolve(TokenizerConfig.CONFIG).toString();
      return loaded(ByteTokenizer.of(config, where), config, false);
    }
    throw missing(folder, config);
  }

  private static InvalidInputException missing(Path folder, TokenizerConfig config) {
    String named = config.tokenizerClass();
    String wanted = named.isEmpty() ? "" : "; " + TokenizerConfig.CONFIG + " asks for a " + named;
    return new InvalidInputException(
        folder
            + " has no tokenizer: neither tokenizer.json, nor spiece.model, nor vocab.json with"
            + " merges.txt, nor vocab.txt, nor a tokenizer_config.json of ByT5Tokenizer"
            + wanted);
  }

  private static Loaded read(byte[] json, Path file, TokenizerConfig config) {
    TokenizerPipeline pipeline = TokenizerJson.read(json, file.toString(), config);
    return loaded(pipeline, config, pipeline.isBpe());
  }

  private static Loaded loaded(TokenizerPipeline pipeline, TokenizerConfig config, boolean bpe) {
    Vocabulary vocabulary = pipeline.vocabulary();
    return new Loaded(
        pipeline,
        config.id("pad_token", "<pad>", vocabulary),
        config.id("eos_token", "</s>", vocabulary),
        config.id("unk_token", "<unk>", vocabulary),
        config.cleanUp(bpe));
  }

  /** Returns the SHA-256 of the files that {@link #load} reads. */
  static String hash(Path folder) {
    for (List<String> names : KINDS) {
      if (names.stream().allMatch(name -> Files.exists(folder.resolve(name)))) {
        return FileDigest.sha256(names.stream().map(folder::resolve).toList());
      }
    }
    TokenizerConfig config = TokenizerConfig.read(folder);
    if (config.tokenizerClass().equals(BYTES_CLASS)) {
      return FileDigest.sha256(List.of(folder.resolve(TokenizerConfig.CONFIG)));
    }
    throw missing(folder, config);
  }
}
