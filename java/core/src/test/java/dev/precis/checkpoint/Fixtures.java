package dev.precis.checkpoint;

import java.net.URISyntaxException;
import java.nio.file.Path;

/** Where the test resources are. */
public final class Fixtures {
  private Fixtures() {}

  /** A file or folder under {@code src/test/resources}. */
  public static Path path(String name) {
    try {
      return Path.of(Fixtures.class.getResource("/" + name).toURI());
    } catch (URISyntaxException e) {
      throw new AssertionError(e);
    }
  }
}
