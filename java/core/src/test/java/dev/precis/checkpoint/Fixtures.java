package dev.precis.checkpoint;

import java.net.URISyntaxException;
import java.nio.file.Path;

/** Where the test resources are. */
final class Fixtures {
  private Fixtures() {}

  /** A file or folder under {@code src/test/resources}. */
  static Path path(String name) {
    try {
      return Path.of(Fixtures.class.getResource("/" + name).toURI());
    } catch (URISyntaxException e) {
      throw new AssertionError(e);
    }
  }
}
