package dev.precis.cli;

import dev.precis.T5;
import dev.precis.checkpoint.WeightsCache;
import dev.precis.cli.common.BuiltInModel;
import dev.precis.cli.common.Terminal;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/**
 * Runs typical commands and discards their output. The launcher starts this once after a build, so
 * that the JDK can record in an AOT cache which classes the commands load.
 */
final class Rehearsal {
  private Rehearsal() {}

  public static void main(String[] args) throws IOException, InterruptedException {
    // A build asks no server.
    Map<String, String> environment = new HashMap<>(System.getenv());
    environment.put("HF_HUB_OFFLINE", "1");
    ByteArrayOutputStream ignored = new ByteArrayOutputStream();
    Terminal terminal = new Terminal(ignored, new PrintStream(ignored), environment, true, false);
    Main.run(terminal, "--help");
    Main.run(terminal, "generate", "--no-such-option");
    Main.run(terminal, "doctor", "--json");
    try (BuiltInModel builtIn = BuiltInModel.probe()) {
      String model = builtIn.folder().toString();
      String dialogues = builtIn.dialogues().toString();
      String output = builtIn.folder().resolve("out.jsonl").toString();
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
      Main.run(
          terminal, "generate", "--model", model, "--input", dialogues, "--stream", "--sample");
      findWeights(builtIn.folder());
    }
  }

  /** Starts twice; the second start finds the weights that the first one packed. */
  private static void findWeights(Path model) throws IOException, InterruptedException {
    Path folder = Files.createTempDirectory("precis-");
    WeightsCache cache = new WeightsCache(folder, Long.MAX_VALUE, 0);
    Thread.sleep(2100); // weights of files that have just been written are not cached
    for (int i = 0; i < 2; i++) {
      T5.load(model, new T5.LoadOptions().weightsCache(cache)).close();
    }
    try (DirectoryStream<Path> kept = Files.newDirectoryStream(folder)) {
      for (Path file : kept) {
        Files.delete(file);
      }
    }
    Files.delete(folder);
  }
}
