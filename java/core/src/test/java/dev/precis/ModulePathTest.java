package dev.precis;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.spi.ToolProvider;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A program in a named module that requires {@code dev.precis.core}, compiled and run. */
class ModulePathTest {
  private static final Path CLASSES = Path.of("target/classes").toAbsolutePath();

  @TempDir private Path folder;
  private String modulePath;

  /** Our classes and the libraries, without the libraries of the tests. */
  @BeforeEach
  void findModules() throws IOException {
    modulePath =
        CLASSES
            + File.pathSeparator
            + Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
                .filter(each -> each.endsWith(".jar"))
                .filter(
                    each ->
                        !each.matches(".*(junit|archunit|opentest4j|apiguardian|surefire|djl).*"))
                .collect(Collectors.joining(File.pathSeparator));
    Files.createDirectories(folder.resolve("source"));
    Files.writeString(
        folder.resolve("source/module-info.java"), "module example { requires dev.precis.core; }");
  }

  private String compile(String program) throws IOException {
    Path source = folder.resolve("source/example/Example.java");
    Files.createDirectories(source.getParent());
    Files.writeString(source, "package example;\n" + program);
    StringWriter messages = new StringWriter();
    PrintWriter out = new PrintWriter(messages);
    ToolProvider.findFirst("javac")
        .orElseThrow()
        .run(
            out,
            out,
            "--module-path",
            modulePath,
            "-d",
            folder.resolve("classes").toString(),
            folder.resolve("source/module-info.java").toString(),
            source.toString());
    return messages.toString();
  }

  @Test
  void aModuleSummarizes() throws Exception {
    String program =
        """
        import dev.precis.Classifier;
        import dev.precis.T5;
        import dev.precis.generation.GenerationOptions;
        import java.nio.file.Path;
        import java.util.List;

        public class Example {
          public static void main(String[] args) {
            try (T5 model = T5.load(Path.of(args[0]), new T5.LoadOptions().threads(1));
                Classifier classifier = Classifier.load(Path.of(args[1]))) {
              GenerationOptions options = GenerationOptions.builder().maxNewTokens(5).build();
              System.out.println(model.generate("Summarize: hello", options).text());
              System.out.println(classifier.score(List.of("hello")).getFirst().label());
            }
          }
        }
        """;
    assertEquals("", compile(program));
    Path t5 = Fixtures.folder("t5-tiny");
    Path roberta = Fixtures.folder("roberta-tiny");
    String output = run(t5, roberta);
    try (T5 model = T5.load(t5, new T5.LoadOptions().threads(1));
        Classifier classifier = Classifier.load(roberta)) {
      var options = dev.precis.generation.GenerationOptions.builder().maxNewTokens(5).build();
      assertEquals(
          model.generate("Summarize: hello", options).text()
              + "\n"
              + classifier.score(List.of("hello")).getFirst().label()
              + "\n",
          output);
    }
  }

  /** Runs the program that was compiled, and returns what it printed. */
  private String run(Path... arguments) throws Exception {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=dev.precis.core",
                "--illegal-native-access=deny",
                "--module-path",
                folder.resolve("classes") + File.pathSeparator + modulePath,
                "--module",
                "example/example.Example"));
    for (Path argument : arguments) {
      command.add(argument.toAbsolutePath().toString());
    }
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().put("PRECIS_CACHE_DIR", folder.resolve("cache").toString());
    Process process = builder.start();
    String output = new String(process.getInputStream().readAllBytes());
    assertEquals(0, process.waitFor(), output);
    return output;
  }

  @Test
  void theProgramOfTheDocumentationRuns() throws Exception {
    String page = Files.readString(Path.of("../../docs/java.md"));
    int begin = page.indexOf("```java\n") + "```java\n".length();
    assertEquals("", compile(page.substring(begin, page.indexOf("\n```", begin))));
    String output =
        run(
            Fixtures.folder("t5-tiny"),
            Fixtures.folder("t5-tiny-lora"),
            Fixtures.folder("roberta-tiny"));
    assertTrue(output.lines().count() >= 4, output);
    assertTrue(output.contains("."), output);
  }

  @Test
  void aModuleFineTunes() throws Exception {
    String messages =
        compile(
            """
            import dev.precis.device.DeviceOptions;
            import dev.precis.lora.LoraConfig;
            import dev.precis.tensor.DType;
            import dev.precis.training.Example;
            import dev.precis.training.FineTuning;
            import dev.precis.training.TrainableT5;
            import java.nio.file.Path;
            import java.util.List;

            class Example1 {
              double loss(Path folder, LoraConfig lora) {
                DeviceOptions device = new DeviceOptions().threads(1);
                try (TrainableT5 t5 = TrainableT5.lora(folder, lora, DType.FLOAT32, 0, 1, device);
                    FineTuning loss = new FineTuning(t5, 0, false)) {
                  int end = t5.config().vocabSize() - 1;
                  var example = new Example(new int[] {1, end}, new int[] {2, end});
                  double sum = loss.accumulate(List.of(example), 1, 0);
                  System.out.println(t5.device().info().isa() + t5.parameters().all().size());
                  return sum;
                }
              }
            }
            """);
    assertEquals("", messages);
  }

  @Test
  void nativeCallsAreNotExported() throws IOException {
    String messages =
        compile(
            "class Example { dev.precis.ffi.Context context; dev.precis.random.SplitMix64 random;"
                + " }");
    assertTrue(messages.contains("package dev.precis.ffi is not visible"), messages);
    assertTrue(messages.contains("package dev.precis.random is not visible"), messages);
  }
}
