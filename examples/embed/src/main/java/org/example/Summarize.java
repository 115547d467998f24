package org.example;

import dev.precis.T5;
import dev.precis.generation.GenerationOptions;
import dev.precis.text.PromptTemplate;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Prints a summary of the dialogue in a text file. */
public final class Summarize {
  private Summarize() {}

  /**
   * Runs the program.
   *
   * @param args the folder of a T5 model and a text file
   */
  public static void main(String[] args) throws IOException {
    String dialogue = Files.readString(Path.of(args[1])).strip();
    GenerationOptions options = GenerationOptions.builder().maxNewTokens(24).build();
    try (T5 model = T5.load(Path.of(args[0]))) {
      System.out.println(
          model.generate(PromptTemplate.DEFAULT.fill(dialogue), options).text().strip());
    }
  }
}
