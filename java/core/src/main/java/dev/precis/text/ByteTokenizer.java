package dev.precis.text;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * ByT5's tokenizer (Xue et al. 2022), which needs no file but a {@code tokenizer_config.json}: the
 * ids 0 to 2 are {@code <pad>}, {@code </s>} and {@code <unk>}, a byte b of the UTF-8 text is b +
 * 3, and {@code <extra_id_0>} follows at 259.
 */
final class ByteTokenizer {
  private static final int OFFSET = 3;

  private ByteTokenizer() {}

  /** Makes the tokenizer that a configuration describes. */
  static TokenizerPipeline of(TokenizerConfig config, String where) {
    List<String> tokens = new ArrayList<>();
    tokens.add(config.content("pad_token", "<pad>"));
    tokens.add(config.content("eos_token", "</s>"));
    tokens.add(config.content("unk_token", "<unk>"));
    Map<Integer, AddedToken> added = new HashMap<>();
    for (int id = 0; id < OFFSET; id++) {
      added.put(id, new AddedToken(tokens.get(id), false, true, true, false, true));
    }
    for (char b = 0; b < 256; b++) {
      tokens.add(String.valueOf(b));
    }
    Vocabulary vocabulary = new Vocabulary(tokens);
    for (int i = 0; i < config.byteExtraIds(); i++) {
      int id = vocabulary.size();
      String token = "<extra_id_" + i + ">";
      vocabulary.add(token, id, where);
      added.put(id, AddedToken.special(token));
    }
    config.declaredTokens().addTo(vocabulary, added);
    return new TokenizerPipeline(
        vocabulary,
        new AddedTokens(added, TokenizerPipeline.NO_NORMALIZER, config.splitSpecialTokens(), where),
        TokenizerPipeline.NO_NORMALIZER,
        TokenizerPipeline.NO_PRE_TOKENIZER,
        ByteTokenizer::encode,
        new PostProcessor(new int[0], new int[] {1}, true),
        ByteTokenizer::decode);
  }

  private static void encode(String text, IdList ids) {
    for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
      ids.add((b & 0xFF) + OFFSET);
    }
  }

  /** Joins the bytes; what is no UTF-8 is left out, as a model may write half a character. */
  private static List<String> decode(List<String> tokens) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    for (String token : tokens) {
      if (token.length() == 1) {
        bytes.write(token.charAt(0));
      } else {
        bytes.writeBytes(token.getBytes(StandardCharsets.UTF_8));
      }
    }
    return List.of(Utf8Text.ignoring(bytes.toByteArray()));
  }
}
