package dev.precis.cli;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;

/**
 * Runs typical commands, their output thrown away. The launcher starts this once after a build, so
 * that the JDK can record in an AOT cache which classes the commands load.
 */
final class Rehearsal {
  private Rehearsal() {}

  public static void main(String[] args) {
    ByteArrayOutputStream ignored = new ByteArrayOutputStream();
    Terminal terminal = new Terminal(ignored, new PrintStream(ignored), false, false, false);
    Main.run(terminal, "--version");
    Main.run(terminal, "generate", "--help");
    Main.run(terminal, "--no-such-option");
  }
}
