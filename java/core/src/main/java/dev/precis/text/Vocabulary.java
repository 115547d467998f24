package dev.precis.text;

import dev.precis.io.InvalidInputException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The tokens of a tokenizer and their ids, numbered as the engine numbers them. */
final class Vocabulary {
  private final List<String> tokens;
  private final Map<String, Integer> ids;

  /** Starts with the model's own tokens, by id. */
  Vocabulary(List<String> tokens) {
    this.tokens = new ArrayList<>(tokens);
    ids = HashMap.newHashMap(tokens.size());
    for (int id = 0; id < tokens.size(); id++) {
      ids.put(tokens.get(id), id);
    }
  }

  /**
   * Adds a token that is matched as a whole. The engine ignores the id that the file declares: a
   * token that the model knows keeps its id, others are numbered on. A file that declares another
   * id would feed the model wrong ids without a word.
   */
  void add(String token, int declaredId, String where) {
    int id = ids.getOrDefault(token, tokens.size());
    if (id != declaredId) {
      throw new InvalidInputException(
          "%s: the added token \"%s\" claims the id %d where %d is due; export the tokenizer again"
              .formatted(where, token, declaredId, id));
    }
    if (id == tokens.size()) {
      tokens.add(token);
      ids.put(token, id);
    }
  }

  int size() {
    return tokens.size();
  }

  /** Returns the token's id, or -1. */
  int id(String token) {
    return ids.getOrDefault(token, -1);
  }

  /** Returns the id's token, or {@code null}. */
  String token(int id) {
    return id >= 0 && id < tokens.size() ? tokens.get(id) : null;
  }
}
