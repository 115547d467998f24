package dev.precis.cli.common;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import picocli.CommandLine.IVersionProvider;

/** Reads the version that Maven wrote into the build. */
public final class Version implements IVersionProvider {
  /** Returns the version, such as 0.1.0. */
  public static String number() {
    try (InputStream in = Version.class.getResourceAsStream("/dev/precis/cli/version.txt")) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8).strip();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public String[] getVersion() {
    return new String[] {"precis " + number()};
  }
}
