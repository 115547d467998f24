package dev.precis.hub;

/** Kinds of repositories of the hub. */
public enum RepositoryKind {
  /** A model: configuration, tokenizer and weights. */
  MODEL("models", "model", ""),
  /** A data set: tables. */
  DATASET("datasets", "data set", "datasets/");

  private final String plural;
  private final String label;
  private final String page;

  RepositoryKind(String plural, String label, String page) {
    this.plural = plural;
    this.label = label;
    this.page = page;
  }

  /** Returns its name in the hub's addresses and in the cache. */
  String plural() {
    return plural;
  }

  /** Returns its name in messages. */
  String label() {
    return label;
  }

  /** Returns the part before the id in the address of its page and its files. */
  String page() {
    return page;
  }
}
