package dev.precis.text;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The steps of a tokenizer in the order of Hugging Face's {@code tokenizer.json}: added tokens,
 * normalizer, pre-tokenizer, model and post-processor; and the decoder for the way back. Immutable.
 *
 * @param decoder {@code null}: the tokens are joined with spaces
 */
record TokenizerPipeline(
    Vocabulary vocabulary,
    AddedTokens added,
    Normalizer normalizer,
    PreTokenizer preTokenizer,
    SubwordModel model,
    PostProcessor postProcessor,
    Decoder decoder) {
  /** Leaves the text as it is. */
  static final Normalizer NO_NORMALIZER = text -> text;

  /** Leaves the piece whole. */
  static final PreTokenizer NO_PRE_TOKENIZER = (piece, out) -> out.add(piece);

  /** Returns true if the model is byte-pair encoding. */
  boolean isBpe() {
    return model instanceof CachedModel cached && cached.model() instanceof BpeModel;
  }

  int[] encode(String text, boolean addSpecialTokens) {
    IdList ids = new IdList();
    if (addSpecialTokens) {
      ids.addAll(postProcessor.prefix());
    }
    Piece whole = new Piece(text, true);
    added.split(
        text,
        (id, start, end) -> {
          if (id >= 0) {
            ids.add(id);
          } else {
            encode(normalizer.normalize(whole.part(start, end)), ids);
          }
        });
    if (addSpecialTokens) {
      postProcessor.end(ids);
    }
    return ids.toArray();
  }

  /**
   * Encodes a pair of texts. The first text is cut at its end where the two are longer than the
   * length; where the second alone is, it is cut too.
   *
   * @param pair of the post-processor
   */
  Encoding encodePair(PairTemplate pair, String first, String second, int maxLength) {
    int[] a = encode(first, false);
    int[] b = encode(second, false);
    int room = maxLength - pair.specialTokens();
    b = b.length <= room ? b : Arrays.copyOf(b, room);
    a = a.length <= room - b.length ? a : Arrays.copyOf(a, room - b.length);
    return pair.join(a, b);
  }

  private void encode(Piece normalized, IdList ids) {
    added.splitNormalized(
        normalized.text(),
        (id, start, end) -> {
          if (id >= 0) {
            ids.add(id);
            return;
          }
          for (Piece piece : preTokenizer.splitAll(List.of(normalized.part(start, end)))) {
            if (!piece.text().isEmpty()) {
              model.encode(piece.text(), ids);
            }
          }
        });
  }

  /** Returns the text of ids; those that no token has are left out. */
  String decode(int[] ids, boolean skipSpecialTokens) {
    List<String> tokens = new ArrayList<>(ids.length);
    for (int id : ids) {
      String token = vocabulary.token(id);
      if (token != null && !(skipSpecialTokens && added.isSpecial(id))) {
        tokens.add(token);
      }
    }
    return decoder == null ? String.join(" ", tokens) : String.join("", decoder.decode(tokens));
  }
}
