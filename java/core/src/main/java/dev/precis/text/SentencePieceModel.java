package dev.precis.text;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import tools.jackson.core.JsonGenerator;

/**
 * A SentencePiece model of the Unigram kind (Kudo 2018, "Subword Regularization"), read from its
 * protocol buffer: the fields of {@code sentencepiece_model.proto} that decide how text is cut.
 *
 * @param pieces in the order of their ids
 * @param charsmap the compiled normalisation rules; empty for none
 * @param addDummyPrefix whether a text starts with a space
 */
public record SentencePieceModel(List<Piece> pieces, byte[] charsmap, boolean addDummyPrefix) {
  /** The kinds of pieces, at the numbers of {@code SentencePiece.Type}. */
  private enum Type {
    NONE,
    NORMAL,
    UNKNOWN,
    CONTROL,
    USER_DEFINED,
    UNUSED,
    BYTE
  }

  /**
   * A piece of the vocabulary.
   *
   * @param score its log-probability
   * @param userDefined whether it is found in a text as a whole, before the model is asked
   */
  public record Piece(
      String text, float score, boolean unknown, boolean control, boolean userDefined) {
    /** Makes a piece that no user has defined. */
    public Piece(String text, float score, boolean unknown, boolean control) {
      this(text, score, unknown, control, false);
    }
  }

  private static final int UNIGRAM = 1;
  private static final String END = "</s>";
  private static final String SPACE = "\u2581";

  /**
   * Parses a {@code spiece.model}.
   *
   * @param where the file, for the errors' sentences
   */
  static SentencePieceModel parse(byte[] bytes, String where) {
    ProtobufReader in = new ProtobufReader(bytes, where);
    List<Piece> pieces = new ArrayList<>();
    Set<String> seen = new HashSet<>();
    byte[] charsmap = {};
    boolean addDummyPrefix = true;
    while (in.next()) {
      switch (in.field()) {
        case 1 -> pieces.add(piece(in.message(), pieces.size(), seen, where));
        case 2 -> checkTrainer(in.message(), where);
        case 3 -> {
          ProtobufReader normalizer = in.message();
          while (normalizer.next()) {
            switch (normalizer.field()) {
              case 2 -> charsmap = normalizer.bytes();
              case 3 -> addDummyPrefix = normalizer.bool();
              case 5 -> require(normalizer.bool(), "does not escape whitespace", where);
              default -> normalizer.skip();
            }
          }
        }
        default -> in.skip();
      }
    }
    if (pieces.stream().filter(Piece::unknown).count() != 1 || !seen.contains(END)) {
      throw new InvalidInputException(
          "%s is no T5 model: its %d pieces must have exactly one unknown piece and an %s"
              .formatted(where, pieces.size(), END));
    }
    if (charsmap.length > 0) {
      Charsmap.parse(charsmap, where);
    }
    return new SentencePieceModel(List.copyOf(pieces), charsmap, addDummyPrefix);
  }

  private static Piece piece(ProtobufReader in, int id, Set<String> seen, String where) {
    String text = "";
    float score = 0;
    int type = Type.NORMAL.ordinal();
    while (in.next()) {
      switch (in.field()) {
        case 1 -> text = in.text();
        case 2 -> score = in.float32();
        case 3 -> type = in.int32();
        default -> in.skip();
      }
    }
    if (text.isEmpty()
        || text.length() > AddedToken.MAX_LENGTH
        || !Float.isFinite(score)
        || !seen.add(text)) {
      throw new InvalidInputException(
          "%s: piece %d (\"%s\", score %s) is empty, too long, has no finite score or is there twice"
              .formatted(where, id, text.substring(0, Math.min(60, text.length())), score));
    }
    // mT5's pieces of the type BYTE are pieces like any other, as transformers takes them: unknown
    // characters are the unknown token there, not their bytes.
    if (type < Type.NORMAL.ordinal() || type > Type.BYTE.ordinal()) {
      throw new InvalidInputException(
          "%s: piece %d (\"%s\") is of the unknown type %d; use the model's tokenizer.json"
              .formatted(where, id, text, type));
    }
    return new Piece(
        text,
        score,
        type == Type.UNKNOWN.ordinal(),
        type == Type.CONTROL.ordinal(),
        type == Type.USER_DEFINED.ordinal());
  }

  private static void checkTrainer(ProtobufReader in, String where) {
    while (in.next()) {
      switch (in.field()) {
        case 3 -> require(in.int32() == UNIGRAM, "is not of the Unigram kind", where);
        case 24 -> require(!in.bool(), "treats whitespace as a suffix", where);
        default -> in.skip();
      }
    }
  }

  private static void require(boolean condition, String otherwise, String where) {
    if (!condition) {
      throw new InvalidInputException(
          where + " " + otherwise + ", which T5's models do not; use the model's tokenizer.json");
    }
  }

  /**
   * Writes the same tokenizer as a {@code tokenizer.json}, with T5's extra ids after the pieces:
   * {@code <extra_id_99>} first, {@code <extra_id_0>} last. Models that have them among their
   * pieces get no others.
   */
  public byte[] toTokenizerJson(int extraIds) {
    int unknown = 0;
    int end = 0;
    boolean hasExtraIds = false;
    for (int id = 0; id < pieces.size(); id++) {
      unknown = pieces.get(id).unknown ? id : unknown;
      end = pieces.get(id).text.equals(END) ? id : end;
      hasExtraIds |= pieces.get(id).text.equals("<extra_id_0>");
    }
    List<String> extra = new ArrayList<>();
    for (int i = hasExtraIds ? -1 : extraIds - 1; i >= 0; i--) {
      extra.add("<extra_id_" + i + ">");
    }
    ByteArrayOutputStream out = new ByteArrayOutputStream(64 * pieces.size());
    try (JsonGenerator json = Json.generator(out)) {
      json.writeStartObject();
      json.writeStringProperty("version", "1.0");
      json.writeArrayPropertyStart("added_tokens");
      for (int id = 0; id < pieces.size(); id++) {
        Piece piece = pieces.get(id);
        if (piece.unknown || piece.control || piece.userDefined) {
          AddedToken token = AddedToken.special(piece.text).withSpecial(!piece.userDefined);
          TokenizerJson.writeToken(json, id, token);
        }
      }
      for (int i = 0; i < extra.size(); i++) {
        TokenizerJson.writeToken(json, pieces.size() + i, AddedToken.special(extra.get(i)));
      }
      json.writeEndArray();
      if (charsmap.length > 0) {
        json.writeObjectPropertyStart("normalizer");
        json.writeStringProperty("type", "Precompiled");
        json.writeBinaryProperty("precompiled_charsmap", charsmap);
        json.writeEndObject();
      }
      json.writeObjectPropertyStart("pre_tokenizer");
      json.writeStringProperty("type", "Sequence");
      json.writeArrayPropertyStart("pretokenizers");
      json.writeStartObject();
      json.writeStringProperty("type", "WhitespaceSplit"); // drops runs of whitespace
      json.writeEndObject();
      json.writeStartObject();
      writeMetaspace(json);
      json.writeEndObject();
      json.writeEndArray();
      json.writeEndObject();
      json.writeName("post_processor");
      json.writeRawValue(
          """
          {"type": "TemplateProcessing",
           "single": [{"Sequence": {"id": "A", "type_id": 0}},
                      {"SpecialToken": {"id": "</s>", "type_id": 0}}],
           "pair": [{"Sequence": {"id": "A", "type_id": 0}},
                    {"SpecialToken": {"id": "</s>", "type_id": 0}},
                    {"Sequence": {"id": "B", "type_id": 0}},
                    {"SpecialToken": {"id": "</s>", "type_id": 0}}],
           "special_tokens": {"</s>": {"id": "</s>", "ids": [%d], "tokens": ["</s>"]}}}\
          """
              .formatted(end));
      json.writeObjectPropertyStart("decoder");
      writeMetaspace(json);
      json.writeEndObject();
      json.writeObjectPropertyStart("model");
      json.writeStringProperty("type", "Unigram");
      json.writeNumberProperty("unk_id", unknown);
      json.writeArrayPropertyStart("vocab");
      for (Piece piece : pieces) {
        writePiece(json, piece.text, piece.score);
      }
      for (String token : extra) {
        writePiece(json, token, 0);
      }
      json.writeEndArray();
      json.writeEndObject();
      json.writeEndObject();
    }
    return out.toByteArray();
  }

  private void writeMetaspace(JsonGenerator json) {
    json.writeStringProperty("type", "Metaspace");
    json.writeStringProperty("replacement", SPACE);
    json.writeStringProperty("prepend_scheme", addDummyPrefix ? "always" : "never");
    json.writeBooleanProperty("split", true);
  }

  private static void writePiece(JsonGenerator json, String text, double score) {
    json.writeStartArray();
    json.writeString(text);
    json.writeNumber(score);
    json.writeEndArray();
  }
}
