package dev.precis.cli;

import java.io.BufferedOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;

/**
 * Standard input, output and error, always UTF-8. Unlike {@link System#out}, output that cannot be
 * written fails: a full disk or a closed pipe must end a command.
 *
 * @param outIsTerminal somebody looks at standard output: text may be broken up and coloured
 * @param errIsTerminal somebody looks at standard error: progress is shown
 */
record Terminal(
    OutputStream out,
    PrintStream err,
    boolean inIsTerminal,
    boolean outIsTerminal,
    boolean errIsTerminal) {

  /**
   * The process's own streams. Java cannot ask which of them are terminals; the launcher can, and
   * names them in the property {@code precis.tty}: the digits 0, 1 and 2 of the ones that are.
   */
  static Terminal system() {
    String terminals = System.getProperty("precis.tty", "");
    return new Terminal(
        new BufferedOutputStream(new FileOutputStream(FileDescriptor.out)),
        new PrintStream(new FileOutputStream(FileDescriptor.err), true, StandardCharsets.UTF_8),
        terminals.contains("0"),
        terminals.contains("1"),
        terminals.contains("2"));
  }

  /** Writes to standard output at once. */
  void print(String text) {
    try {
      out.write(text.getBytes(StandardCharsets.UTF_8));
      out.flush();
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot write to standard output: " + e.getMessage(), e);
    }
  }

  void println(String text) {
    print(text + System.lineSeparator());
  }

  /** Standard output for code that wants a writer; failures are kept, not swallowed. */
  PrintWriter writer() {
    return new PrintWriter(
        new Writer() {
          @Override
          public void write(char[] buffer, int offset, int length) {
            print(new String(buffer, offset, length));
          }

          @Override
          public void flush() {}

          @Override
          public void close() {}
        });
  }

  /** Whether text on standard output may be coloured: see no-color.org. */
  boolean colors() {
    String no = System.getenv("NO_COLOR");
    return outIsTerminal && (no == null || no.isEmpty()) && !"dumb".equals(System.getenv("TERM"));
  }
}
