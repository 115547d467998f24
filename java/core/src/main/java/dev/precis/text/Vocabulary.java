package dev.precis.text;

import dev.precis.io.InvalidInputException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The tokens of a tokenizer and their ids: the model's own ones, then those that were added. */
final class Vocabulary {
  private final List<String> modelTokens;
  private final Map<String, Integer> modelIds;
  private final List<String> addedTokens = new ArrayList<>(); // past the model's
  private final Map<String, Integer> addedIds = new HashMap<>();

  /** Starts with the model's own tokens, by id; of equal ones the last has the text. */
  Vocabulary(List<String> tokens) {
    modelTokens = tokens;
    modelIds = HashMap.newHashMap(tokens.size());
    for (int id = 0; id < tokens.size(); id++) {
      modelIds.put(tokens.get(id), id);
    }
  }

  /**
   * Adds a token that is matched as a whole. A token that the model knows keeps its id, others are
   * numbered on, as the published tokenizers do. A file that declares another id would feed the
   * model wrong ids without a word.
   */
  void add(String token, int declaredId, String where) {
    int known = id(token);
    int id = known < 0 ? size() : known;
    if (id != declaredId) {
      throw new InvalidInputException(
          "%s: the added token \"%s\" claims the id %d where %d is due; export the tokenizer again"
              .formatted(where, token, declaredId, id));
    }
    if (known < 0) {
      addedTokens.add(token);
      addedIds.put(token, id);
    }
  }

  int size() {
    return modelTokens.size() + addedTokens.size();
  }

  /** Returns the ids of the model's own tokens. */
  Map<String, Integer> modelIds() {
    return modelIds;
  }

  /** Returns the token's id, or -1. */
  int id(String token) {
    Integer id = modelIds.get(token);
    return id != null ? id : addedIds.getOrDefault(token, -1);
  }

  /** Returns the id's token, or {@code null}. */
  String token(int id) {
    if (id < 0 || id >= size()) {
      return null;
    }
    return id < modelTokens.size() ? modelTokens.get(id) : addedTokens.get(id - modelTokens.size());
  }
}
