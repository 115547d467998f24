package dev.precis.text;

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;

/**
 * Tokens that the files beside the tokenizer add to it.
 *
 * @param byId tokens whose id is declared
 * @param named special tokens without a declared id, in their order
 * @param required contents that are never numbered on: a model that ends its texts with a token
 *     that it was not trained on is a mistake
 * @param where the file, for the errors' sentences
 */
record DeclaredTokens(
    SortedMap<Integer, AddedToken> byId,
    List<AddedToken> named,
    Set<String> required,
    String where) {
  /**
   * Adds them: those with an id at that id, and a named one that the tokenizer lacks at the end.
   *
   * @throws dev.precis.io.InvalidInputException if another id than the declared one is due
   */
  void addTo(Vocabulary vocabulary, Map<Integer, AddedToken> added) {
    Set<String> specialContents = new HashSet<>();
    named.forEach(token -> specialContents.add(token.content()));
    byId.forEach(
        (id, token) -> {
          vocabulary.add(token.content(), id, where);
          boolean special = token.special() || specialContents.contains(token.content());
          added.put(id, token.withSpecial(special));
        });
    for (AddedToken token : named) {
      int known = vocabulary.id(token.content());
      if (known >= 0) {
        added.putIfAbsent(known, token);
      } else if (!required.contains(token.content())) {
        int id = vocabulary.size();
        vocabulary.add(token.content(), id, where);
        added.put(id, token);
      }
    }
  }
}
