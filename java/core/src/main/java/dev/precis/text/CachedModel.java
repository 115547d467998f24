package dev.precis.text;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** Remembers the ids of short pieces: a text repeats its words. */
record CachedModel(SubwordModel model, Map<String, int[]> known) implements SubwordModel {
  private static final int MAX_ENTRIES = 20_000;
  private static final int MAX_LENGTH = 32;

  CachedModel(SubwordModel model) {
    this(model, new ConcurrentHashMap<>());
  }

  @Override
  public void encode(String piece, IdList ids) {
    if (piece.length() > MAX_LENGTH) {
      model.encode(piece, ids);
      return;
    }
    int[] found = known.get(piece);
    if (found == null) {
      IdList fresh = new IdList();
      model.encode(piece, fresh);
      found = fresh.toArray();
      if (known.size() < MAX_ENTRIES) {
        known.put(piece, found);
      }
    }
    ids.addAll(found);
  }
}
