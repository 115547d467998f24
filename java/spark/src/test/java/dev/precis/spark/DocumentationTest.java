package dev.precis.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.spi.ToolProvider;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Compiles and runs the programs of docs/spark.md. */
class DocumentationTest {
  @TempDir private static Path folder;

  /** Writes a few dialogues with their summaries. */
  private static Path dialogues(int count) throws Exception {
    List<String> all = Files.readAllLines(LocalSpark.FIXTURES.resolve("dialogues.jsonl"));
    return Files.write(folder.resolve("dialogues.jsonl"), all.subList(0, count));
  }

  /** Compiles the program of a name. */
  private static void compile(String name) throws Exception {
    String page = Files.readString(Path.of("../../docs/spark.md"));
    int end = page.indexOf("\n```", page.indexOf("public class " + name + " {"));
    int begin = page.lastIndexOf("```java\n", end) + "```java\n".length();
    Path source = folder.resolve(name + ".java");
    Files.writeString(source, page.substring(begin, end));
    StringWriter messages = new StringWriter();
    PrintWriter out = new PrintWriter(messages);
    ToolProvider.findFirst("javac")
        .orElseThrow()
        .run(
            out,
            out,
            "-proc:none",
            "-classpath",
            System.getProperty("java.class.path"),
            "-d",
            folder.resolve("classes").toString(),
            source.toString());
    assertEquals("", messages.toString());
  }

  private static String run(String program, Object... arguments) throws Exception {
    URL[] classes = {folder.resolve("classes").toUri().toURL()};
    String[] texts = new String[arguments.length];
    for (int i = 0; i < texts.length; i++) {
      texts[i] = arguments[i].toString();
    }
    PrintStream before = System.out;
    ByteArrayOutputStream printed = new ByteArrayOutputStream();
    System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
    try (URLClassLoader loader = new URLClassLoader(classes)) {
      loader.loadClass(program).getMethod("main", String[].class).invoke(null, (Object) texts);
    } finally {
      System.setOut(before);
    }
    return printed.toString(StandardCharsets.UTF_8);
  }

  @Test
  void theProgramGeneratesScoresAndEvaluates() throws Exception {
    compile("Job");
    SparkSession spark = LocalSpark.start("local[4]");
    Path predictions = folder.resolve("predictions");
    run("Job", "generate", dialogues(10), fixture("t5-tiny"), predictions);
    run("Job", "score", predictions, fixture("roberta-tiny"), folder.resolve("scored"));
    List<Row> rows =
        spark
            .read()
            .json(folder.resolve("scored").toString())
            .selectExpr("prediction", "label", "probabilities.nothate + probabilities.hate")
            .collectAsList();
    assertEquals(10, rows.size());
    for (Row row : rows) {
      assertTrue(!row.getString(0).isEmpty() && !row.getString(1).isEmpty(), row::toString);
      assertEquals(1, row.getDouble(2), 1e-9);
    }
    String scores = run("Job", "evaluate", predictions);
    assertTrue(scores.matches("(?s)rouge1 0\\.\\d{4}\\R.*rougeLsum 0\\.\\d{4}\\R"), scores);
    ExecutorModels.closeUnused();
  }

  @Test
  void theProgramTrains() throws Exception {
    compile("Train");
    Path run = folder.resolve("run");
    LocalSpark.start("local[4]");
    Object[] arguments = {
      dialogues(64), fixture("t5-tiny"), run, 2,
    };
    assertTrue(run("Train", arguments).contains("end=DONE, steps=2"), "it trains");
    assertTrue(run("Train", arguments).contains("end=DONE, steps=2"), "it resumes");
    assertTrue(Files.exists(run.resolve("adapter/adapter_model.safetensors")));
  }

  @Test
  void theProgramAligns() throws Exception {
    compile("Align");
    Path run = folder.resolve("policy");
    LocalSpark.start("local[4]");
    Object[] arguments = {dialogues(20), fixture("t5-tiny"), run, 1};
    assertTrue(run("Align", arguments).contains("end=DONE, steps=1"), "it aligns");
    assertTrue(run("Align", arguments).contains("end=DONE, steps=1"), "it resumes");
    assertTrue(Files.exists(run.resolve("adapter/adapter_model.safetensors")));
    ExecutorModels.closeUnused();
  }

  private static String fixture(String name) {
    return LocalSpark.fixture(name);
  }
}
