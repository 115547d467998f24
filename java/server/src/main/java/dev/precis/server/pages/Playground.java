package dev.precis.server.pages;

/** The page at {@code /} on which a person tries a model. */
public final class Playground {
  private Playground() {}

  /** Returns the files of the page. */
  public static PageFiles files() {
    return new PageFiles()
        .add("/", Playground.class, "playground.html")
        .add("/style.css", Playground.class, "style.css")
        .add("/playground.js", Playground.class, "playground.js");
  }
}
