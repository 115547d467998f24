package dev.precis.cli.common;

import dev.precis.hub.HubConfig;
import java.io.BufferedOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;

/**
 * Standard input, output and error, always UTF-8. Unlike {@link System#out}, output that cannot be
 * written fails: a full disk or a closed pipe must end a command.
 *
 * @param environment the environment's variables
 * @param outIsTerminal whether standard output is a terminal, where text may be colored
 * @param errIsTerminal whether standard error is a terminal, where progress is shown
 */
public record Terminal(
    OutputStream out,
    PrintStream err,
    Map<String, String> environment,
    boolean outIsTerminal,
    boolean errIsTerminal) {

  /** Makes what is printed to standard error harmless, see {@link SafeText}. */
  public Terminal {
    err = err instanceof SafeText.Stream ? err : new SafeText.Stream(err);
  }

  /**
   * Returns the process's own streams. Java cannot ask which of them are terminals; the launcher
   * can, and names them in the property {@code precis.tty}: the digits 1 and 2 of the ones that
   * are.
   */
  public static Terminal system() {
    String terminals = System.getProperty("precis.tty", "");
    return new Terminal(
        new BufferedOutputStream(new FileOutputStream(FileDescriptor.out)),
        new PrintStream(new FileOutputStream(FileDescriptor.err), true, StandardCharsets.UTF_8),
        System.getenv(),
        terminals.contains("1"),
        terminals.contains("2"));
  }

  /** Returns where the hub and its cache are, as the environment says. */
  public HubConfig hubConfig() {
    return HubConfig.from(environment, Path.of(System.getProperty("user.home")));
  }

  /**
   * Writes to standard output at once. On a terminal control characters are escaped, see {@link
   * SafeText}; a file or a pipe gets the text as it is.
   */
  public void print(String text) {
    printRaw(outIsTerminal ? SafeText.escape(text) : text);
  }

  /** Draws a line of standard error anew, over the one before. */
  void redraw(String line) {
    ((SafeText.Stream) err).printRaw("\r" + SafeText.line(line));
    err.flush();
  }

  /** Writes to standard output what may be colored. */
  public void printRaw(String text) {
    try {
      out.write(text.getBytes(StandardCharsets.UTF_8));
      out.flush();
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot write to standard output: " + e.getMessage(), e);
    }
  }

  /** Writes a line to standard output at once. */
  public void println(String text) {
    print(text + System.lineSeparator());
  }

  /** Returns whether text on standard output may be colored: see no-color.org. */
  public boolean colors() {
    return outIsTerminal
        && environment.getOrDefault("NO_COLOR", "").isEmpty()
        && !environment.getOrDefault("TERM", "").equals("dumb");
  }
}
