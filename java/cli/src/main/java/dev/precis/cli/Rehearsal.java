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
    Terminal terminal =
        new Terminal(ignored, new PrintStream(ignored), System.getenv(), true, false);
    Main.run(terminal, "--help");
    Main.run(terminal, "generate", "--no-such-option");
    Main.run(terminal, "doctor", "--json");
    try (BuiltIn builtIn = BuiltIn.probe()) {
      String model = builtIn.model().toString();
      String dialogues = builtIn.dialogues().toString();
      String output = builtIn.model().resolve("out.jsonl").toString();
      Main.run(terminal, "generate", "--model", model, "--input", dialogues, "--output", output);
      Main.run(terminal, "generate", "--model", model, "--prompt", "Hello!", "--dtype", "bfloat16");
      Main.run(
          terminal,
          "generate",
          "--model",
          model,
          "--input",
          dialogues,
          "--dtype",
          "int8",
          "--num-beams",
          "2",
          "--max-new-tokens",
          "8");
    }
  }
}
