package dev.precis.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.precis.Classifier;
import dev.precis.T5;
import dev.precis.server.models.ServedModels;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** The examples of docs/serve.md, as they stand there. */
class DocumentationTest {
  private static final Pattern EXAMPLE = Pattern.compile("```sh\n(curl .*?)\n```", Pattern.DOTALL);

  @Test
  void examplesAreAnswered() throws Exception {
    assumeTrue(exists("curl"), "curl is missing: sudo apt-get install curl");
    List<String> examples =
        EXAMPLE
            .matcher(Files.readString(Path.of("../../docs/serve.md")))
            .results()
            .map((MatchResult found) -> found.group(1))
            .toList();
    assertTrue(examples.size() >= 6, examples.toString());
    Path fixtures = ServerRun.FIXTURES;
    try (ServedModels models = new ServedModels()) {
      models.add("flan-t5-base", T5.load(fixtures.resolve("t5-tiny")));
      try (Server server = Server.start(models, new ServerOptions())) {
        // The first one names no model, because there is only one.
        assertEquals("200", run(server, examples.getFirst()));
      }
      models.addAdapter(null, "mails", fixtures.resolve("t5-tiny-lora"));
      models.add("hate-speech", Classifier.load(fixtures.resolve("roberta-tiny")), List.of());
      try (Server server = Server.start(models, new ServerOptions())) {
        for (String example : examples.subList(1, examples.size())) {
          assertEquals("200", run(server, example), example);
        }
      }
    }
  }

  private static String run(Server server, String example) throws Exception {
    String address = server.address().toString();
    String here =
        example.replace("http://127.0.0.1:8080/", address)
            + " --silent --max-time 120 --output /dev/null --write-out '%{http_code}'";
    Process process = new ProcessBuilder("bash", "-c", here).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), output);
    return output;
  }

  private static boolean exists(String command) throws Exception {
    try {
      return new ProcessBuilder(command, "--version")
              .redirectOutput(ProcessBuilder.Redirect.DISCARD)
              .start()
              .waitFor()
          == 0;
    } catch (IOException e) {
      return false;
    }
  }
}
